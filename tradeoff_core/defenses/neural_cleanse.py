"""Neural Cleanse (Wang et al., IEEE S&P 2019): rebuild the trigger of every class, suspect the smallest, unlearn it.

For every class, find the smallest mask and the pattern that send any image there once stamped. A class with a
back door needs a far smaller mask than the others: its distance from their median, in median absolute
deviations, is the anomaly index. Then fine-tune on images that carry the rebuilt trigger and their right labels.

The code of Weng et al. rebuilds the target class's trigger only and computes no index; this follows Wang et al.
in running over all classes, and both in the loss and its schedule, on fewer images.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.attacks.gradient import usual_scale
from tradeoff_core.common.checked import Number, Positive, checked, within
from tradeoff_core.common.devices import device_of, mixed_precision
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import checked_images, checked_labels
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.base import finite
from tradeoff_core.networks.inference import predicted_classes

CONSISTENT = 1.4826  # median absolute deviation -> standard deviation of normal values
SUSPICIOUS = 2.0  # anomaly index from which Wang et al. call a class backdoored
SUCCESS = 0.99  # a trigger works if this share of the stamped images goes to its class
FIRST_WEIGHT, RAISE, LOWER = 1e-3, 2.0, 2.0**1.5  # λ, and how it moves after `patience` rounds in a row
LEAST_CLASSES = 3
FEW = within("at most 10,000", most=10_000)
Rate = Annotated[Number, within("above 0, at most 1", above=0, most=1)]
# of stamped images at once, for all classes together: 20 classes of 20 images of 64 x 64 in colour take 2 GB of a ResNet-18
MOST_VALUES = 20 * 20 * 3 * 64 * 64


@checked
class Reversal:
    """How triggers are rebuilt: rounds over the images, and Adam's rate on masks and patterns.

    λ moves after `patience` rounds in a row above or below 99% success. A class is done when its best mask has
    not shrunk by 1% for `stall` rounds.
    """

    rounds: Annotated[Positive, FEW] = 40
    batch_size: Annotated[Positive, FEW] = 20
    learning_rate: Rate = 0.1
    patience: Positive = 3
    stall: Positive = 15


@dataclass(frozen=True, slots=True)
class Triggers:
    """A rebuilt trigger for each of K classes: masks (K, H, W) and patterns (K, C, H, W) in [0, 1].

    `success` (K,) is the share of all the images it was rebuilt on that it sends to its class, its own class's
    left out. `frames` (R, K, C, H, W) uint8 shows mask times pattern after each round.
    """

    masks: Tensor
    patterns: Tensor
    success: NDArray[np.float64]
    frames: NDArray[np.uint8]

    @property
    def mask_norms(self) -> NDArray[np.float64]:
        """The l1 norm (K,) of each mask: how many pixels it covers, in effect."""
        norms: NDArray[np.float64] = self.masks.sum(dim=(1, 2)).double().numpy()
        return norms

    @property
    def anomaly_index(self) -> NDArray[np.float64]:
        """The anomaly index (K,) of each class."""
        return anomaly_index(self.mask_norms)

    @property
    def suspect(self) -> int:
        """The class with the highest anomaly index: the smallest mask."""
        return int(self.mask_norms.argmin())

    @property
    def flagged(self) -> list[int]:
        """The classes whose anomaly index is 2 or more."""
        return [int(label) for label in np.flatnonzero(self.anomaly_index >= SUSPICIOUS)]

    def stamp(self, images: Tensor, label: int) -> Tensor:
        """Images (N, C, H, W) with the rebuilt trigger of a class on."""
        return torch.lerp(images, self.patterns[label], self.masks[label])

    def document(self) -> dict[str, Any]:
        """The numbers of every class as JSON has them, and what follows from them."""
        return {
            "mask_norm": self.mask_norms.round(3).tolist(),
            "anomaly_index": self.anomaly_index.round(3).tolist(),
            "trigger_success": self.success.round(4).tolist(),
            "flagged_classes": self.flagged,
            "suspect": self.suspect,
        }


def anomaly_index(norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each norm (K,) lies *below* the median, in median absolute deviations made consistent with σ.

    Wang et al. take the distance to both sides and then ignore the larger norms; here those are negative. With
    ten classes the index passes 2 by luck about once in three networks. Raises TradeoffError for fewer than
    three classes; is 0 throughout where the deviation is 0.
    """
    if len(norms) < LEAST_CLASSES:
        raise TradeoffError(
            f"an anomaly index of {len(norms)} classes says nothing: it needs {LEAST_CLASSES}"
        )
    below = np.median(norms) - norms
    deviation = CONSISTENT * np.median(np.abs(below))
    return below / deviation if deviation > 0 else np.zeros_like(below)


