"""What Streamlit's own elements lack: roles, sections that fold by keys, a hint at columns beyond the edge, uploads that forget what was wrong,
a sidebar that goes on a phone."""

from pathlib import Path

import streamlit as st

mended = st.components.v2.component(
    "roles", js=Path(__file__).with_name("roles.js").read_text(encoding="utf-8")
)
