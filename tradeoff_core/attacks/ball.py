"""The ε ball around images: where an attack starts in it, how it steps, and how it stays inside."""

import torch
from torch import Tensor

from tradeoff_core.attacks.attack import Attack, Norm
from tradeoff_core.common.devices import place_of
from tradeoff_core.common.errors import TradeoffError


def unit_noise(images: Tensor, norm: Norm, generator: torch.Generator | None) -> Tensor:
    """A uniformly drawn point of the norm's unit ball for each image, (N, C, H, W)."""
    place = place_of(generator)
    if norm is Norm.LINF:
        noise = torch.rand(images.shape, generator=generator, device=place) * 2 - 1
    else:
        direction = torch.randn(images.shape, generator=generator, device=place)
        radius = torch.rand(len(images), 1, 1, 1, generator=generator, device=place)
        radius = radius ** (1 / images[0].numel())
        noise = direction / l2_norms(direction) * radius
    return noise.to(images)


def random_start(images: Tensor, attack: Attack, generator: torch.Generator | None) -> Tensor:
    """Images moved to a uniformly drawn point of the ε ball, clipped to [0, 1]."""
    return (images + attack.epsilon * unit_noise(images, attack.norm, generator)).clamp(0, 1)


def patches(images: Tensor, attack: Attack, generator: torch.Generator | None) -> Tensor | None:
    """The pixels (N, 1, H, W) that the attack may touch, a square in each image; None where it may touch all.

    Raises TradeoffError if the square is larger than the images.
    """
    side = attack.patch
    if side is None:
        return None
    height, width = images.shape[-2:]
    if side > min(height, width):
        raise TradeoffError(f"patch {side} does not fit into images of {height} x {width}")

    def spans(length: int) -> Tensor:
        """Where a side of each square lies, (N, length)."""
        place = place_of(generator)
        first = torch.randint(length - side + 1, (len(images), 1), generator=generator, device=place)
        places = torch.arange(length, device=place)
        return (places >= first) & (places < first + side)

    rows, columns = spans(height), spans(width)
    return (rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)


def start_of(
    images: Tensor, attack: Attack, generator: torch.Generator | None
) -> tuple[Tensor, Tensor | None]:
    """Where an attack starts, and the patch that it stays in."""
    patch = patches(images, attack, generator)
    start = random_start(images, attack, generator) if attack.random_start else images
    return (start if patch is None else torch.where(patch, start, images)), patch


def step(
    adversarial: Tensor, gradient: Tensor, images: Tensor, attack: Attack, scale: Tensor | float = 1.0
) -> Tensor:
    """One ascent step (descent if targeted), projected to the ε ball around `images` and to [0, 1].

    `scale`, a number or (N, 1, 1, 1), multiplies ε and the step.
    """
    epsilon, length = attack.epsilon * scale, attack.step * scale
    direction = (
        gradient.sign() if attack.norm is Norm.LINF else gradient / l2_norms(gradient).clamp_min(1e-30)
    )
    moved = adversarial - length * direction if attack.targeted else adversarial + length * direction
    if attack.norm is Norm.LINF:
        projected = torch.minimum(torch.maximum(moved, images - epsilon), images + epsilon)
    else:
        perturbation = moved - images
        projected = images + perturbation * (epsilon / l2_norms(perturbation).clamp_min(1e-30)).clamp_max(1)
    return projected.clamp(0, 1)


def l2_norms(x: Tensor) -> Tensor:
    """Of each image (N, C, H, W), (N, 1, 1, 1)."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
    return norms
