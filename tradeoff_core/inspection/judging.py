"""What marks and scores are worth: against another's, and against the truth where it is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.defenses.detection import Detection
from tradeoff_core.inspection.review import Mark
from tradeoff_core.networks.inference import Floats
from tradeoff_core.rates import Rate

MOST_OF_IT = 0.9  # the share of the poison that is worth telling how long it takes to find


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often two agree of `n` examples over which both decided, and Cohen's kappa: that, beyond chance.

    Kappa is NaN where one says the same of all: luck then explains every agreement.
    """

    n: int
    agreed: int
    kappa: float


def agreement(mine: Mapping[int, Mark], theirs: Mapping[int, Mark]) -> Agreement:
    """Of the examples that both keep or remove; unsure is no decision."""
    decided = (Mark.KEEP, Mark.REMOVE)
    both = [one for one in mine if mine[one] in decided and theirs.get(one) in decided]
    left, right = [mine[one] for one in both], [theirs[one] for one in both]
    agreed = sum(one is other for one, other in zip(left, right, strict=True))
    if len({*left}) < 2 or len({*right}) < 2:
        return Agreement(len(both), agreed, float("nan"))
    from sklearn.metrics import cohen_kappa_score

    return Agreement(len(both), agreed, float(cohen_kappa_score(left, right)))


def verdict(index: NDArray[np.int64], removed: NDArray[np.bool_]) -> dict[int, Mark]:
    """What a defense says of examples (N,), as marks."""
    return {int(one): Mark.REMOVE if out else Mark.KEEP for one, out in zip(index, removed, strict=True)}


@dataclass(frozen=True, slots=True)
class Judged:
    """Of what is removed the share that is poisoned, and of the poison the share that is removed."""

    precision: Rate
    recall: Rate


def judged(removed: NDArray[np.bool_], poisoned: NDArray[np.bool_]) -> Judged:
    """What removing some of N examples is worth; both are (N,)."""
    right = int((removed & poisoned).sum())
    return Judged(Rate(right, int(removed.sum())), Rate(right, int(poisoned.sum())))


def most_suspicious(suspicion: Floats, count: int) -> NDArray[np.bool_]:
    """The `count` most suspicious (N,), as a mask, in the order of `in_order`."""
    removed = np.zeros(len(suspicion), dtype=bool)
    removed[in_order(suspicion)[:count]] = True
    return removed


def in_order(suspicion: Floats) -> NDArray[np.int64]:
    """The places (N,) of the examples as a reviewer would look at them: most suspicious first.

    Equal ones are shuffled, always alike: their order in the data set may tell which are poisoned.
    """
    shuffled = np.random.default_rng(0).permutation(len(suspicion))
    return shuffled[np.argsort(-suspicion[shuffled], kind="stable")]


def reviewers_curve(order: NDArray[np.int64], poisoned: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many poisoned ones are among the first 0, 1, ... k looked at (k + 1,); `order` (k,) are places in `poisoned` (N,)."""
    return np.concatenate([[0], np.cumsum(poisoned[order])])


def looks_until(curve: NDArray[np.int64], poisoned: int, share: float = MOST_OF_IT) -> int | None:
    """How many are looked at until so much of the poison is found, None if it never is."""
    enough = np.flatnonzero(curve >= np.ceil(share * poisoned))
    return int(enough[0]) if poisoned and len(enough) else None


def worth(index: NDArray[np.int64], suspicion: Floats, poisoned: NDArray[np.bool_]) -> dict[str, Any]:
    """What sorting examples (N,) by a score is worth, as documents have it.

    `precision` is where as many are removed as are poisoned, and `looks_until_90` how many are looked at, most suspicious
    first, until 90% of the poison is found; both are None without poison.
    """
    count = int(poisoned.sum())
    removed = most_suspicious(suspicion, count)
    detection = Detection(index, suspicion, removed, poisoned)
    return {
        "auroc": detection.auroc,
        "average_precision": detection.average_precision,
        "precision": judged(removed, poisoned).precision.value if count else None,
        "chance": count / len(index),
        "looks_until_90": looks_until(reviewers_curve(in_order(suspicion), poisoned), count),
    }
