"""Poisoning a training set, with an exact count and a record of what was poisoned.

Clean-label (Turner et al. 2018, as Weng et al. 2020 use it): the trigger goes on images of the target class,
labels stay. Dirty-label (BadNets, Gu et al. 2017): it goes on images of other classes, relabelled as the
target. Poisoning comes before any augmentation, so a shifted image carries a shifted trigger.

Three ways came after: images that are perturbed first (label-consistent, Turner et al. 2019, arXiv 1912.02771), a trigger
that training sees in parts or faintly, and cover samples, which carry it and keep their right labels (adaptive-blend and
adaptive-patch, Qi et al. 2023, "Revisiting the assumption of latent separability for backdoor defenses"; the noise mode of
WaNet, 2021, arXiv 2102.10369).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.checked import Flag, Maybe, Number, Positive, Text, Whole, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.later import LATER
from tradeoff_core.datasets import ImageDataset, to_tensor, to_uint8, writable_copy
from tradeoff_core.poisoning.triggers import SHARE, AnyTrigger, Sticker
from tradeoff_core.poisoning.warp import Warp

if TYPE_CHECKING:
    from torch import Tensor

    # images (N, C, H, W) in [0, 1] and their labels (N,) -> the images perturbed
    Perturb = Callable[[Tensor, Tensor], Tensor]

RATES = "above 0, at most 1 (for no poison leave it out)"
AT_A_TIME = 1000  # images that are stamped as floats: 5% of ImageNet would be 38 GB of them


class PoisonLabels(StrEnum):
    """Whether the poisoned images keep their labels (clean) or get the target's (dirty)."""

    CLEAN = "clean-label"
    DIRTY = "dirty-label"


@checked
class Perturbed:
    """PGD away from the label against another trained network, so that the trigger is all that is left to learn.

    `model` names that network, of the zoo or in a folder. The attack is in l-inf, `epsilon` in [0, 1], its steps 2.5
    epsilon / `steps` long, without a random start. Turner et al. attack in l2 too.
    """

    model: Text
    epsilon: Annotated[Number, within(SHARE, above=0, most=1, name="epsilon of the perturbation")] = 0.3
    steps: Annotated[Positive, within("at most 1,000", most=1000)] = 40


@checked
class Partial:
    """What training shows of the trigger; at test time it is worn whole.

    A grid of `pieces` x `pieces` lies over the image. Each image carries the trigger in a share `kept` of them, drawn for it
    alone, at a share `strength` of its amplitude, opacity or ratio. Adaptive-blend keeps 8 of 16 pieces at 0.15 / 0.2 of the
    ratio. Adaptive-patch gives each image one of four patches, half as opaque: so does a trigger with a patch in each quarter
    at `pieces` 2, `kept` 0.25 and `strength` 0.5. All four patches are worn at test time then, where the paper has two.
    """

    pieces: Annotated[Whole, within("1 to 64 a side", least=1, most=64)] = 4
    kept: Annotated[Number, within(SHARE, above=0, most=1)] = 0.5
    strength: Annotated[Number, within(SHARE, above=0, most=1)] = 1.0


@checked
class Poison:
    """What is poisoned. `rate` is the share of the target class (clean-label) or of all (dirty-label).

    Which examples is drawn; with `first` it is those that come first in the data set.

    `cover_rate` is the share of all examples that become cover samples: of the other classes (the papers take any), they
    carry the trigger as training shows it, or, of a warp, the warp with noise, and keep their labels. `perturbed` says that
    the poisoned images are perturbed before they are stamped, which takes clean labels.
    """

    labels: PoisonLabels = PoisonLabels.CLEAN
    rate: Annotated[Number, within(RATES, above=0, most=1, name="poison rate")] = 0.5
    target_class: Annotated[Whole, within("the index of a class", least=0)] = 7
    trigger: AnyTrigger = field(default_factory=Sticker)
    first: Flag = field(default=False, metadata=LATER)
    cover_rate: Maybe[Annotated[Number, within(RATES, above=0, most=1, name="cover rate")]] = None
    partial: Maybe[Partial] = None
    perturbed: Maybe[Perturbed] = None

    def __post_init__(self) -> None:
        if self.perturbed is not None and self.labels is not PoisonLabels.CLEAN:
            raise TradeoffError(
                "perturbed images keep their labels: choose clean-label, or leave perturbed out"
            )


@dataclass(frozen=True, slots=True)
class PoisonedDataset:
    """A data set after poisoning, the mask (N,) of its poisoned examples, and the labels before it.

    `covers` is the mask (N,) of its cover samples, which are not poisoned; None where there are none.
    """

    data: ImageDataset
    poisoned: NDArray[np.bool_]
    original_labels: NDArray[np.int64]
    target_class: int | None
    covers: NDArray[np.bool_] | None = None

    @property
    def poison_rate_class(self) -> float:
        """The share of the examples labelled as the target class that are poisoned."""
        if self.target_class is None:
            return 0.0
        return float(self.poisoned[self.data.labels == self.target_class].mean())

    @property
    def poison_rate_dataset(self) -> float:
        """The share of all examples that are poisoned."""
        return float(self.poisoned.mean())

    def without(self, indices: Sequence[int]) -> "PoisonedDataset":
        """The data set after the examples at `indices` are removed.

        Raises TradeoffError if there is no such example, or if a class would lose its last one.
        """
        kept = np.ones(len(self.data), dtype=bool)
        if max(indices) >= len(kept):
            raise TradeoffError(f"there is no training example {max(indices)}: there are {len(kept):,}")
        kept[list(indices)] = False
        emptied = set(np.unique(self.data.labels)) - set(np.unique(self.data.labels[kept]))
        if emptied:
            raise TradeoffError(f"removing these leaves no example of class {min(emptied)}: remove fewer")
        return PoisonedDataset(
            self.data.take(np.flatnonzero(kept)),
            self.poisoned[kept],
            self.original_labels[kept],
            self.target_class,
            None if self.covers is None else self.covers[kept],
        )


