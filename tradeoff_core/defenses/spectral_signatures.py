"""Spectral signatures (Tran, Li, Madry, NeurIPS 2018): poison stands out along one direction of the features.

Centre the features of a class, take their top right singular vector, score every example by the length of its
projection on it, remove the highest scores. The paper removes 1.5 times the expected poison; Weng et al. remove
exactly as many as were poisoned, which is what makes chance equal to the share of poison.
"""

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.defenses.detection import ClassFeatures, Detection, checked
from tradeoff_core.networks.inference import Floats


def top_directions(features: Floats, count: int = 1) -> Floats:
    """The top right singular vectors (count, D) of the centred features (N, D), largest first.

    By the Lanczos method, which multiplies with the features some twenty times instead of decomposing them. A
    vector's sign is such that its largest entry is positive. Raises TradeoffError if the features do not have
    so many directions, hold NaN, or are too large or too small to be squared.
    """
    from scipy.sparse.linalg import ArpackError, LinearOperator, svds  # takes half a second to import

    features = checked(features)
    if not 1 <= count < min(features.shape):
        raise TradeoffError(
            f"{count} directions of features of shape {tuple(features.shape)}: choose 1 to {min(features.shape) - 1}"
        )
    mean = features.mean(axis=0)

    def project(vectors: Floats) -> Floats:  # (D[, k]) -> (N[, k]), centred without a copy of the features
        product: Floats = features @ vectors - mean @ vectors
        return product

    def back(vectors: Floats) -> Floats:  # (N[, k]) -> (D[, k])
        total = vectors.sum(axis=0)
        product: Floats = features.T @ vectors - (
            np.outer(mean, total) if vectors.ndim == 2 else mean * total
        )
        return product

    operator = LinearOperator(
        features.shape, matvec=project, rmatvec=back, matmat=project, rmatmat=back, dtype=features.dtype
    )
    try:
        _, values, vectors = svds(operator, k=count, rng=np.random.default_rng(0))
    except ArpackError:  # squares that overflow, or vanish
        raise TradeoffError(
            "the features are too large or too small to be compared: the network is broken there"
        ) from None
    vectors = vectors[np.argsort(-values)]
    largest = np.abs(vectors).argmax(axis=1)
    directions: Floats = vectors * np.sign(vectors[np.arange(count), largest])[:, None]
    return directions


def spectral_scores(features: Floats, *, centred: bool = True) -> Floats:
    """The score (N,) of every row of features (N, D): |projection| on the top direction of the centred features.

    `centred=False` projects the features as they are, as the code of Weng et al. does and not the method: then
    the scores move with the features' mean. Raises TradeoffError for features that hold NaN or do not vary.
    """
    direction = top_directions(features)[0]
    origin = features.mean(axis=0) @ direction if centred else 0.0
    scores: Floats = np.abs(features @ direction - origin)
    return scores


def removal_count(rate: float, examples: int) -> int:
    """How many examples a removal rate comes to. Raises TradeoffError for a rate that removes none or all."""
    if not 0 < rate < 1:
        meaning = "would remove the whole class" if rate >= 1 else "removes nothing"
        raise TradeoffError(f"a removal rate of {rate:g} {meaning}: choose above 0 and below 1")
    count = round(rate * examples)
    if count in (0, examples):
        raise TradeoffError(f"a removal rate of {rate:g} comes to {count} of {examples} examples: change it")
    return count


def highest(scores: Floats, count: int) -> NDArray[np.bool_]:
    """The `count` highest of the scores (N,) as a mask; of equal ones the first in the data set."""
    removed = np.zeros(len(scores), dtype=bool)
    removed[np.argsort(-scores, kind="stable")[:count]] = True
    return removed


def detect(examples: ClassFeatures, remove_rate: float, *, centred: bool = True) -> Detection:
    """Score the examples of a class and remove the given share of them."""
    count = removal_count(remove_rate, len(examples.index))
    scores = spectral_scores(examples.features, centred=centred)
    return Detection(examples.index, scores, highest(scores, count), examples.poisoned)
