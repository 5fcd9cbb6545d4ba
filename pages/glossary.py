"""Every term of the field that the pages use, in a sentence each."""

import streamlit as st

from pages.components import cards, model_picker
from pages.components.plain_words import escaped
from pages.components.words import how_it_works
from pages.components.words.glossary import TERMS

model_picker.through_the_router()
st.title("What do the words mean?")
wanted = st.text_input(
    "Find a term", key="term", bind="query-params", max_chars=100, placeholder="for example: clean-label"
).strip()
found = {
    term: meaning
    for term, meaning in sorted(TERMS.items(), key=lambda entry: entry[0].lower())
    if wanted.lower() in f"{term} {meaning}".lower()
}
st.markdown("\n".join(f"- **{term}**: {meaning}" for term, meaning in found.items()))
if not found:
    st.info(f"No term has '{escaped(wanted)}' in its name or its meaning.", icon=":material/info:")

cards.how_it_works(how_it_works.GLOSSARY)
