"""The trigger of Narcissus (Zeng et al. 2023, arXiv 2204.05255): what makes the target class more like itself."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.attacks.gradient import gradient_of
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import checked_images, checked_labels
from tradeoff_core.networks.inference import in_batches


def narcissus(
    network: nn.Module,
    images: Tensor,
    target: int,
    epsilon: float = 16 / 255,
    rounds: int = 200,
    learning_rate: float = 0.01,
) -> Tensor:
    """One perturbation (C, H, W) within ε in l-inf that lowers the loss of all `images` (N, C, H, W) as the target class.

    `images` are of the target class alone, `network` is any that was trained on data like these. Every round takes the
    gradient over all images, clipped to [0, 1] once they are perturbed, and a step of Adam from 0. Departures: the paper
    trains its network on other data and on the target class's images, and here it is given; RAdam is Adam. Raises NotFinite,
    and TradeoffError for no image, an ε outside (0, 1] or a target that is no class.
    """
    images = checked_images(images)
    if len(images) == 0 or rounds < 1 or not 0 < epsilon <= 1:
        raise TradeoffError(
            f"a trigger is optimised on images of its class, in 1 round and more, with epsilon above 0 and at most 1: "
            f"not on {len(images)} images in {rounds} rounds with epsilon {epsilon:g}"
        )
    labels = torch.full((len(images),), target, device=images.device)
    perturbation = torch.zeros_like(images[0])
    optimizer = Adam([perturbation], lr=learning_rate)
    for _ in range(rounds):
        perturbation.grad = _gradient(network, images, labels, perturbation) / len(images)
        optimizer.step()
        perturbation.clamp_(-epsilon, epsilon)
    return perturbation


def _gradient(network: nn.Module, images: Tensor, labels: Tensor, perturbation: Tensor) -> Tensor:
    """The loss's gradient (C, H, W) with respect to the perturbation, summed over the images."""
    total, place = torch.zeros_like(perturbation), 0
    for batch in in_batches(images):
        moved, truth = batch + perturbation, labels[place : place + len(batch)]

        def loss(logits: Tensor, _: Tensor, truth: Tensor = truth) -> Tensor:
            return F.cross_entropy(
                logits, checked_labels(truth, len(truth), logits.shape[1]), reduction="sum"
            )

        inside = (moved >= 0) & (moved <= 1)  # elsewhere the clipped image does not move
        total += (gradient_of(network, moved.clamp(0, 1), loss)[1] * inside).sum(0)
        place += len(batch)
    return total
