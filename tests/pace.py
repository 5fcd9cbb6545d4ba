"""How long something takes, told so that a slow or busy machine fails no test."""

import time
from collections.abc import Callable

import numpy as np

USUAL = 0.07  # processor seconds of `_work` on the machine that the limits were measured on


def least_seconds(act: Callable[[], object], tries: int = 3) -> float:
    """The processor seconds that `act` takes at its quickest, divided by how much slower than usual the machine is just then."""
    return min(_seconds(act) / max(1.0, _seconds(_work) / USUAL) for _ in range(tries))


def _seconds(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def _work() -> None:
    """Half of it numpy's on more than a core's own cache holds, half of it Python's."""
    matrix = np.random.default_rng(0).normal(size=(8000, 150))
    for _ in range(3):
        np.cov(matrix, rowvar=False)
    sum(number * number for number in range(300_000))
