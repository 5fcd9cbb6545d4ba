"""The unlearning of ABL (Li et al., NeurIPS 2021, arXiv 2110.11571): climb the loss of what is isolated as poison.

Every step goes down the loss of a batch of clean images and up that of isolated training examples, with the labels that they
were trained with: the two terms of the paper's global gradient ascent.

Where we depart: the clean images are held out, not the rest of the training set; Adam takes the place of momentum; and an
isolated example whose loss has passed `enough` is let go, so that ascent has an end. Batch norms keep their statistics. Who isolates is another matter: any
detector, or `least_loss`, ABL's own rule applied to a network that is trained already.
"""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.common.checked import Number, Positive, checked, within
from tradeoff_core.common.devices import device_of, seeded
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import ImageDataset, checked_labels
from tradeoff_core.defenses.removal.tuning import FEW, LearningRate, copied, held_out
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.base import finite
from tradeoff_core.networks.inference import logits_of


@checked
class Ascent:
    """`enough` is the loss, in nats, from which an isolated example is forgotten: ln 10 = 2.3 is guessing among ten classes."""

    epochs: Annotated[Positive, FEW] = 10
    batch_size: Annotated[Positive, FEW] = 40
    learning_rate: LearningRate = 1e-3
    enough: Annotated[Number, within("above 0, at most 100", above=0, most=100)] = 5.0


def least_loss(network: Network, training: ImageDataset, share: float = 0.02) -> NDArray[np.int64]:
    """The indices of the share of training examples that the network is surest of, surest first: what ABL isolates.

    ABL looks in the first epochs, this at the end. Raises TradeoffError for a share that isolates none or all.
    """
    count = round(share * len(training)) if share == share else 0
    if not 0 < count < len(training):
        raise TradeoffError(
            f"a share of {share:g} isolates {count} of {len(training):,} examples: choose one that isolates some"
        )
    losses = F.cross_entropy(logits_of(network, training.images).double(), training.targets, reduction="none")
    return np.argsort(losses.numpy(), kind="stable")[:count]


def ascent_loss(logits: Tensor, labels: Tensor, isolated: Tensor, given: Tensor, enough: float) -> Tensor:
    """The mean loss of clean logits (N, classes) less that of isolated ones (M, classes), of which each counts up to `enough`."""
    climbed = F.cross_entropy(isolated, given, reduction="none").clamp(max=enough)
    return F.cross_entropy(logits, labels) - climbed.mean()


def unlearn_isolated(
    network: Network,
    images: Tensor,
    labels: Tensor,
    training: ImageDataset,
    isolated: NDArray[np.int64],
    ascent: Ascent | None = None,
    seed: int = 0,
) -> Network:
    """A copy of the network that forgets the training examples at `isolated` (M,) and keeps clean images (N, C, H, W).

    `training` is what it was trained on, poison and labels as they were. The given network stays as it is. Raises
    TradeoffError if nothing is isolated or an index names no training example, and NotFinite.
    """
    ascent = ascent or Ascent()
    images, labels = held_out(network, images, labels)
    isolated = np.unique(np.asarray(isolated, dtype=np.int64))
    if not len(isolated):
        raise TradeoffError("no training example is isolated, so there is nothing to unlearn")
    if isolated[0] < 0 or isolated[-1] >= len(training):
        wrong = isolated[0] if isolated[0] < 0 else isolated[-1]
        raise TradeoffError(f"there is no training example {wrong} to isolate: there are {len(training):,}")
    poison, given = training.take(isolated).tensors()
    given = checked_labels(given, len(poison), network.classes)
    device = device_of(network)
    poison, given = poison.to(device), given.to(device)
    cleansed = copied(network)
    optimizer = Adam(cleansed.parameters(), lr=ascent.learning_rate)
    generator = seeded(device, seed)
    for _ in range(ascent.epochs):
        order = torch.randperm(len(images), generator=generator, device=generator.device)
        for batch in torch.split(order, ascent.batch_size):
            some = torch.randperm(len(poison), generator=generator, device=generator.device)[: len(batch)]
            logits = finite(cleansed(torch.cat([images[batch], poison[some]])))
            kept, climbing = torch.split(logits, [len(batch), len(some)])
            loss = ascent_loss(kept, labels[batch], climbing, given[some], ascent.enough)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return freeze(cleansed)
