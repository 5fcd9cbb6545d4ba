"""Where the finding holds: the matrix of poisons and trainings, its sentences, and the curve of the poison that was clicked."""

import streamlit as st

from pages.components import cards
from pages.components.words import poisons as words
from pages.components.words import since_then
from tradeoff_core import figures
from tradeoff_core.findings import detectors, poisons

FIGURE, ADDRESS = "where-it-holds", "poison"


def are_measured(dataset: str) -> bool:
    """Whether a data set has a matrix."""
    return bool(poisons.matrix(dataset).poisons)


def section(dataset: str) -> None:
    """All of it, on a data set where it is measured."""
    measured = poisons.matrix(dataset)
    st.header("For which poisons does the back door open?")
    st.markdown(words.in_short(measured))
    cards.chart(
        figures.where_it_holds(measured),
        name=FIGURE,
        on_select=lambda: _pick(measured.poisons),
        selection_mode="points",
    )
    st.caption(
        "First column: backdoor success after standard training. The others: by how many percentage points the training raises it (pink) "
        "or lowers it (green), and what it comes to. Empty: not measured yet. Click a cell for that poison's curve."
    )
    picked = st.query_params.get(ADDRESS, "")
    plain = [run for run in measured.runs_of(picked) if not run.epsilon or poisons.plain(run)]
    if plain:
        st.subheader(f"{picked}, against the training ε")
        attack = str(plain[0].spec.evaluation)
        cards.chart(figures.tradeoff_by_epsilon(plain, (), attack), name="poison-curve")
        cards.spec_button(plain[0].spec)
    st.markdown(words.sentences(measured))
    seeds = sorted({run.seed for name in measured.poisons for run in measured.runs_of(name)})
    games = [game for seed in seeds if (game := poisons.as_game(measured, seed))]
    if told := words.game(games):
        st.markdown(told)
    detectors_of(measured, dataset)


def detectors_of(measured: poisons.Matrix, dataset: str) -> None:
    """Which detectors find which poison, in standard networks and in robust ones beside them."""
    sides = [
        (training, detectors.of_sweep(measured.runs_under(training), dataset))
        for training in ("standard", measured.strongest)
        if training
    ]
    sides = [(training, found) for training, found in sides if found]
    if not sides:
        return
    st.header("Which detectors find which poison?")
    if len(sides) == 2:
        st.markdown(since_then.easier(sides[0][1], sides[1][1]))
    for place, (training, found) in zip(st.columns(len(sides), gap="large"), sides, strict=True):
        with place:
            st.subheader(f"After {words.named(training)}")
            cards.chart(
                figures.found_by_poison(found, measured.poisons, since_then.FINDERS),
                name=f"found-{training}",
                of=f"after {words.named(training)}",
            )
    st.caption(
        "AUROC: 1 ranks all of the poison first, 0.5 is luck, 0 ranks it last. One seed. Empty: not measured yet."
    )


def _pick(names: tuple[str, ...]) -> None:
    """Note the clicked poison in the address."""
    name = cards.clicked(FIGURE)
    if name in names:
        st.query_params[ADDRESS] = name
