"""What others wrote, put on a page as they wrote it: names, messages that quote them."""

import re

import streamlit as st

from tradeoff_core.common.names import one_line

# what begins a link, a picture, a formula, code or emphasis; an underline within a word is none
MARKS = re.compile(r"[\\\[\]<>`*$~]|(?<!\w)_|_(?!\w)|:(?=material/|[a-z-]+\[)")


def escaped(text: str) -> str:
    """The text for Markdown that shows it as it is, on one line."""
    return MARKS.sub(r"\\\g<0>", one_line(" ".join(text.split())))


def refuse(error: object, after: str = "") -> None:
    """Say on the page what cannot be, and what follows."""
    st.error(f"{escaped(str(error))}{after}", icon=":material/error:")
