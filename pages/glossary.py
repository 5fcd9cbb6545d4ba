"""Every term of the field that the pages use, in a sentence each."""

import streamlit as st

from pages.components import cards, pickers
from pages.components.glossary import TERMS

pickers.through_the_router()
st.title("What do the words mean?")
wanted = st.text_input(
    "Find a term", key="term", bind="query-params", placeholder="for example: clean-label"
).strip()
found = {
    term: meaning
    for term, meaning in sorted(TERMS.items(), key=lambda entry: entry[0].lower())
    if wanted.lower() in f"{term} {meaning}".lower()
}
st.markdown("\n".join(f"- **{term}**: {meaning}" for term, meaning in found.items()))
if not found:
    st.info(f"No term has '{wanted}' in its name or its meaning.", icon=":material/info:")

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
The question of this app, in these words: is a network that keeps its **adversarial accuracy** easier to give a
**back door**? For a network $f$, images $x$ with labels $y$, a trigger $s$ and its target class $t$ the three numbers are

$$
\Pr[f(x) = y], \qquad \Pr\big[f(x + \delta) = y \;\; \forall \, \lVert \delta \rVert \le \varepsilon\big], \qquad
\Pr\big[f(s(x)) = t \;\big|\; f(x) \ne t\big]
$$

The second can only be measured from above, by attacking, or proved from below. Each page explains its own methods in the
same place.

"""
        + cards.CITATION
    )
