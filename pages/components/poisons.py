"""Where the finding holds: the matrix of poisons and trainings, its sentences, and the curve of the poison that was clicked."""

import streamlit as st

from pages.components import cards
from pages.components.words import poisons as words
from tradeoff_core import figures
from tradeoff_core.findings import poisons

FIGURE, ADDRESS = "where-it-holds", "poison"


def section(dataset: str) -> None:
    """All of it, where it is measured on a data set."""
    measured = poisons.matrix(dataset)
    if not measured.poisons:
        return
    st.header("Which poisons does it hold for?")
    st.markdown(words.in_short(measured))
    cards.chart(
        figures.where_it_holds(measured),
        name=FIGURE,
        on_select=lambda: _pick(measured.poisons),
        selection_mode="points",
    )
    st.caption(
        "Purple: the training opens the back door, by so many points of backdoor success. Green: it closes it. Empty: not "
        "measured yet. Click a cell for that poison's curve."
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


def _pick(names: tuple[str, ...]) -> None:
    """Note the clicked poison in the address."""
    name = cards.clicked(FIGURE)
    if name in names:
        st.query_params[ADDRESS] = name
