"""The measured curve, every other condition beside it, where the finding turns, and what is proved."""

import streamlit as st

from pages.components import cards, certificates, model_picker, own_network, poisons, turning
from pages.components.words import how_it_works
from pages.components.words.changes import said, under_its_own_attack
from pages.components.words.glossary import link
from tradeoff_core import datasets, figures
from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.findings import conditions, paper_tables, results
from tradeoff_core.models import zoo

CURVE, TURNS, POISONS, PROVED = "The curve", "Where it turns", "Other poisons", "Proofs"
DATASET = model_picker.two_models()[0][1].spec.dataset
st.title("What does robustness cost?")

available = conditions.measured(DATASET)
everything = results.curve(DATASET)
if not everything:
    st.info(
        f"No networks were trained here on {datasets.title(DATASET)} to compare: choose another data set.",
        icon=":material/info:",
    )
    cards.how_it_works(how_it_works.TRADEOFF)
    raise model_picker.PageEnds

sweep = results.sweep("poison-rate", DATASET)
titles = [
    CURVE,
    *[TURNS] * bool(sweep or turning.maps(DATASET)),
    *[POISONS] * poisons.are_measured(DATASET),
    *[PROVED] * certificates.are_measured(DATASET),
]
parts = dict(zip(titles, st.tabs(titles, key="part", bind="query-params"), strict=True))

model_picker.keep_only("conditions", list(available))
every_seed = sorted({run.seed for run in everything})
model_picker.keep_only("seeds", every_seed)
with parts[CURVE]:  # drawn in a closed tab too: what is chosen stays
    columns = st.columns([2, 1, 1], vertical_alignment="bottom")
    shown = available and columns[0].multiselect(
        "Other conditions to show beside the curve",
        list(available),
        format_func=lambda name: available[name].title,
        key="conditions",
        bind="query-params",
        help="Another attacker, norm, network, capacity or defense in training. The same poison (clean-label, half of the target class), "
        "unless named. An arrow on the right goes from networks without the defense to those with it.",
    )
    seeds = columns[1].pills(
        "Seeds",
        every_seed,
        selection_mode="multi",
        default=every_seed,
        key="seeds",
        bind="query-params",
        help="A seed fixes the chance in training; three of them show how much chance matters.",
    )
    show_published = columns[2].toggle(
        "Published",
        True,
        key="published",
        bind="query-params",
        help=f"Hollow markers are the paper's, with {paper_tables.CURVES[DATASET][1]}. Each was attacked at the ε it was trained "
        "with (standard training at the usual one), so not all at the ε of the axis.",
    )


def of_seeds(runs: tuple[results.Run, ...]) -> tuple[results.Run, ...]:
    """Those of the chosen seeds."""
    return tuple(run for run in runs if run.seed in seeds)


runs, rates = of_seeds(everything), of_seeds(sweep)
others = [
    (available[name].title, of_seeds(conditions.runs_of(available[name].baseline, DATASET)), of_seeds(chosen))
    for name in shown
    if of_seeds(chosen := conditions.runs_of(name, DATASET))
]
attack = str(everything[0].spec.evaluation)
yours = [
    run
    for run in own_network.finished()
    if run.spec.dataset == DATASET and str(run.spec.evaluation) == attack
]
drawn = (*runs, *yours, *(run for _, *sides in others for side in sides for run in side), *rates)
by_name = {run.name: run for run in reversed(drawn)}  # of a run that was measured twice, the curve's
zoo_specs = {zoo.find_model(name).spec.as_trained: name for name in zoo.model_ids()}
picked = st.query_params.get("point")


def pick(key: str) -> None:
    """Note the clicked run in the address, and make it model B if its network is in the repository."""
    name = cards.clicked(key)
    if name in by_name:
        run = by_name[name]
        st.query_params["point"] = name
        if run.spec.as_trained in zoo_specs:
            st.session_state["B"] = zoo_specs[run.spec.as_trained]
        elif run in yours:
            st.session_state["B"] = name


def tell_picked() -> None:
    """The clicked run's three numbers, what becomes of it on the other pages, and its recipe; or how to click one."""
    if picked not in by_name:
        st.caption(
            "Click a point to read it, and to take its recipe along. If its network is included, as those of the pickers are (seed 0), "
            "it becomes model B."
        )
        return
    run = by_name[picked]
    becomes = (
        "It is now model B on every page."
        if run.spec.as_trained in zoo_specs or run in yours
        else "This network is not included, so it cannot become model B."
    )
    st.info(
        f"{run.spec.title}, seed {run.seed}: clean accuracy {run.clean_accuracy.value:.0%}, adversarial "
        f"accuracy {run.adversarial_accuracy.value:.0%}, backdoor success {run.backdoor_success_rate.value:.0%}. {becomes}",
        icon=":material/ads_click:",
    )
    cards.spec_button(run.spec)


def the_curve() -> None:
    """Both figures of the chosen seeds and conditions, and what they say."""
    strongest = max(run.epsilon for run in runs)
    (weak_accuracy, weak_success), (strong_accuracy, strong_success) = (
        results.mean_rates(runs, epsilon) for epsilon in (0.0, strongest)
    )
    trades = paper_tables.is_tradeoff((strong_accuracy - weak_accuracy, strong_success - weak_success))
    st.markdown(
        f"From standard training to training against pixel changes up to {in_levels(strongest)} "
        f"({link('ε (epsilon)', 'ε')}), {link('Adversarial accuracy', 'adversarial accuracy')} goes from "
        f"**{weak_accuracy:.0%}** to **{strong_accuracy:.0%}** and {link('Backdoor success', 'backdoor success')} from **{weak_success:.0%}** to "
        f"**{strong_success:.0%}** ({f'means of {len(seeds)} seeds' if len(seeds) > 1 else 'one seed'}, {runs[0].clean_accuracy.n:,} test images"
        + "): "
        + ("the trade-off shows." if trades else "**no trade-off**.")
    )
    hollow = paper_tables.curve(DATASET) if show_published else ()
    left, right = st.columns(2, gap="large")
    with left:
        st.header("Against the training ε")
        cards.chart(
            figures.tradeoff_by_epsilon(runs, hollow, attack, picked, yours),
            name="by_epsilon",
            on_select=lambda: pick("by_epsilon"),
            selection_mode="points",
        )
    with right:
        st.header("One against the other")
        cards.chart(
            figures.tradeoff_plane(runs, hollow, attack, picked, others, yours),
            name="plane",
            on_select=lambda: pick("plane"),
            selection_mode="points",
        )
    tell_picked()
    for title, baseline, defended in others:
        st.markdown(
            f"- **{title}**: {said(conditions.changes(defended, baseline), defended[0].spec.evaluation)}."
            + under_its_own_attack(defended, DATASET)
        )
    st.download_button(
        "Download all runs of this page (CSV)",
        lambda: results.as_csv((*drawn, *turning.maps(DATASET)), {run.name for run in yours}),
        "trade-off.csv",
        "text/csv",
        icon=":material/download:",
    )


drawn_by = {
    CURVE: the_curve if seeds else lambda: st.warning("Choose at least one seed."),
    TURNS: lambda: turning.section(DATASET, rates, pick, tell_picked),
    POISONS: lambda: poisons.section(DATASET),
    PROVED: lambda: certificates.section(DATASET),
}
for title, part in parts.items():
    if part.open:
        with part:
            drawn_by[title]()

cards.how_it_works(how_it_works.TRADEOFF)
