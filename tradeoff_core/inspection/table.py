"""What is known of every training example with one label: a table of scores, for a person to sort and to filter by."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from tradeoff_core.datasets import evenly_spaced
from tradeoff_core.defenses import activation_clustering, spectral_signatures
from tradeoff_core.defenses.detection import Examples
from tradeoff_core.defenses.neural_cleanse import Triggers
from tradeoff_core.inspection.looking import look
from tradeoff_core.inspection.neighbours import nearest_distances, squared_distances
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import Floats, features_of, predict
from tradeoff_core.poisoning.poison import PoisonedDataset

MOST_COMPARED, OF_EACH = 1000, 50  # training examples among which the nearest is sought, and of each class
LEAST_CONFIDENCE = 1e-12  # below which a loss is not told apart
GREY = 1  # channels of images that are quick to attribute: those of a class take a second, of photographs minutes


class Score(StrEnum):
    """The columns, each in the words of its file."""

    SPECTRAL = "spectral"
    CLUSTER = "cluster"
    SILHOUETTE = "silhouette"
    LOSS = "loss"
    SELF_CONFIDENCE = "self_confidence"
    CONFIDENCE = "confidence"
    DISTANCE = "distance"
    NEIGHBOUR = "neighbour_label"
    NEAREST = "nearest_distance"
    DISAGREEMENT = "disagreement"
    PATCH = "patch_share"
    COVERED = "covered_drop"
    MASK = "mask_share"


LOW_IS_SUSPICIOUS = (Score.SILHOUETTE, Score.SELF_CONFIDENCE, Score.CONFIDENCE, Score.NEAREST)
MEAN_RANK = "mean_rank"  # the mean of all columns' percentiles


@dataclass(frozen=True, slots=True)
class Table:
    """N training examples with one label; every array is (N,).

    `index` counts in the training set, `predicted` is what the network reads, `poisoned` the truth, `checksum` tells
    the pictures. Of `columns`, `cluster` is how much nearer an example lies to the smaller cluster (above 0: in it),
    `neighbour_label` a class, `disagreement` how far the percentiles of spectral signatures and clustering lie apart,
    `patch_share` the share of the input gradient in the strongest patch, `covered_drop` the confidence in the label that
    is lost once that is covered, and `mask_share` the share under the class's rebuilt trigger. Those that need pictures
    are absent without them, the last three for photographs, and the last without a rebuilt trigger.
    """

    label: int
    layer: str
    checksum: int
    index: NDArray[np.int64]
    predicted: NDArray[np.int64]
    poisoned: NDArray[np.bool_]
    columns: Mapping[Score, Floats]

    def suspicion(self, score: Score) -> Floats:
        """A column (N,) turned so that more is more suspicious."""
        column = self.columns[score]
        if score is Score.NEIGHBOUR:
            other: Floats = (column != self.label).astype(np.float64)
            return other
        return -column if score in LOW_IS_SUSPICIOUS else column

    def percentiles(self, score: Score) -> Floats:
        """The share (N,) of examples that are no more suspicious than each, in [0, 1]."""
        return ranks(self.suspicion(score))

    def suspicions(self) -> dict[str, Floats]:
        """Every column (N,) turned so that more is more suspicious, and the mean of their percentiles."""
        turned = {score.value: self.suspicion(score) for score in self.columns}
        mean: Floats = np.mean([ranks(one) for one in turned.values()], axis=0)
        return turned | {MEAN_RANK: mean}


def ranks(suspicion: Floats) -> Floats:
    """The share (N,) of values that are no higher than each, in [0, 1]."""
    return np.searchsorted(np.sort(suspicion), suspicion, side="right") / len(suspicion)


def tabulate(
    network: Network,
    examples: Examples,
    training: PoisonedDataset | None,
    triggers: Triggers | None = None,
    seed: int = 0,
) -> Table:
    """The table of the examples of a class, from their features at their layer and the network's answers.

    Without the training set only what its features tell. Raises TradeoffError for features that hold NaN or do not vary.
    """
    seen, features = examples.seen, examples.seen.features
    clusters = activation_clustering.cluster(activation_clustering.reduce(features, seed=seed), seed)
    columns: dict[Score, Floats] = {
        Score.SPECTRAL: spectral_signatures.spectral_scores(features),
        Score.CLUSTER: clusters.scores,
        Score.SILHOUETTE: _silhouettes(clusters.points, clusters.cluster),
        Score.DISTANCE: np.sqrt(squared_distances(features, features.mean(axis=0, keepdims=True))[:, 0]),
        Score.NEAREST: nearest_distances(features),
    }
    columns[Score.DISAGREEMENT] = np.abs(ranks(columns[Score.SPECTRAL]) - ranks(columns[Score.CLUSTER]))
    probabilities = _probabilities(network, examples, training)
    if probabilities is not None:
        own = probabilities[:, seen.label]
        columns[Score.LOSS] = -np.log(own.clip(LEAST_CONFIDENCE))
        columns[Score.SELF_CONFIDENCE] = own
        columns[Score.CONFIDENCE] = probabilities.max(axis=1)
    if training is not None:
        columns[Score.NEIGHBOUR] = _nearest_labels(network, examples, training).astype(np.float64)
        if training.data.image_shape[0] == GREY and probabilities is not None:
            columns |= _looked_at(
                network, training.data.images[seen.index], seen.label, probabilities, triggers
            )
    return Table(
        seen.label,
        examples.layer,
        examples.checksum,
        seen.index,
        examples.predicted,
        seen.poisoned,
        {score: columns[score] for score in Score if score in columns},
    )


def _looked_at(
    network: Network,
    images: NDArray[np.uint8],
    label: int,
    probabilities: Floats,
    triggers: Triggers | None,
) -> dict[Score, Floats]:
    """What the network looks at in images (N, H, W, C), by the columns."""
    found = look(network, images, label)
    columns = {Score.PATCH: found.share, Score.COVERED: probabilities[:, label] - found.confidence}
    if triggers is not None:
        mask = triggers.masks[label].numpy()
        inside, all_of_it = ((found.saliency * part).sum(axis=(1, 2)) for part in (mask, np.ones_like(mask)))
        columns[Score.MASK] = inside / np.maximum(all_of_it, LEAST_CONFIDENCE)
    return columns


def _silhouettes(points: Floats, cluster: NDArray[np.int64]) -> Floats:
    from sklearn.metrics import silhouette_samples

    values: Floats = silhouette_samples(points, cluster)
    return values


def _probabilities(network: Network, examples: Examples, training: PoisonedDataset | None) -> Floats | None:
    """What the network answers (N, classes): the features at its last layer are all that its head needs."""
    if examples.layer == network.layers[-1]:
        weight = network.head.weight
        features = torch.from_numpy(examples.seen.features).to(weight)
        with torch.inference_mode():
            answers: Floats = network.head(features).softmax(1).cpu().numpy()
        return answers
    if training is None:
        return None
    answers = predict(network, training.data.images[examples.seen.index]).numpy()
    return answers


def _nearest_labels(network: Network, examples: Examples, training: PoisonedDataset) -> NDArray[np.int64]:
    """The label (N,) of the nearest, among the features, of as many training examples of each class, itself left out."""
    labels, seen = training.data.labels, examples.seen
    each = max(1, min(OF_EACH, MOST_COMPARED // len(training.data.classes)))
    places = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    compared = np.concatenate([of_class[evenly_spaced(len(of_class), each)] for of_class in places])
    features = features_of(network, training.data.images[compared], examples.layer)
    distances = squared_distances(seen.features, features)
    distances[seen.index[:, None] == compared[None, :]] = np.inf
    nearest: NDArray[np.int64] = labels[compared[distances.argmin(axis=1)]]
    return nearest
