"""Parts of a page that are drawn again alone."""

import functools
from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.components.plain_words import refuse
from tradeoff_core.common.errors import TradeoffError


def fragment(draw: Callable[..., None]) -> Callable[..., None]:
    """Like st.fragment; an error that a user can cause is one sentence also where only the fragment runs again."""

    @functools.wraps(draw)
    def guarded(*arguments: Any) -> None:
        try:
            draw(*arguments)
        except TradeoffError as error:
            refuse(error)

    return st.fragment(guarded)
