"""A class on one server (`TRADEOFF_READ_ONLY=1`): how many computations run at once.

Without it a visitor is alone on a machine of their own, and nothing waits.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import read_only

PATIENCE = 30.0  # seconds that a visitor waits for a turn

_mine = threading.local()


def turns(asked: str) -> int:
    """How many compute at once: what `TRADEOFF_TURNS` says, one a core if that is no number from 1."""
    return int(asked) if asked.isdecimal() and int(asked) else os.cpu_count() or 1


# For what takes minutes one at a time, for all else one a core that this process may use; shared by all visitors. No cache:
# any visitor's browser may ask Streamlit to clear those.
_CORES = turns(os.environ.get("TRADEOFF_TURNS", ""))
_SLOTS = {True: threading.Semaphore(1), False: threading.Semaphore(_CORES)}


@contextmanager
def turn(long: bool = False) -> Iterator[None]:
    """Wait for a turn and hold it; `@turn()` holds one for each call of a function. A turn within a turn is the same one.

    Raises TradeoffError if none comes.
    """
    if not read_only() or getattr(_mine, "held", False):
        yield
        return
    slots = _SLOTS[long]
    if not slots.acquire(timeout=PATIENCE):
        raise TradeoffError("many visitors compute at the moment: try it again in a minute")
    _mine.held = True
    try:
        yield
    finally:
        _mine.held = False
        slots.release()
