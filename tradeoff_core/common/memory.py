"""Telling Linux's allocator, glibc's, what a process is for: a server of many visitors, or a training. Elsewhere nothing."""

import ctypes
import sys
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # of its malloc.h
MOST = 2**31 - 1
LIBRARY: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


def share_arenas() -> None:
    """Let all visitors' threads share two arenas: one each keeps what it once held, and memory grows more."""
    _set(M_ARENA_MAX, 2)


def give_back() -> None:
    """Give the system the pages that nobody holds: they are kept where one above is held."""
    if hasattr(LIBRARY, "malloc_trim"):
        LIBRARY.malloc_trim(0)


def keep_for_the_next_step() -> None:
    """Keep what a training step frees: the system would clear every page anew, up to a quarter of a photographs' step."""
    _set(M_MMAP_MAX, 0)
    _set(M_TRIM_THRESHOLD, MOST)


def _set(option: int, value: int) -> None:
    if hasattr(LIBRARY, "mallopt"):
        LIBRARY.mallopt(option, value)