def rebuild_triggers(
    network: Network,
    images: Tensor,
    labels: Tensor,
    classes: int,
    reversal: Reversal | None = None,
    seed: int = 0,
    progress: Callable[[float, NDArray[np.uint8]], None] | None = None,
) -> Triggers:
    """Rebuild a trigger for every class on clean images (N, C, H, W) in [0, 1]; as many classes as fit are one batch.

    It is computed where the network is; the triggers come back on the CPU. `progress` is told the share of rounds that is done and the newest frame (K, C, H, W). The network must be
    frozen and in eval mode. Images of a class serve all other classes' triggers. Raises NotFinite.
    """
    images, labels = checked_images(images), checked_labels(labels, len(images), classes)
    if not len(images):
        raise TradeoffError("there is no image to rebuild triggers on")
    reversal = reversal or Reversal()
    channels, height, width = images.shape[1:]
    generator = torch.Generator().manual_seed(seed)
    shape = (classes, 1 + channels, height, width)  # mask and pattern, before tanh
    hidden = torch.empty(shape).uniform_(-1, 1, generator=generator)
    device = device_of(network)
    images, labels = images.to(device), labels.to(device)
    state = _State(hidden.to(device), torch.full((classes,), FIRST_WEIGHT, device=device))
    with torch.no_grad():
        logits = network(images[: reversal.batch_size])
    if logits.shape[1] != classes:
        raise TradeoffError(f"the network tells {logits.shape[1]} classes apart, not {classes}")
    state.divisor = usual_scale(logits)
    frames = []
    for number in range(reversal.rounds):
        active = torch.from_numpy(np.flatnonzero(state.stalled < reversal.stall)).to(device)
        if len(active):
            _round(network, images, labels, state, active, reversal, generator)
        frames.append((255 * _drawn(state.best)).round().to(torch.uint8).cpu().numpy())
        if progress:
            progress((number + 1) / reversal.rounds, frames[-1])
        if not len(active):
            break
    masks, patterns = _split(state.best.cpu())
    triggers = Triggers(masks[:, 0], patterns, np.zeros(classes), np.stack(frames))
    for label in range(classes):
        stamped = triggers.stamp(images[labels != label].cpu(), label)
        triggers.success[label] = (predicted_classes(network, stamped) == label).mean()
    return triggers


class _State:
    """Where the optimisation of each class stands; every tensor's first dimension is the class."""

    def __init__(self, hidden: Tensor, weight: Tensor) -> None:
        classes = len(hidden)
        self.hidden, self.weight = hidden, weight
        self.best = hidden.clone()
        self.best_norm = hidden.new_full((classes,), float("inf"))
        self.first_moment, self.second_moment = torch.zeros_like(hidden), torch.zeros_like(hidden)
        self.steps = hidden.new_zeros(classes)
        self.above, self.below = (torch.zeros_like(self.steps, dtype=torch.long) for _ in range(2))
        self.stalled = np.zeros(classes, dtype=int)
        self.divisor = 1.0  # of the logits, so that the loss weighs as much as usual beside the masks' sizes


