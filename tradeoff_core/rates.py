"""A share with its n, a mean with its spread: every number that is shown, with its 95% interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` of `n`. Its value is NaN when n is 0."""

    count: int
    n: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]."""
        return self.count / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson score interval (Wilson 1927), in [0, 1]."""
        if not self.n:
            return 0.0, 1.0
        z2, p, n = 1.959964**2, self.value, self.n
        centre, half = p + z2 / (2 * n), sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))
        return max(0.0, (centre - half) / (1 + z2 / n)), min(1.0, (centre + half) / (1 + z2 / n))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} ({self.count:,} of {self.n:,}; 95% interval {low:.1%} to {high:.1%})"


def rate(metrics: Mapping[str, Any], name: str) -> Rate:
    """One of the rates of a `metrics` document, with its n."""
    share, n = metrics[name], metrics["backdoor_n" if name == "backdoor_success_rate" else "n"]
    return Rate(0, 0) if share is None or not n else Rate(round(share * n), n)  # of none, the share is NaN


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of `n` values with its 95% interval (normal); NaN of none. `missing` values could not be had."""

    value: float
    half: float
    n: int
    missing: int = 0

    @property
    def interval(self) -> tuple[float, float]:
        """Its lower and its upper end."""
        return self.value - self.half, self.value + self.half


def mean_of(values: NDArray[np.floating[Any]]) -> Mean:
    """The mean of those of the values (N,) that are no NaN."""
    kept = values[~np.isnan(values)]
    missing = len(values) - len(kept)
    if not len(kept):
        return Mean(float("nan"), float("nan"), 0, missing)
    spread = float(kept.std(ddof=1)) if len(kept) > 1 else 0.0
    return Mean(float(kept.mean()), 1.959964 * spread / sqrt(len(kept)), len(kept), missing)
