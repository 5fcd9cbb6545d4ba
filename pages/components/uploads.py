"""Pictures that visitors upload: decoded once, in turn, and no larger than a shared server bears.

How many bytes one may have is said once, in .streamlit/config.toml, which the server enforces and every page shows.
"""

import functools
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from pages.components import visitors_turn
from pages.components.plain_words import refuse
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import read_only
from tradeoff_core.datasets import Fit, read_picture
from tradeoff_core.poisoning.triggers import pattern_from_picture

SIDE = 224  # of a photograph as networks see it
SHARED_PIXELS = 16_000_000  # of a picture at most, where a class shares the server
OWN_STICKER = (
    "my own picture"  # among the patterns of stickers, and what keeps it for the page of photographs
)
MOST_FILES = 2  # of a visitor that the server keeps: a page has one upload


class Use(StrEnum):
    """What an uploaded picture becomes."""

    PHOTOGRAPH = "photograph"  # uint8 (224, 224, 3)
    STICKER = "sticker"  # a pattern, as text


def read(uploaded: UploadedFile | None, key: str, use: Use, until_then: str) -> Any:
    """What the upload of a control becomes; None if there is none, or if it cannot be read, which is said on the page."""
    if uploaded is None:
        return None
    made, wrong = _made(uploaded.getvalue(), uploaded.name[:100], use, read_only())
    if wrong:
        refused(key, wrong, until_then)
    return made


def refused(key: str, error: object, after: str = "") -> None:
    """Say what is wrong with the upload of a control, from which roles.js takes it once another file is tried."""
    with st.container(key=f"{key}-refused"):
        refuse(error, after)


@st.cache_data(max_entries=64, show_spinner="Reading the picture")
@visitors_turn.turn()
def _made(content: bytes, name: str, use: Use, shared: bool) -> tuple[Any, str | None]:
    """What a picture becomes, or what is wrong with it."""
    most = SHARED_PIXELS if shared else None
    try:
        if use is Use.STICKER:
            return pattern_from_picture(content, name, most), None
        fit = Fit(SIDE, SIDE, 3)
        return fit.pixels(read_picture(content, name, max_pixels=most, needed=SIDE)), None
    except TradeoffError as error:
        return None, str(error)


def _few(add: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(add)
    def guarded(self: MemoryUploadedFileManager, session_id: str, file: UploadedFileRec) -> None:
        while len(kept := list(self.file_storage.get(session_id, ()))) >= MOST_FILES:
            self.remove_file(session_id, kept[0])
        add(self, session_id, file)

    return guarded


def keep_few() -> None:
    """Of what a visitor has uploaded keep the newest files alone, whatever their browser says; once for this process."""
    if not hasattr(MemoryUploadedFileManager.add_file, "__wrapped__"):
        MemoryUploadedFileManager.add_file = _few(MemoryUploadedFileManager.add_file)  # type: ignore[method-assign]
