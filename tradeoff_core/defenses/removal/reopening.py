"""How few poisoned images open a closed back door again (after Min et al., NeurIPS 2024, arXiv 2410.09838).

Fine-tune a cleansed network on clean images among which are m poisoned ones, with the trigger and the target of its first
poison, and measure backdoor success: a defense that hides a back door instead of removing it needs fewer than a network that
never had one, which is the control.

Where we depart: the poisoned images are stamped ones of other classes that carry the target's label, whatever the labels of
the first poison were, so that all networks are asked the same; Adam takes the place of momentum; and m runs from 0, what the
clean images alone do.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tradeoff_core.common.devices import device_of
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.removal.tuning import Tuning, copied, tune
from tradeoff_core.evaluation.outcomes import backdoor_success
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.triggers import Trigger
from tradeoff_core.rates import Rate

COUNTS = (0, 1, 2, 5, 10, 20, 50)
CLEAN = 400  # images that it is tuned on beside the poisoned ones
MEASURED = 500  # test images, at most
TUNING = Tuning(epochs=2, batch_size=50, learning_rate=1e-3)


@dataclass(frozen=True, slots=True)
class Reopening:
    """Backdoor success and clean accuracy after tuning on `counts` poisoned images, and `before` it, on test images."""

    counts: tuple[int, ...]
    before: tuple[Rate, Rate]
    success: tuple[Rate, ...]
    clean: tuple[Rate, ...]
    images: int
    seconds: float

    def document(self) -> dict[str, Any]:
        """The numbers as they are stored; a rate is its count and its n."""
        pairs = {"success": self.success, "clean": self.clean}
        return {
            "poisoned": list(self.counts),
            "images": self.images,
            "success_before": [self.before[0].count, self.before[0].n],
            "clean_before": [self.before[1].count, self.before[1].n],
            **{name: [[one.count, one.n] for one in rates] for name, rates in pairs.items()},
            "seconds": round(self.seconds, 1),
        }


def tuning_images(
    spec: ExperimentSpec, most: int, trigger: Trigger, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """What a network is tuned on: CLEAN clean training images, their labels, and `most` stamped ones of other classes.

    Images are (N, C, H, W) in [0, 1], drawn without any twice and in an order that does not change with `most`. Raises
    TradeoffError if the data set has too few.
    """
    data, target = load_dataset(spec.dataset, Split.TRAIN), spec.target_class
    order = np.random.default_rng(seed).permutation(len(data))
    clean, rest = order[:CLEAN], order[CLEAN:]
    others = rest[data.labels[rest] != target]
    if len(others) < most:
        raise TradeoffError(f"{most} poisoned images are asked for, of {len(others)} of other classes")
    images, labels = data.take(clean).tensors()
    return images, labels, trigger.apply(data.take(others[:most]).tensors()[0])


def reopen(
    network: Network,
    spec: ExperimentSpec,
    counts: Sequence[int] = COUNTS,
    *,
    trigger: Trigger | None = None,
    tuning: Tuning = TUNING,
    seed: int = 0,
) -> Reopening:
    """Tune copies of a network on clean images and `counts` poisoned ones each, and measure backdoor success on test images.

    Trigger and target are the spec's, or another `trigger`, as a control wants. The network stays as it is. Raises
    TradeoffError if the counts do not rise from 0 or more.
    """
    started = time.perf_counter()
    counts = tuple(counts)
    if not counts or counts[0] < 0 or any(more <= few for few, more in pairwise(counts)):
        raise TradeoffError(f"the numbers of poisoned images must rise from 0 or more, not {list(counts)}")
    trigger, device = trigger or spec.trigger, device_of(network)
    clean, labels, stamped = (part.to(device) for part in tuning_images(spec, counts[-1], trigger, seed))
    found = []
    for count in counts:
        tuned = copied(network)
        images = torch.cat([clean, stamped[:count]])
        aims = torch.cat([labels, labels.new_full((count,), spec.target_class)])
        tune(tuned, images, aims, tuning, seed)
        found.append(_rates(freeze(tuned), spec, trigger))
    success, accuracy = zip(*found, strict=True)
    before = _rates(network, spec, trigger)
    return Reopening(counts, before, success, accuracy, len(clean), time.perf_counter() - started)


def _rates(network: Network, spec: ExperimentSpec, trigger: Trigger) -> tuple[Rate, Rate]:
    """Backdoor success and clean accuracy on MEASURED test images, evenly spaced."""
    test = load_dataset(spec.dataset, Split.TEST).spread(MEASURED)
    clean = predicted_classes(network, test.images)
    stamped = predicted_classes(network, test.images, trigger)
    right = Rate(int((clean == test.labels).sum()), len(test))
    return backdoor_success(clean, stamped, spec.target_class), right