def _split(hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (K, 1, H, W) and patterns (K, C, H, W) in [0, 1]."""
    bounded = (torch.tanh(hidden) + 1) / 2
    return bounded[:, :1], bounded[:, 1:]


def _drawn(hidden: Tensor) -> Tensor:
    masks, patterns = _split(hidden)
    return masks * patterns


def _round(
    network: Network,
    images: Tensor,
    labels: Tensor,
    state: _State,
    active: Tensor,
    reversal: Reversal,
    generator: torch.Generator,
) -> None:
    """One pass over the images for the active classes, then each class's λ and best mask."""
    reached, tried, norms = (torch.zeros(len(active), device=images.device) for _ in range(3))
    order = torch.randperm(len(images), generator=generator).to(images.device)
    batches = torch.split(order, reversal.batch_size)
    at_once = max(1, MOST_VALUES // (reversal.batch_size * images[0].numel()))
    for batch in batches:
        for some in torch.split(torch.arange(len(active), device=images.device), at_once):
            now = active[some]
            logits, size, gradient = _loss_gradient(network, images[batch], now, state)
            others = (
                labels[batch][None] != now[:, None]
            )  # (K, B): an image of the class itself proves nothing
            reached[some] += ((logits.argmax(2) == now[:, None]) & others).sum(1)
            tried[some] += others.sum(1)
            norms[some] += size / len(batches)
            _adam(state, now, gradient, reversal.learning_rate)
    works = reached / tried >= SUCCESS
    better = works & (norms < 0.99 * state.best_norm[active])
    state.best_norm[active] = torch.where(better, norms, state.best_norm[active])
    improved = active[better | state.best_norm[active].isinf()]  # before the first that works, show the last
    state.best[improved] = state.hidden[improved]
    found = state.best_norm[active].isfinite()  # one that never worked is not done, however long it takes
    rows = active.cpu().numpy()
    state.stalled[rows] = np.where((better | ~found).cpu().numpy(), 0, state.stalled[rows] + 1)
    state.above[active] = torch.where(works, state.above[active] + 1, 0)
    state.below[active] = torch.where(works, 0, state.below[active] + 1)
    raised, lowered = state.above == reversal.patience, state.below == reversal.patience
    state.weight = torch.where(raised, RAISE * state.weight, state.weight)
    state.weight = torch.where(lowered, state.weight / LOWER, state.weight)
    state.above[raised], state.below[lowered] = 0, 0


def _loss_gradient(
    network: Network, images: Tensor, active: Tensor, state: _State
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (K, B, classes) of images (B, C, H, W) under K classes' triggers, the masks' sizes, the loss's gradient."""
    hidden = state.hidden[active].requires_grad_(True)
    masks, patterns = _split(hidden)
    stamped = torch.lerp(images, patterns[:, None], masks[:, None])  # (K, B, C, H, W)
    with mixed_precision(images.device, (images.shape[1], images.shape[2], images.shape[3])):
        logits = finite(network(stamped.flatten(0, 1)).unflatten(0, stamped.shape[:2]))
    aims = active[:, None].expand(-1, len(images))
    losses = (
        F.cross_entropy(logits.flatten(0, 1) / state.divisor, aims.flatten(), reduction="none")
        .view_as(aims)
        .mean(1)
    )
    size = masks.sum(dim=(1, 2, 3))
    (gradient,) = torch.autograd.grad((losses + state.weight[active] * size).sum(), hidden)
    return logits.detach(), size.detach(), gradient


def _adam(state: _State, active: Tensor, gradient: Tensor, rate: float) -> None:
    """A step of Adam (betas 0.5 and 0.9, as published) for the active classes, each with its own clock."""
    first, second = 0.5, 0.9
    state.steps[active] += 1
    state.first_moment[active] = torch.lerp(gradient, state.first_moment[active], first)
    state.second_moment[active] = torch.lerp(gradient**2, state.second_moment[active], second)
    clock = state.steps[active][:, None, None, None]
    mean = state.first_moment[active] / (1 - first**clock)
    variance = state.second_moment[active] / (1 - second**clock)
    state.hidden[active] -= rate * mean / (variance.sqrt() + 1e-8)


@checked
class Unlearning:
    """How a trigger is unlearned: fine-tuning with a share of each batch stamped, all labels right."""

    epochs: Annotated[Positive, FEW] = 10
    batch_size: Annotated[Positive, FEW] = 40
    learning_rate: Rate = 3e-4
    stamped_share: Annotated[Number, within("a share from 0 to 1", least=0, most=1)] = 0.2


def unlearn(
    network: Network,
    images: Tensor,
    labels: Tensor,
    stamp: Callable[[Tensor], Tensor],
    unlearning: Unlearning | None = None,
    seed: int = 0,
    progress: Callable[[int, Network], Any] | None = None,
) -> Network:
    """A copy of the network, fine-tuned so that `stamp`ed images keep their labels; the given one stays as it is.

    `progress` is told each epoch's number and the frozen copy as it is then; epoch 0 is before the first step.
    """
    unlearning = unlearning or Unlearning()
    images, labels = checked_images(images), checked_labels(labels, len(images))
    copied, device = copy.deepcopy(network), device_of(network)
    optimizer = Adam(copied.parameters(), lr=unlearning.learning_rate)
    generator = torch.Generator().manual_seed(seed)
    for epoch in range(unlearning.epochs + 1):
        if epoch:
            copied.train().requires_grad_(True)
            for batch in torch.split(torch.randperm(len(images), generator=generator), unlearning.batch_size):
                inputs = images[batch]
                count = round(unlearning.stamped_share * len(batch))
                inputs = torch.cat([stamp(inputs[:count]), inputs[count:]]).to(device)
                logits = finite(copied(inputs))
                truth = checked_labels(labels[batch], len(batch), logits.shape[1])
                loss = F.cross_entropy(logits, truth.to(device))
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        freeze(copied)
        if progress:
            progress(epoch, copied)
    return copied
