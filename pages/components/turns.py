"""A class on one server (`TRADEOFF_READ_ONLY=1`): how many computations run at once, and how large an upload may be.

Without it a visitor is alone on a machine of their own, and nothing waits.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import read_only

PATIENCE = 30.0  # seconds that a visitor waits for a turn
SHARED_MEGABYTES = 5  # of an upload, where a class shares the server

_mine = threading.local()


@st.cache_resource(show_spinner=False)
def _slots() -> dict[bool, threading.Semaphore]:
    """For what takes minutes one at a time, for all else one a core; shared by all visitors."""
    return {True: threading.Semaphore(1), False: threading.Semaphore(os.cpu_count() or 1)}


@contextmanager
def turn(long: bool = False) -> Iterator[None]:
    """Wait for a turn and hold it; `@turn()` holds one for each call of a function. A turn within a turn is the same one.

    Raises TradeoffError if none comes.
    """
    if not read_only() or getattr(_mine, "held", False):
        yield
        return
    slots = _slots()[long]
    if not slots.acquire(timeout=PATIENCE):
        raise TradeoffError("many visitors compute at the moment: try it again in a minute")
    _mine.held = True
    try:
        yield
    finally:
        _mine.held = False
        slots.release()


def most_megabytes(alone: int) -> int:
    """How large an upload may be that takes up to `alone` on a machine of one's own."""
    return min(alone, SHARED_MEGABYTES) if read_only() else alone
