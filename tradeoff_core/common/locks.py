"""Locks on disk that the system frees however the process that holds them ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tradeoff_core.common.errors import TradeoffError

LOCK = ".lock"  # in a run's folder, of the process that trains there


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder while training in it. Raises TradeoffError if another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=2)  # somebody may only be looking whether it is free
    except Timeout:
        raise TradeoffError(
            f"'{folder}' is being trained by another process: wait for it, or stop it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process holds a lock."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False
