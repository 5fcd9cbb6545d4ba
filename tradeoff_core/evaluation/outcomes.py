"""Metrics, defined once. Outcomes are kept per example; rates come last and carry their n.

clean accuracy: share of clean test images predicted as their label.
adversarial accuracy: share predicted as their label clean and at every iterate of the named attack.
backdoor success rate: among images that the network does not already predict as the target class, the
share that it does once the trigger is on (Weng et al. 2020).

Images come as float32 (N, C, H, W) in [0, 1], or as stored, uint8 (N, H, W, C): a large set is then never held
as floats.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import fool, wrong_classes
from tradeoff_core.common.devices import device_of, seeded
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import checked_labels
from tradeoff_core.networks.inference import Images, batch_size, in_batches, predicted_classes
from tradeoff_core.poisoning.triggers import Sticker, Trigger
from tradeoff_core.rates import Rate


class Among(StrEnum):
    """Whom backdoor success counts: images not predicted as the target (the paper), or not of its class."""

    PREDICTION = "prediction"
    LABEL = "label"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happened to each of N examples; every field is an array (N,).

    `fooled` holds those that the attack fooled, wrongly predicted clean images included.
    """

    labels: NDArray[np.int64]
    clean: NDArray[np.int64]
    triggered: NDArray[np.int64]
    fooled: NDArray[np.bool_]

    def clean_accuracy(self) -> Rate:
        """Share of clean images predicted as their label."""
        return _rate(self.clean == self.labels)

    def adversarial_accuracy(self) -> Rate:
        """Share that no iterate of the attack fooled."""
        return _rate(~self.fooled)

    def backdoor_success_rate(self, target_class: int, among: Among = Among.PREDICTION) -> Rate:
        """Share predicted as the target once triggered, among those that were not (or are not) it."""
        reference = self.clean if among is Among.PREDICTION else self.labels
        return backdoor_success(reference, self.triggered, target_class)

    def recall(self, label: int) -> Rate:
        """Share of the clean images of a class that are predicted as it."""
        return _rate(self.clean[self.labels == label] == label)


def backdoor_success(reference: NDArray[np.int64], triggered: NDArray[np.int64], target_class: int) -> Rate:
    """Share of the classes `triggered` (N,) that are the target, where the classes `reference` are not."""
    return _rate(triggered[reference != target_class] == target_class)


def _rate(hits: NDArray[np.bool_]) -> Rate:
    return Rate(int(hits.sum()), len(hits))


def fooled_by(
    network: nn.Module,
    images: Images,
    labels: Tensor,
    attack: Attack,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    aim: int | None = None,
) -> NDArray[np.bool_]:
    """Which examples (N,) the attack fools, wrong ones included; `progress` is told the share that is done.

    Every batch draws from a generator of its own, seeded by `seed` and its number. A targeted attack aims
    each example at the next class after its label (or a drawn one, if it says so), and fools it as soon as it is misread. With `aim`,
    all aim at that class, and only those that get there are fooled.
    """
    if len(images) == 0:
        raise TradeoffError("there is no image to attack")
    labels = checked_labels(labels, len(images))
    fooled, device, size = [], device_of(network), batch_size(images)
    count = -(-len(images) // size)
    batches = zip(in_batches(images), torch.split(labels, size), strict=True)
    for number, (batch, batch_labels) in enumerate(batches):
        batch, batch_labels = batch.to(device), batch_labels.to(device)
        generator = seeded(device, 1_000_003 * seed + number)
        aims, truth = batch_labels, None
        if aim is not None:
            aims = torch.full_like(batch_labels, aim)
        elif attack.targeted:
            with torch.no_grad():
                classes = network(batch[:1]).shape[1]
            aims, truth = (checked_labels(batch_labels, len(batch), classes) + 1) % classes, batch_labels
            if attack.random_aim:
                aims = wrong_classes(batch_labels, classes, generator)
        fooled.append(fool(network, batch, aims, attack, generator, truth=truth)[0])
        if progress:
            progress((number + 1) / count)
    result: NDArray[np.bool_] = torch.cat(fooled).cpu().numpy()
    return result


def fooled_at(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    epsilons: Sequence[float],
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    aim: int | None = None,
) -> NDArray[np.bool_]:
    """Which examples are fooled at each ε, (E, N): a perturbation found at a smaller ε counts at a larger.

    `epsilons` must rise, so that adversarial accuracy can only fall along them; else a TradeoffError.
    """
    if list(epsilons) != sorted(epsilons):
        raise TradeoffError("the epsilons must be given in rising order")
    labels = checked_labels(labels, len(images))
    rows = np.zeros((len(epsilons), len(images)), dtype=bool)
    standing = np.arange(len(images))
    for number, epsilon in enumerate(epsilons):
        if len(standing):
            fooled = fooled_by(network, images[standing], labels[standing], attack.at(epsilon), seed, aim=aim)
            rows[number:, standing[fooled]] = True
            standing = standing[~fooled]
        if progress:
            progress((number + 1) / len(epsilons))
    return rows


def evaluate(
    network: nn.Module,
    images: Images,
    labels: Tensor,
    trigger: Trigger,
    attack: Attack,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Outcomes:
    """Clean, triggered and attacked outcome of every example."""
    return Outcomes(
        checked_labels(labels, len(images)).numpy(),
        predicted_classes(network, images),
        predicted_classes(network, images, trigger),
        fooled_by(network, images, labels, attack, seed, progress),
    )


def success_by_position(
    network: nn.Module,
    images: Tensor,
    sticker: Sticker,
    target_class: int,
    stride: int = 1,
    progress: Callable[[float], None] | None = None,
) -> tuple[NDArray[np.float64], int]:
    """Backdoor success (H, W) by the sticker's top left corner, and its n; NaN where it was not tried."""
    height, width = images.shape[-2:]
    high, wide = sticker.shape
    success = np.full((height - high + 1, width - wide + 1), np.nan)
    others = images[torch.from_numpy(predicted_classes(network, images) != target_class)]
    rows = range(0, success.shape[0], stride)
    for row in rows:
        for column in range(0, success.shape[1], stride):
            moved = replace(sticker, row=row, column=column)
            success[row, column] = (predicted_classes(network, moved.apply(others)) == target_class).mean()
        if progress:
            progress((rows.index(row) + 1) / len(rows))
    return success, len(others)


def shares_by_class(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Where each true class goes: (classes, classes), the row of a class that occurs sums to 1."""
    counts = np.zeros((classes, classes))
    np.add.at(counts, (labels, predicted), 1)
    shares: NDArray[np.float64] = counts / counts.sum(1, keepdims=True).clip(1)
    return shares
