"""ASSET (Pan et al., USENIX Security 2023, arXiv 2302.11408): what clean images cannot offset is poison.

A network that knows nothing yet learns a small base set, known to be clean, and unlearns the suspicious set, in turns. What
both sets share cancels; what only the suspicious set has, the way from trigger to target, is unlearned. Poison then has a high
loss. How the suspicious network was trained plays no part.

This is the paper's outer loop with the cross-entropy for both steps. Left out: the inner loop that first picks, in every
batch, what a small separator tells from the base set, for sets with little poison; the variance of the logits in place of the
loss on the base set, as the authors' demonstration has it; the threshold, since what is removed is a share.
"""

import copy
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.common.checked import Number, Positive, checked, within
from tradeoff_core.common.devices import device_of
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import ImageDataset, to_tensor
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.base import NotFinite
from tradeoff_core.networks.inference import Floats, logits_of


@checked
class Offset:
    """How the two steps go: epochs over the suspicious set, images of each set in a batch, and Adam's rate in both steps."""

    epochs: Positive = 1
    batch_size: Positive = 100
    learning_rate: Annotated[Number, within("above 0, at most 1", above=0, most=1)] = 1e-3


def asset_scores(
    network: Network,
    suspicious: ImageDataset,
    base: ImageDataset,
    offset: Offset | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """The loss (N,) of each suspicious example after the two steps took turns; `base` are clean examples.

    Of `network` the architecture is taken, not the weights. Classes differ in their losses: compare examples of one label.
    Raises TradeoffError if the sets have pictures of different shapes, and if the loss stops being finite.
    """
    if suspicious.image_shape != base.image_shape:
        raise TradeoffError(
            f"the base set has images of shape {base.image_shape}, the suspicious one of {suspicious.image_shape}"
        )
    offset = offset or Offset()
    generator = torch.Generator().manual_seed(seed)
    turned = _untrained(network, seed).train()
    down, up = (Adam(turned.parameters(), lr=offset.learning_rate) for _ in range(2))
    for epoch in range(offset.epochs):
        batches = torch.split(torch.randperm(len(suspicious), generator=generator), offset.batch_size)
        for done, batch in enumerate(batches):
            drawn = torch.randint(len(base), (offset.batch_size,), generator=generator)
            _step(turned, down, *_some(base, drawn), sign=1)
            _step(turned, up, *_some(suspicious, batch), sign=-1)
            if progress:
                progress((epoch + (done + 1) / len(batches)) / offset.epochs)
    try:
        logits = logits_of(freeze(turned), suspicious.images)
    except NotFinite:
        raise TradeoffError("the loss stopped being finite: lower the learning_rate") from None
    scores: Floats = F.cross_entropy(logits, suspicious.targets, reduction="none").double().numpy()
    return scores


def _untrained(network: Network, seed: int) -> Network:
    """A copy of the network whose weights are drawn anew."""
    made = copy.deepcopy(network).requires_grad_(True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in made.modules():
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    return made


def _some(data: ImageDataset, indices: Tensor) -> tuple[Tensor, Tensor]:
    return to_tensor(data.images[indices.numpy()]), data.targets[indices]


def _step(
    network: Network, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, *, sign: int
) -> None:
    device = device_of(network)
    loss = sign * F.cross_entropy(network(images.to(device)), labels.to(device))
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
