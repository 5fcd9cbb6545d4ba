"""A figure to take along: as a picture for a page or a slide, whatever the screen is, and as a table."""

import json
from functools import cache
from pathlib import Path

import pandas as pd
import streamlit as st
from plotly.offline import get_plotlyjs
from streamlit.components.v2.types import ComponentRenderer
from streamlit.runtime.scriptrunner import get_script_run_ctx

from tradeoff_core import figures
from tradeoff_core.figures.plain import Figure


@cache
def printing() -> ComponentRenderer:
    """The component that lays a figure out for print; with plotly.js it is large, and few need it."""
    text = {
        kind: Path(__file__).with_name(f"print.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    }
    return st.components.v2.component("print", **text | {"js": f"{get_plotlyjs()}\n{text['js']}"})


@st.dialog("Take it along", width="large")
def dialog(figure: Figure, name: str) -> None:
    """The figure as a picture that is previewed, and as a table."""
    printing()(
        key=f"{name}-print",
        data={
            "figure": json.loads(figure.for_print().to_json()),
            "name": name,
            "alt": figures.described(figure),
        },
    )
    st.dataframe(
        pd.DataFrame(figures.points_of(figure), columns=list(figures.COLUMNS), dtype=str),
        hide_index=True,
        height=300,
    )


def button(figure: Figure, name: str) -> None:
    """What opens the dialog; of several that are pressed at once, the first does."""
    pressed = st.button(
        "Picture and table", type="tertiary", icon=":material/picture_as_pdf:", key=f"{name}-take-along"
    )
    context = get_script_run_ctx()
    if pressed and context and not context.has_dialog_opened:
        dialog(figure, name)
