"""What the defenses that look at a training set share: a class's features in, a verdict on every example out."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import Floats, features_of, predicted_classes
from tradeoff_core.poisoning.poison import PoisonedDataset
from tradeoff_core.rates import Rate

FEWEST = 10  # examples of a class below which no defense says anything


@dataclass(frozen=True, slots=True)
class ClassFeatures:
    """The training examples that carry one label, as the network sees them at one layer.

    `index` (N,) counts in the training set, `features` is (N, D), `poisoned` (N,) is the truth.
    """

    label: int
    index: NDArray[np.int64]
    features: Floats
    poisoned: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Examples:
    """What a page shows of the training examples of a class: as the network sees them at a layer, and reads them.

    `predicted` (N,) is what it says of each; `checksum` tells the pixels that both were computed from.
    """

    seen: ClassFeatures
    layer: str
    predicted: NDArray[np.int64]
    checksum: int


def checksum(images: NDArray[np.uint8]) -> int:
    """The CRC-32 of images (N, H, W, C)."""
    return zlib.crc32(np.ascontiguousarray(images).data)


def are_those(images: NDArray[np.uint8], index: NDArray[np.int64], known: int) -> bool:
    """Whether the ones at `index` of images (N, H, W, C) have this checksum: the same pictures, stamped alike."""
    return bool(index.max() < len(images)) and checksum(images[index]) == known


def read_examples(network: Network, training: PoisonedDataset, label: int, layer: str) -> Examples:
    """Read the training examples labelled `label`. Raises TradeoffError as `class_features` does."""
    seen = class_features(network, training, label, layer)
    images = training.data.images[seen.index]
    return Examples(seen, layer, predicted_classes(network, images), checksum(images))


def class_features(
    network: Network, training: PoisonedDataset, label: int, layer: str = "penultimate"
) -> ClassFeatures:
    """The features of the training examples labelled `label`, as they were trained on.

    Raises TradeoffError if there are fewer than ten of them, or for a layer that the network does not have.
    """
    index = np.flatnonzero(training.data.labels == label)
    if len(index) < FEWEST:
        raise TradeoffError(
            f"class {label} has {len(index)} training examples: a defense needs at least {FEWEST} to compare"
        )
    features = features_of(network, training.data.images[index], layer)
    return ClassFeatures(label, index, checked(features), training.poisoned[index])


def checked(features: Floats) -> Floats:
    """The features (N, D) if a defense can work on them; a column that does not vary does no harm.

    Raises TradeoffError if there are fewer than ten rows, if a value is NaN or infinite, or if all rows agree.
    """
    if features.ndim != 2 or len(features) < FEWEST:
        raise TradeoffError(
            f"features of shape {tuple(features.shape)}: a defense needs at least {FEWEST} rows to compare"
        )
    broken = np.asarray(~np.isfinite(features).all(axis=0))
    if broken.any():
        raise TradeoffError(
            f"{broken.sum()} of {broken.size} features hold NaN or infinite values: the network is broken there"
        )
    if (features == features[0]).all():
        raise TradeoffError("the features are the same for every example: nothing stands out at this layer")
    return features


def share_to_remove(examples: ClassFeatures, rate: float | None) -> float:
    """The share of a class that a defense removes: `rate`, by default the true share of poison, as in Weng et al.

    Raises TradeoffError for the true share of a class without poison, or of nothing else.
    """
    if rate is not None:
        return rate
    true = float(examples.poisoned.mean())
    if not 0 < true < 1:
        kind = "poisoned" if true else "clean"
        raise TradeoffError(
            f"every training example of class {examples.label} is {kind}, so there is no true share to remove: "
            "give a removal rate"
        )
    return true


@dataclass(frozen=True, slots=True)
class Detection:
    """What a defense says of N training examples; every field is an array (N,).

    `index` counts in the training set, `scores` are higher for what is more suspicious, `removed` is the
    verdict, and `poisoned` is the truth, which no defense is told.
    """

    index: NDArray[np.int64]
    scores: Floats
    removed: NDArray[np.bool_]
    poisoned: NDArray[np.bool_]

    @property
    def detection_rate(self) -> Rate:
        """Share of the poisoned examples that are removed."""
        return Rate(int((self.removed & self.poisoned).sum()), int(self.poisoned.sum()))

    @property
    def false_positive_rate(self) -> Rate:
        """Share of the clean examples that are removed."""
        return Rate(int((self.removed & ~self.poisoned).sum()), int((~self.poisoned).sum()))

    @property
    def chance(self) -> float:
        """The detection rate expected of removing as many at random."""
        return float(self.removed.mean())

    @property
    def mean_deviation(self) -> float:
        """Mean score of the poisoned minus mean score of the clean examples; NaN if one kind is absent."""
        if not self._both_kinds:
            return float("nan")
        return float(self.scores[self.poisoned].mean() - self.scores[~self.poisoned].mean())

    @property
    def auroc(self) -> float:
        """Chance that a poisoned example scores above a clean one; 0.5 is guessing. NaN if one kind is absent."""
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(self.poisoned, self.scores)) if self._both_kinds else float("nan")

    @property
    def average_precision(self) -> float:
        """Mean precision over the poisoned examples in order of score; guessing gives the poison's share."""
        from sklearn.metrics import average_precision_score

        if not self._both_kinds:
            return float("nan")
        return float(average_precision_score(self.poisoned, self.scores))

    def roc(self) -> tuple[Floats, Floats]:
        """False positive rates and detection rates at every threshold. Raises TradeoffError without poison."""
        from sklearn.metrics import roc_curve

        if not self._both_kinds:
            raise TradeoffError("a ROC curve needs poisoned and clean examples, and here is one kind only")
        false, found, _ = roc_curve(self.poisoned, self.scores)
        return false, found

    @property
    def _both_kinds(self) -> bool:
        return bool(self.poisoned.any() and not self.poisoned.all())

    def document(self) -> dict[str, Any]:
        """The numbers as the command `detect` prints them; a rate of nothing is NaN."""
        return {
            "n_target": len(self.index),
            "n_poisoned": int(self.poisoned.sum()),
            "n_removed": int(self.removed.sum()),
            "detection_rate": self.detection_rate.value,
            "false_positive_rate": self.false_positive_rate.value,
            "auroc": self.auroc,
            "average_precision": self.average_precision,
            "chance": self.chance,
            "mean_deviation": self.mean_deviation,
        }
