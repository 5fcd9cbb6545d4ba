"""How long something takes, told so that a slow or busy machine fails no test."""

import time
from collections.abc import Callable

import numpy as np

USUAL = 0.06  # processor seconds of `_work` on the machine that the limits were measured on


def least_seconds(act: Callable[[], object], tries: int = 3) -> float:
    """The processor seconds that `act` takes at its quickest, divided by how much slower than usual this machine is."""
    least = min(_seconds(act) for _ in range(tries))
    return least / max(1.0, min(_seconds(_work) for _ in range(3)) / USUAL)


def _seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def _work() -> None:
    """Half of it numpy's, half of it Python's."""
    matrix = np.random.default_rng(0).normal(size=(330, 330))
    np.linalg.svd(matrix)
    sum(number * number for number in range(500_000))
