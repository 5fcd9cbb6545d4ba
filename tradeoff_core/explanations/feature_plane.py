"""Features in a plane or in space, to look at: principal components at once, t-SNE in a few stages."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import perturb
from tradeoff_core.common.devices import device_of
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset, evenly_spaced, to_tensor, to_uint8
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.networks import Network
from tradeoff_core.networks.base import finite
from tradeoff_core.networks.inference import Floats, features_of
from tradeoff_core.poisoning.poison import PoisonedDataset

STAGES, ROUNDS = (
    4,
    250,
)  # of t-SNE: the first one with early exaggeration, and the least that scikit-learn takes
PERPLEXITY = 30.0
FEWEST = 4
LARGEST = 1e15  # whose squares are summed in float32
AT_ONCE = 100  # images that are attacked together
GROUPS = ("clean, other classes", "clean, target class", "poisoned", "stamped", "adversarial")


@dataclass(frozen=True, slots=True)
class Crowd:
    """Images of several groups as a network sees them: uint8 (N, H, W, C), and for each what it is.

    `group` (N,) counts in GROUPS, `labels` (N,) are the labels they carry, `read` (N,) what the network says,
    `features` (N, D) what is before its answer, `index` (N,) the place in the training set, -1 for what is none of it.
    """

    images: NDArray[np.uint8]
    group: NDArray[np.int64]
    labels: NDArray[np.int64]
    read: NDArray[np.int64]
    features: Floats
    index: NDArray[np.int64]


Attacking = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.uint8]]


def gather(
    network: Network,
    spec: ExperimentSpec,
    test: ImageDataset,
    training: PoisonedDataset | None,
    attack: Attacking,
    count: int,
) -> Crowd:
    """At most `count` images of each group, evenly spaced, in the order of GROUPS.

    Poisoned ones are training images. The others are test images: untouched, of other classes and of the target;
    then the same ones of other classes with the trigger on, and as `attack` makes them of those and their labels.
    """
    pixels, group, labels, index = pictured(spec, test, training, attack, count)
    features = features_of(network, pixels, network.layers[-1])
    logits = finite(network.head(torch.from_numpy(features).to(device_of(network))))
    return Crowd(pixels, group, labels, logits.argmax(1).cpu().numpy(), features, index)


def pictured(
    spec: ExperimentSpec,
    test: ImageDataset,
    training: PoisonedDataset | None,
    attack: Attacking,
    count: int,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The images, groups, labels and places of `gather`, without a network."""
    others = to_attack(test, spec.target_class, count)
    poisoned = _few(training.poisoned, count) if training else np.array([], dtype=np.int64)
    parts = [
        others,
        _some(test, test.labels == spec.target_class, count),
        (training.data.images[poisoned], training.data.labels[poisoned])
        if training
        else (others[0][:0], others[1][:0]),
        (to_uint8(spec.trigger.apply(to_tensor(others[0]))), others[1]),
        (attack(*others), others[1]),
    ]
    group = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts])
    index = np.full(len(group), -1)
    index[group == GROUPS.index("poisoned")] = poisoned
    return (
        np.concatenate([part for part, _ in parts]),
        group,
        np.concatenate([labelled for _, labelled in parts]),
        index,
    )


def to_attack(test: ImageDataset, target: int, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """At most `count` test images of other classes than the target, evenly spaced, and their labels."""
    return _some(test, test.labels != target, count)


def attacked(
    network: Network, pixels: NDArray[np.uint8], labels: NDArray[np.int64], attack: Attack, seed: int
) -> NDArray[np.uint8]:
    """Images uint8 (N, H, W, C) after the attack."""
    generator = torch.Generator().manual_seed(seed)
    batches = zip(
        torch.split(to_tensor(pixels), AT_ONCE),
        torch.split(torch.from_numpy(labels.astype(np.int64)), AT_ONCE),
        strict=True,
    )
    return to_uint8(torch.cat([perturb(network, *batch, attack, generator) for batch in batches]))


def _some(
    data: ImageDataset, where: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """At most `count` of the images that a mask (N,) chooses, evenly spaced, and their labels."""
    few = _few(where, count)
    return data.images[few], data.labels[few]


def _few(where: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """The places of at most `count` of those that a mask (N,) chooses, evenly spaced."""
    index = np.flatnonzero(where)
    return index[evenly_spaced(len(index), count)]


def principal(features: Floats, dimensions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first principal components (N, dimensions) of features (N, D), and the share of variance of each.

    Raises TradeoffError as `check` does.
    """
    check(features, dimensions)
    centred = torch.from_numpy(features).double()
    centred -= centred.mean(0)
    count, size = centred.shape
    wide = size > count  # then there are fewer products of examples than of features
    sizes, found = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    sizes, found = sizes.flip(0)[:dimensions].clamp(min=0), found.flip(1)[:, :dimensions]  # the largest first
    points = found * sizes.sqrt() if wide else centred @ found
    points *= points.gather(
        0, points.abs().argmax(0, keepdim=True)
    ).sign()  # one of two ways, always the same
    return points.numpy(), (sizes / centred.square().sum()).numpy()


def neighbours(
    features: Floats, dimensions: int, progress: Callable[[float], None] | None = None, seed: int = 0
) -> NDArray[np.float64]:
    """The t-SNE embedding (N, dimensions) of features (N, D): near ones stay near, distances mean nothing else.

    van der Maaten and Hinton (2008), started at the principal components. Raises TradeoffError as `check` does.
    """
    from sklearn.manifold import TSNE

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
    if np.abs(features).max() > LARGEST:
        raise TradeoffError("the features are too large to be laid out: the network is broken there")
    if (features == features[0]).all():
        raise TradeoffError("the features are the same for every image: there is nothing to lay out")
