"""The game for a class: everybody's marks against chance, counted in the browser of whoever shows the page."""

from pathlib import Path

import streamlit as st
from numpy.typing import NDArray

from pages.components.words import classroom as words
from tradeoff_core.findings.game import DEALT, Game

KEY = "classroom"
counted = st.components.v2.component(
    KEY,
    **{
        kind: Path(__file__).with_name(f"classroom.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    },
)


def show(game: Game, number: int, truth: NDArray, dealt_by: str) -> None:
    """This person's code for a level's hand, and the count of everybody's; `truth` (24,) is which images are poisoned."""
    with st.expander(words.TITLE, icon=":material/groups:"):
        st.markdown(words.EXPLAINED)
        st.code(game.code(number), language=None)
        counted(
            key=f"{KEY}-{dealt_by}-{number}-{game.deals.get(number, 0)}",
            data={
                "hand": game.code(number).rpartition(".")[0],
                "mine": game.code(number),
                "truth": truth.astype(int).tolist(),
                "dealt": DEALT,
                "words": words.FIXED,
            },
        )
