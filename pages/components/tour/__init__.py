"""The tour over the pages by the arrow keys or a clicker, and the look for a projector. Both live in the browser alone.

The address says which step it is (`tour`), so a reload keeps it, and sets the page's state as any shared address does.
"""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from pages.components.words.tour import PAIR, STEPS

tour = st.components.v2.component("tour", js=Path(__file__).with_name("tour.js").read_text(encoding="utf-8"))


@cache
def _steps(base: str) -> list[dict[str, Any]]:
    return [
        {
            "address": f"{base}/{'' if step.page == 'overview' else step.page}?"
            + urlencode({"tour": number, **PAIR, **step.state}),
            "shows": step.shows,
            "sentence": step.sentence,
            "note": step.note,
        }
        for number, step in enumerate(STEPS, start=1)
    ]


def offered() -> None:
    """Make it there on this page: its keys, and its bar where the address names a step."""
    base = st.get_option("server.baseUrlPath").strip("/")
    tour(key="tour", data={"steps": _steps(f"/{base}" if base else "")})
