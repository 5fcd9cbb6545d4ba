"""I-BAU (Zeng et al., ICLR 2022, arXiv 2110.03735): unlearn the perturbation that fools most images, whatever the trigger.

Inside, one perturbation for all clean images is sought that raises their loss most; outside, the weights go where the loss
under it falls. The outside gradient counts that another perturbation answers other weights: the implicit hypergradient, by
the fixed point of Grazzi et al. (2020), as in the authors' code.

Where we depart: the perturbation is kept in an l2 ball, as in the paper (the authors' code has that line switched off and
relies on its penalty alone); its steps have one length, as those of an attack in l2, where a plain gradient of a sure network
would not move it; a share of each batch carries it (in the code one image in a hundred). As there it starts from 0 in every
round, and batch norms keep their statistics.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.common.checked import FromZero, Number, Positive, checked, within
from tradeoff_core.common.devices import seeded
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.defenses.removal.tuning import FEW, LearningRate, Share, copied, held_out
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.base import finite

Objective = Callable[[Tensor], Tensor]  # of the perturbation, a number; it may depend on parameters too
PENALTY = 1e-3  # of the perturbation's squared length, as in the authors' code


@checked
class Minimax:
    """`radius` bounds the perturbation's l2 norm, `climbs` are passes over the images; `implicit_step`, `terms`: the fixed point's."""

    rounds: Annotated[Positive, FEW] = 5
    batch_size: Annotated[Positive, FEW] = 100
    learning_rate: LearningRate = 1e-3
    radius: Annotated[Number, within("above 0, at most 1,000", above=0, most=1000)] = 1.0
    climbs: Annotated[Positive, FEW] = 3
    stamped_share: Share = 0.5
    implicit_step: LearningRate = 0.1
    terms: Annotated[FromZero, FEW] = 3


def hypergradient(
    outer: Objective,
    inner: Objective,
    perturbation: Tensor,
    parameters: Sequence[Tensor],
    step: float,
    terms: int,
) -> list[Tensor]:
    """The gradient of `outer` for the parameters where the perturbation is the least of `inner` for them.

    The fixed point of Φ(δ) = δ - step ∂inner/∂δ gives it as ∂outer/∂θ + (∂Φ/∂θ)ᵀ v, v = Σ (∂Φ/∂δ)ᵏᵀ ∂outer/∂δ over `terms`
    terms; 0 terms is the plain gradient. `perturbation` is δ, any shape; one tensor for each parameter comes back.
    """
    point = perturbation.detach().requires_grad_(True)
    found = torch.autograd.grad(outer(point), [point, *parameters], allow_unused=True)
    direct, *plain = (
        torch.zeros_like(of) if one is None else one
        for one, of in zip(found, [point, *parameters], strict=True)
    )
    if terms == 0:
        return plain
    (slope,) = torch.autograd.grad(inner(point), point, create_graph=True)
    answer = direct
    for _ in range(terms - 1):
        (bent,) = torch.autograd.grad(slope, point, answer, retain_graph=True)
        answer = answer - step * bent + direct
    moved = torch.autograd.grad(slope, parameters, -step * answer, allow_unused=True)
    return [one if other is None else one + other for one, other in zip(plain, moved, strict=True)]


def universal_perturbation(
    network: Network, images: Tensor, labels: Tensor, minimax: Minimax, generator: torch.Generator
) -> Tensor:
    """One perturbation (1, C, H, W), at most `radius` long, that raises the loss of images (N, C, H, W): ascent from 0."""
    perturbation = torch.zeros_like(images[:1])
    step = 2.5 * minimax.radius / (minimax.climbs * -(-len(images) // minimax.batch_size))
    for _ in range(minimax.climbs):
        order = torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)
        for batch in torch.split(order, minimax.batch_size):
            perturbation.requires_grad_(True)
            value = _inner(network, images[batch], labels[batch], perturbation)
            (gradient,) = torch.autograd.grad(value, perturbation)
            moved = perturbation.detach() - step * gradient / gradient.norm().clamp_min(1e-30)
            perturbation = moved * (minimax.radius / moved.norm().clamp_min(1e-30)).clamp_max(1)
    return perturbation


def _inner(network: Network, images: Tensor, labels: Tensor, perturbation: Tensor) -> Tensor:
    """What the perturbation makes least: the loss under it with its sign turned, and a penalty on its length."""
    loss = F.cross_entropy(finite(network(images + perturbation)), labels)
    return PENALTY * perturbation.square().sum() - loss


def unlearn_universal(
    network: Network, images: Tensor, labels: Tensor, minimax: Minimax | None = None, seed: int = 0
) -> Network:
    """A copy of the network that keeps its labels on clean images (N, C, H, W) under the perturbation that fools most of them.

    The given one stays as it is. Raises NotFinite.
    """
    minimax = minimax or Minimax()
    images, labels = held_out(network, images, labels)
    cleansed = copied(network)
    parameters = list(cleansed.parameters())
    optimizer = Adam(parameters, lr=minimax.learning_rate)
    generator = seeded(images.device, seed)
    for _ in range(minimax.rounds):
        freeze(cleansed)
        perturbation = universal_perturbation(cleansed, images, labels, minimax, generator)
        cleansed.requires_grad_(True)
        order = torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)
        for chosen in torch.split(order, minimax.batch_size):
            batch, truth = images[chosen], labels[chosen]
            count = round(minimax.stamped_share * len(batch))

            def outer(
                point: Tensor, batch: Tensor = batch, truth: Tensor = truth, count: int = count
            ) -> Tensor:
                stamped = torch.cat([batch[:count] + point, batch[count:]])
                return F.cross_entropy(finite(cleansed(stamped)), truth)

            def inner(point: Tensor, batch: Tensor = batch, truth: Tensor = truth) -> Tensor:
                return _inner(cleansed, batch, truth, point)

            gradients = hypergradient(
                outer, inner, perturbation, parameters, minimax.implicit_step, minimax.terms
            )
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
    return freeze(cleansed)
