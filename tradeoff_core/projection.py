"""Features in a plane or in space, to look at: principal components at once, t-SNE in a few stages."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from tradeoff_core.attacks import perturb
from tradeoff_core.datasets import ImageDataset, evenly_spaced, to_tensor, to_uint8
from tradeoff_core.defenses.detection import Floats
from tradeoff_core.errors import TradeoffError
from tradeoff_core.evaluation import features_of, predicted_classes
from tradeoff_core.networks import Network
from tradeoff_core.poisoning import PoisonedDataset
from tradeoff_core.specs import ExperimentSpec

STAGES, ROUNDS = (
    4,
    250,
)  # of t-SNE: the first one with early exaggeration, and the least that scikit-learn takes
PERPLEXITY = 30.0
FEWEST = 4
AT_ONCE = 100  # images that are attacked together
GROUPS = ("clean, other classes", "clean, target class", "poisoned", "stamped", "adversarial")


@dataclass(frozen=True, slots=True)
class Crowd:
    """Images of several groups as a network sees them: uint8 (N, H, W, C), and for each what it is.

    `group` (N,) counts in GROUPS, `labels` (N,) are the labels they carry, `read` (N,) what the network says,
    `features` (N, D) what is before its answer.
    """

    images: NDArray[np.uint8]
    group: NDArray[np.int64]
    labels: NDArray[np.int64]
    read: NDArray[np.int64]
    features: Floats


def gather(
    network: Network, spec: ExperimentSpec, test: ImageDataset, training: PoisonedDataset | None, count: int
) -> Crowd:
    """At most `count` images of each group, evenly spaced, in the order of GROUPS.

    Poisoned ones are training images. The others are test images: untouched, of other classes and of the target;
    then the same ones of other classes with the trigger on, and attacked as the spec's evaluation says.
    """
    is_target = test.labels == spec.target_class
    others = _some(test, ~is_target, count)
    images, labels = to_tensor(others[0]), torch.from_numpy(others[1].astype(np.int64))
    generator = torch.Generator().manual_seed(spec.seed)
    attacked = [
        perturb(network, batch, given, spec.evaluation, generator)
        for batch, given in zip(torch.split(images, AT_ONCE), torch.split(labels, AT_ONCE), strict=True)
    ]
    parts = [
        others,
        _some(test, is_target, count),
        _some(training.data, training.poisoned, count) if training else (others[0][:0], others[1][:0]),
        (to_uint8(spec.trigger.apply(images)), others[1]),
        (to_uint8(torch.cat(attacked)), others[1]),
    ]
    pixels = np.concatenate([part for part, _ in parts])
    return Crowd(
        pixels,
        np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts]),
        np.concatenate([labelled for _, labelled in parts]),
        predicted_classes(network, pixels),
        features_of(network, pixels, network.layers[-1]),
    )


def _some(
    data: ImageDataset, where: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """At most `count` of the images that a mask (N,) chooses, evenly spaced, and their labels."""
    index = np.flatnonzero(where)
    few = index[evenly_spaced(len(index), count)]
    return data.images[few], data.labels[few]


def principal(features: Floats, dimensions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first principal components (N, dimensions) of features (N, D), and the share of variance of each.

    Raises TradeoffError as `check` does.
    """
    check(features, dimensions)
    found = PCA(dimensions, svd_solver="covariance_eigh" if features.shape[1] <= 2048 else "auto").fit(
        features
    )
    return found.transform(features).astype(np.float64), found.explained_variance_ratio_


def neighbours(
    features: Floats, dimensions: int, progress: Callable[[float], None] | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """The t-SNE embedding (N, dimensions) of features (N, D): near ones stay near, distances mean nothing else.

    van der Maaten and Hinton (2008), started at the principal components. Raises TradeoffError as `check` does.
    """
    check(features, dimensions)
    start, _ = principal(features, min(50, *features.shape))
    points = start[:, :dimensions] / start[:, 0].std() * 1e-4
    for stage in range(STAGES):
        points = TSNE(
            dimensions,
            perplexity=min(PERPLEXITY, (len(features) - 1) / 3),
            early_exaggeration=12.0 if stage == 0 else 1.0,
            max_iter=ROUNDS,
            init=points,
            random_state=seed,
            n_jobs=1,
        ).fit_transform(start)
        if progress:
            progress((stage + 1) / STAGES)
    return np.asarray(points, dtype=np.float64)


def check(features: Floats, dimensions: int) -> None:
    """Raise TradeoffError if features (N, D) cannot be laid out: too few, NaN or infinite, or all the same."""
    if features.ndim != 2 or len(features) < max(FEWEST, dimensions + 1) or features.shape[1] < dimensions:
        raise TradeoffError(f"features of shape {features.shape} are too few to be laid out")
    if not np.isfinite(features).all():
        raise TradeoffError("some features are NaN or infinite: the network is broken there")
    if (features == features[0]).all():
        raise TradeoffError("the features are the same for every image: there is nothing to lay out")