def poison_dataset(
    data: ImageDataset,
    poison: Poison | None,
    generator: np.random.Generator,
    perturb: "Perturb | None" = None,
) -> PoisonedDataset:
    """Poison exactly `rate` (to the nearest whole example) of the eligible examples of `data`.

    `perturb` does what `poison.perturbed` asks for, with the network that it names. Raises TradeoffError if the target class
    is absent, if a rate comes to no example at all, or if there are fewer eligible examples than asked for.
    """
    if poison is None:
        return PoisonedDataset(data, np.zeros(len(data), dtype=bool), data.labels, None)
    if poison.perturbed and perturb is None:
        raise TradeoffError(
            f"nothing perturbs the images as poison.perturbed asks: give '{poison.perturbed.model}'"
        )
    chosen = _chosen(data, poison, generator)
    covers = _cover_samples(data, poison, chosen, generator)
    images, labels = writable_copy(data.images), data.labels.copy()
    changed = False
    for some in _parts(chosen):
        plain = to_tensor(data.images[some])
        if perturb and poison.perturbed:
            plain = perturb(plain, data.take(some).targets)
        images[some] = to_uint8(_worn(plain, poison, generator))
        changed = changed or not np.array_equal(images[some], to_uint8(plain))
    if not changed:
        raise TradeoffError("the trigger changes no pixel: choose one that can be seen")
    for some in _parts(covers):
        images[some] = to_uint8(_worn(to_tensor(data.images[some]), poison, generator, covering=True))
    labels[chosen] = poison.target_class
    return PoisonedDataset(
        ImageDataset(data.name, images, labels, data.classes),
        _mask(chosen, len(data)),
        data.labels,
        poison.target_class,
        _mask(covers, len(data)) if len(covers) else None,
    )


def _chosen(data: ImageDataset, poison: Poison, generator: np.random.Generator) -> NDArray[np.int64]:
    """Which examples are poisoned."""
    target, clean_label = poison.target_class, poison.labels is PoisonLabels.CLEAN
    of_target = data.labels == target
    if not of_target.any():
        raise TradeoffError(
            f"target_class {target} has no example in {data.name}: choose a class from 0 to {len(data.classes) - 1}"
        )
    eligible = np.flatnonzero(of_target if clean_label else ~of_target)
    count = round(poison.rate * (len(eligible) if clean_label else len(data)))
    if count == 0:
        raise TradeoffError(f"poison rate {poison.rate:g} comes to no example at all: raise it")
    if count > len(eligible):
        raise TradeoffError(
            f"poison rate {poison.rate:g} asks for {count} examples of other classes, of {len(eligible)}"
        )
    return eligible[:count] if poison.first else generator.choice(eligible, count, replace=False)


def _cover_samples(
    data: ImageDataset, poison: Poison, chosen: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Which examples of other classes, not poisoned, carry the trigger with their right labels."""
    if poison.cover_rate is None:
        return np.zeros(0, dtype=np.int64)
    eligible = np.setdiff1d(np.flatnonzero(data.labels != poison.target_class), chosen)
    count = round(poison.cover_rate * len(data))
    if count == 0:
        raise TradeoffError(f"cover rate {poison.cover_rate:g} comes to no example at all: raise it")
    if count > len(eligible):
        raise TradeoffError(
            f"cover rate {poison.cover_rate:g} asks for {count} examples of other classes that are not poisoned, "
            f"of {len(eligible)}"
        )
    return eligible[:count] if poison.first else generator.choice(eligible, count, replace=False)


def _worn(
    images: "Tensor", poison: Poison, generator: np.random.Generator, covering: bool = False
) -> "Tensor":
    """Images (N, C, H, W) with the trigger as training shows it: of poisoned examples, or of cover samples."""
    partial, trigger = poison.partial, poison.trigger
    if partial:
        trigger = trigger.at(partial.strength)
    if covering and isinstance(trigger, Warp):
        stamped = trigger.noisy(images, generator)
    else:
        stamped = trigger.apply(images)
    return _in_pieces(stamped, images, partial, generator) if partial else stamped


def _in_pieces(
    stamped: "Tensor", images: "Tensor", partial: Partial, generator: np.random.Generator
) -> "Tensor":
    """Of each image (N, C, H, W) some pieces stamped, drawn for it alone, and the others as they were."""
    import torch

    count, _, height, width = images.shape
    keys = generator.random((count, partial.pieces**2))
    kept = max(1, round(partial.kept * keys.shape[1]))
    worn = keys.argsort(1).argsort(1) < kept  # (N, pieces * pieces)
    rows, columns = (np.arange(side) * partial.pieces // side for side in (height, width))
    mask = worn[:, rows[:, None] * partial.pieces + columns]  # (N, H, W)
    return torch.where(torch.from_numpy(mask)[:, None].to(images.device), stamped, images)


def _parts(chosen: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The indices, AT_A_TIME and fewer at once; nothing of none."""
    return iter(np.array_split(chosen, -(-len(chosen) // AT_A_TIME)) if len(chosen) else [])


def _mask(indices: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    mask = np.zeros(length, dtype=bool)
    mask[indices] = True
    return mask
