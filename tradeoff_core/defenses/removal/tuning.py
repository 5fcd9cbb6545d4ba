"""What the removals share: a copy of a network, and fine-tuning it on few clean images."""

import copy
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.common.checked import FromZero, Number, Positive, checked, within
from tradeoff_core.common.devices import device_of, seeded
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import checked_images, checked_labels
from tradeoff_core.networks import Network
from tradeoff_core.networks.base import finite

FEW = within("at most 10,000", most=10_000)
Share = Annotated[Number, within("a share from 0 to 1", least=0, most=1)]
LearningRate = Annotated[Number, within("above 0, at most 1", above=0, most=1)]


@checked
class Tuning:
    """Fine-tuning by Adam on the plain loss."""

    epochs: Annotated[FromZero, FEW] = 10
    batch_size: Annotated[Positive, FEW] = 40
    learning_rate: LearningRate = 1e-3


def copied(network: Network) -> Network:
    """A copy in eval mode whose parameters can be trained, where the network is."""
    return copy.deepcopy(network).eval().requires_grad_(True)


def held_out(network: Network, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The clean images (N, C, H, W) and labels (N,) where the network is. Raises TradeoffError for others, and for none."""
    images = checked_images(images)
    if not len(images):
        raise TradeoffError("there is no clean image to remove a back door with")
    labels, device = checked_labels(labels, len(images), network.classes), device_of(network)
    return images.to(device), labels.to(device)


def tune(
    network: Network,
    images: Tensor,
    labels: Tensor,
    tuning: Tuning,
    seed: int,
    after_step: Callable[[], None] = lambda: None,
) -> None:
    """Fine-tune `network` in place on images (N, C, H, W) and labels (N,), where they are; leave it in eval mode.

    `after_step` is called after every step, as whoever keeps weights at 0 wants. Raises NotFinite.
    """
    optimizer = Adam(network.parameters(), lr=tuning.learning_rate)
    generator = seeded(images.device, seed)
    network.train()
    for _ in range(tuning.epochs):
        order = torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)
        for batch in torch.split(order, tuning.batch_size):
            loss = F.cross_entropy(finite(network(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            after_step()
    network.eval()
