"""The browser's history: whatever a visitor does is one step of it, which Back undoes.

Streamlit itself replaces the address when a control is moved, and adds a step for each address that its server sends.
"""

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

one_step_each = st.components.v2.component(
    "history", js=Path(__file__).with_name("history.js").read_text(encoding="utf-8")
)


def moved() -> bool:
    """Whether Back or Forward brought the visitor here: then the address says what is shown, and not the session."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation
