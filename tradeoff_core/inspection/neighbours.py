"""More like this: the examples that lie nearest among the features."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.networks.inference import Floats

AT_ONCE = 1000  # examples whose distances to all others are held


def squared_distances(features: Floats, others: Floats) -> Floats:
    """Squared Euclidean distances (N, M) of features (N, D) and others (M, D), by one product of matrices."""
    origin = others.mean(axis=0)  # near zero little is lost when squares are subtracted
    left, right = features - origin, others - origin
    distances: Floats = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    return np.maximum(distances, 0, out=distances)


def nearest_distances(features: Floats) -> Floats:
    """The distance (N,) of each example to the nearest other one among features (N, D): 0 for a duplicate."""
    found = []
    for start in range(0, len(features), AT_ONCE):
        distances = squared_distances(features[start : start + AT_ONCE], features)
        distances[np.arange(len(distances)), start + np.arange(len(distances))] = np.inf
        found.append(distances.min(axis=1))
    nearest_ones: Floats = np.sqrt(np.concatenate(found))
    return nearest_ones


def nearest(features: Floats, places: Sequence[int], count: int) -> NDArray[np.int64]:
    """The places (at most count,) of the examples nearest to any of the chosen ones, which are left out, nearest first.

    Raises TradeoffError for no choice, and for a place that is none of the features' (N, D).
    """
    chosen = np.unique(np.asarray(places, dtype=np.int64))
    if not len(chosen):
        raise TradeoffError("choose at least one example to find more like it")
    if chosen[0] < 0 or chosen[-1] >= len(features):
        wrong = chosen[0] if chosen[0] < 0 else chosen[-1]
        raise TradeoffError(f"there is no example at place {wrong}: they go from 0 to {len(features) - 1}")
    distances = squared_distances(features, features[chosen]).min(axis=1)
    distances[chosen] = np.inf
    return np.argsort(distances, kind="stable")[: min(count, len(features) - len(chosen))]
