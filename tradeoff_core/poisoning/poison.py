"""Poisoning a training set, with an exact count and a record of what was poisoned.

Clean-label (Turner et al. 2018, as Weng et al. 2020 use it): the trigger goes on images of the target class,
labels stay. Dirty-label (BadNets, Gu et al. 2017): it goes on images of other classes, relabelled as the
target. Poisoning comes before any augmentation, so a shifted image carries a shifted trigger.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.checked import Flag, Number, Whole, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.later import LATER
from tradeoff_core.datasets import ImageDataset, to_tensor, to_uint8, writable_copy
from tradeoff_core.poisoning.triggers import AnyTrigger, Sticker

RATES = "above 0, at most 1 (for no poison leave it out)"
AT_A_TIME = 1000  # images that are stamped as floats: 5% of ImageNet would be 38 GB of them


class PoisonLabels(StrEnum):
    """Whether the poisoned images keep their labels (clean) or get the target's (dirty)."""

    CLEAN = "clean-label"
    DIRTY = "dirty-label"


@checked
class Poison:
    """What is poisoned. `rate` is the share of the target class (clean-label) or of all (dirty-label).

    Which examples is drawn; with `first` it is those that come first in the data set.
    """

    labels: PoisonLabels = PoisonLabels.CLEAN
    rate: Annotated[Number, within(RATES, above=0, most=1, name="poison rate")] = 0.5
    target_class: Annotated[Whole, within("the index of a class", least=0)] = 7
    trigger: AnyTrigger = field(default_factory=Sticker)
    first: Flag = field(default=False, metadata=LATER)


@dataclass(frozen=True, slots=True)
class PoisonedDataset:
    """A data set after poisoning, the mask (N,) of its poisoned examples, and the labels before it."""

    data: ImageDataset
    poisoned: NDArray[np.bool_]
    original_labels: NDArray[np.int64]
    target_class: int | None

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
        )


def poison_dataset(
    data: ImageDataset, poison: Poison | None, generator: np.random.Generator
) -> PoisonedDataset:
    """Poison exactly `rate` (to the nearest whole example) of the eligible examples of `data`.

    Raises TradeoffError if the target class is absent, if the rate comes to no example at all, or if there
    are fewer eligible examples than asked for.
    """
    if poison is None:
        return PoisonedDataset(data, np.zeros(len(data), dtype=bool), data.labels, None)
    target = poison.target_class
    of_target = data.labels == target
    if not of_target.any():
        raise TradeoffError(
            f"target_class {target} has no example in {data.name}: choose a class from 0 to {len(data.classes) - 1}"
        )
    clean_label = poison.labels is PoisonLabels.CLEAN
    eligible = np.flatnonzero(of_target if clean_label else ~of_target)
    count = round(poison.rate * (len(eligible) if clean_label else len(data)))
    if count == 0:
        raise TradeoffError(f"poison rate {poison.rate:g} comes to no example at all: raise it")
    if count > len(eligible):
        raise TradeoffError(
            f"poison rate {poison.rate:g} asks for {count} examples of other classes, of {len(eligible)}"
        )
    chosen = eligible[:count] if poison.first else generator.choice(eligible, count, replace=False)
    images, labels = writable_copy(data.images), data.labels.copy()
    changed = False
    for some in np.array_split(chosen, -(-count // AT_A_TIME)):
        images[some] = to_uint8(poison.trigger.apply(to_tensor(data.images[some])))
        changed = changed or not np.array_equal(images[some], data.images[some])
    if not changed:
        raise TradeoffError("the trigger changes no pixel: choose one that can be seen")
    labels[chosen] = target
    poisoned = np.zeros(len(data), dtype=bool)
    poisoned[chosen] = True
    return PoisonedDataset(
        ImageDataset(data.name, images, labels, data.classes), poisoned, data.labels, target
    )
