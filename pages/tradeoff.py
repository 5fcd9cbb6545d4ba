"""The measured curve: adversarial accuracy and backdoor success against training ε, and against each other."""

import streamlit as st

from pages.components import cards, pickers
from tradeoff_core import figures, results, zoo

pickers.two_models()
st.title("What does robustness cost?")

DATASET = "mnist-5k"
runs = results.curve(DATASET)
by_name = {run.name: run for run in runs}
in_zoo = {run.name: name for name in zoo.model_ids() for run in runs if run.spec == zoo.find_model(name).spec}


def pick(key: str) -> None:
    """Remember the clicked run, and make it model B if its network is in the repository."""
    points = st.session_state[key].selection.points
    name = points[0].get("customdata") if points else None
    name = name[0] if isinstance(name, list) else name
    if name in by_name:
        st.session_state["picked"] = name
        if name in in_zoo:
            st.session_state["B"] = in_zoo[name]


show_published = st.toggle(
    "Show the paper's numbers",
    True,
    key="published",
    bind="query-params",
    help="Hollow markers: 60,000 training digits, mean of 10 seeds, attacked with PGD-10.",
)
published = results.published_mnist() if show_published else ()
attack = str(runs[0].spec.evaluation)
picked = st.session_state.get("picked")

strongest = max(run.epsilon for run in runs)
(weak_accuracy, weak_success), (strong_accuracy, strong_success) = (
    results.mean_rates(runs, epsilon) for epsilon in (0.0, strongest)
)
st.markdown(
    f"From standard training to training ε = {strongest:g}, adversarial accuracy goes from "
    f"**{weak_accuracy:.0%}** to **{strong_accuracy:.0%}** and backdoor success from **{weak_success:.0%}** to "
    f"**{strong_success:.0%}** (means of {len({run.seed for run in runs})} seeds, {runs[0].clean_accuracy.n:,} "
    "test digits each)."
)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Against the training ε")
    st.plotly_chart(
        figures.tradeoff_by_epsilon(runs, published, attack, picked),
        key="by_epsilon",
        on_select=lambda: pick("by_epsilon"),
        selection_mode="points",
    )
with right:
    st.subheader("One against the other")
    st.plotly_chart(
        figures.tradeoff_plane(runs, published, attack, picked),
        key="plane",
        on_select=lambda: pick("plane"),
        selection_mode="points",
    )

if picked in by_name:
    run = by_name[picked]
    where = (
        "It is now model B on every page."
        if picked in in_zoo
        else "This network is not included, so it cannot become model B."
    )
    st.info(
        f"Training ε {run.epsilon:g}, seed {run.seed}: clean accuracy {run.clean_accuracy.value:.0%}, adversarial "
        f"accuracy {run.adversarial_accuracy.value:.0%}, backdoor success {run.backdoor_success_rate.value:.0%}. "
        + where,
        icon=":material/ads_click:",
    )
else:
    st.caption(
        "Click a point to read it. Seed 0 at training ε 0, 0.1, 0.2 and 0.3 is included: it becomes model B. "
        "A seed fixes the chance in training; three of them show how much chance matters."
    )

st.download_button(
    "Download the data (CSV)", results.as_csv(runs), "trade-off.csv", "text/csv", icon=":material/download:"
)

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        f"""
Every point is one network: the paper's for digits at half width, trained on the same 3,600 digits of which half
of the sevens carry the sticker (clean-label: no label is changed). Only the **training ε**, the strength of the
attacker it trained against, and the seed differ.

- **Adversarial accuracy** is measured with {attack} for every network, on {runs[0].clean_accuracy.n:,} test
  digits; an example counts as fooled if any step of the attack fools it.
- **Backdoor success** counts test digits not already called a 7 that become one with the sticker on.
- The **Pareto front** joins the networks that no other one beats on both. Where robustness came free, it would
  be a single point in the lower right corner.
- **Published** numbers come from networks trained on 60,000 digits, with another attack (PGD-10, step 0.05):
  compare the direction, not the decimals.

`python -m tradeoff_core.tools.curve` trains all of this again.

"""
        + cards.CITATION
    )
