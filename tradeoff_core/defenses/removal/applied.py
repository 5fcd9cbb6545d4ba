"""The removals applied to a trained model: which there are, and the three rates before and after."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.applied import measured
from tradeoff_core.defenses.removal.ascent import least_loss, unlearn_isolated
from tradeoff_core.defenses.removal.fine_pruning import fine_prune
from tradeoff_core.defenses.removal.minimax import unlearn_universal
from tradeoff_core.defenses.removal.neuron_pruning import prune_neurons
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.networks import Network
from tradeoff_core.rates import Rate, rate

RATES = ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")


class Removal(StrEnum):
    """The removals beside Neural Cleanse's unlearning and adversarial fine-tuning."""

    FINE_PRUNING = "fine-pruning"
    NEURON_PRUNING = "neuron-pruning"
    MINIMAX = "i-bau"
    ISOLATED = "abl"


# from a network, clean images (N, C, H, W), labels (N,) and a seed; ABL's needs the training set too
BY_IMAGES: dict[Removal, Callable[[Network, Tensor, Tensor, None, int], Network]] = {
    Removal.FINE_PRUNING: fine_prune,
    Removal.NEURON_PRUNING: prune_neurons,
    Removal.MINIMAX: unlearn_universal,
}


@dataclass(frozen=True, slots=True)
class Removed:
    """A cleansed copy, and the three rates of the network before and after on test images.

    `images` clean ones were used, in `seconds` without the measuring. Of ABL `isolated` training examples were
    unlearned, of which `isolated_poisoned` are poison; None for the others.
    """

    method: Removal
    network: Network
    before: dict[str, Any]
    after: dict[str, Any]
    images: int
    seconds: float
    isolated: int | None = None
    isolated_poisoned: int | None = None

    @property
    def rates(self) -> dict[str, tuple[Rate, Rate]]:
        """Each of the three rates before and after, with its n."""
        return {name: (rate(self.before, name), rate(self.after, name)) for name in RATES}

    def document(self) -> dict[str, Any]:
        """The numbers as they are stored."""
        isolated = (
            {}
            if self.isolated is None
            else {"isolated": self.isolated, "isolated_poisoned": self.isolated_poisoned}
        )
        return {
            "method": self.method.value,
            "images": self.images,
            **isolated,
            "before": self.before,
            "after": self.after,
            "seconds": round(self.seconds, 1),
        }


def isolated_by_loss(network: Network, spec: ExperimentSpec) -> NDArray[np.int64]:
    """The training examples of a spec that ABL isolates of its trained network, by index: 2% of all."""
    return least_loss(network, poisoned_training_set(spec).data)


def cleansed(
    network: Network,
    spec: ExperimentSpec,
    method: Removal,
    *,
    isolated: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Network:
    """A cleansed copy of a network that was trained as `spec` says, with the clean images of the validation split.

    ABL unlearns the training examples at `isolated`, and others take none: else a TradeoffError.
    """
    images, labels = load_dataset(spec.dataset, Split.VALIDATION).tensors()
    if (isolated is None) == (method is Removal.ISOLATED):
        raise TradeoffError(
            "abl unlearns training examples: say which are isolated"
            if isolated is None
            else f"{method.value} works on clean images alone: leave out what is isolated"
        )
    if isolated is not None:
        training = poisoned_training_set(spec).data
        return unlearn_isolated(network, images, labels, training, isolated, seed=seed)
    return BY_IMAGES[method](network, images, labels, None, seed)


def remove(
    network: Network,
    spec: ExperimentSpec,
    method: Removal,
    *,
    isolated: NDArray[np.int64] | None = None,
    seed: int = 0,
    before: dict[str, Any] | None = None,
) -> Removed:
    """Cleanse a network on validation images and measure the copy on test images, as Neural Cleanse's unlearning is.

    `before` is what `measured` gave of the network, where it is known. Raises TradeoffError as `cleansed` does.
    """
    started = time.perf_counter()
    after = cleansed(network, spec, method, isolated=isolated, seed=seed)
    seconds = time.perf_counter() - started
    of_poison = None
    if isolated is not None:
        of_poison = int(poisoned_training_set(spec).poisoned[np.unique(isolated)].sum())
    return Removed(
        method,
        after,
        before or measured(network, spec),
        measured(after, spec),
        len(load_dataset(spec.dataset, Split.VALIDATION)),
        seconds,
        None if isolated is None else len(np.unique(isolated)),
        of_poison,
    )
