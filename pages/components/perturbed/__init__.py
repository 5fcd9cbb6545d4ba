"""Pictures that follow an ε slider in the browser, which the mouse, a finger or arrow keys move and the address keeps."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from pages.components.words.models import verdict
from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.figures.pictures import PictureRow, png_uri

KEY, IN_ADDRESS = "perturbed", "epsilon"
drawn = st.components.v2.component(
    "perturbed",
    **{
        kind: Path(__file__).with_name(f"perturbed.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    },
)


def chosen(epsilons: Sequence[float], start: int) -> int:
    """The place of the ε that the address names, or of the one to start with where it names none of these."""
    names = [in_levels(epsilon) for epsilon in epsilons]
    named = st.query_params.get(IN_ADDRESS)
    return names.index(named) if named in names else start


def show(
    rows: Sequence[PictureRow], sentences: Sequence[str], epsilons: Sequence[float], at: int, label: str
) -> None:
    """The rows and the sentence at every ε, or at `at` alone, where the slider stands then until the others are there."""
    side = rows[0].pictures[0].shape[1]

    def moved() -> None:
        place = st.session_state[KEY].get("at")
        if type(place) is int and 0 <= place < len(epsilons):  # a browser sends anything
            st.query_params[IN_ADDRESS] = in_levels(epsilons[place])

    drawn(
        key=KEY,
        data={
            "label": label,
            "wrong": verdict(False),
            "epsilons": [in_levels(epsilon) for epsilon in epsilons],
            "at": at,
            "sentences": list(sentences),
            "least": 120 if side > 128 else 60,
            "most": 224 if side > 128 else 84,
            "rows": [
                {
                    "title": row.title,
                    "pictures": [[png_uri(image) for image in images] for images in row.pictures],
                    "captions": row.captions,
                }
                for row in rows
            ],
        },
        on_at_change=moved,
    )
