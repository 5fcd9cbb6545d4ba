"""Adversarial neuron pruning (ANP; Wu and Wang, NeurIPS 2021, arXiv 2110.14430): a back door's neurons are sensitive.

Perturb every neuron's weight and bias by a share of themselves so that the loss on clean images is largest; learn a mask of
the weights that keeps the loss small with and without that perturbation; prune the neurons whose mask falls below a threshold.

A neuron is an output channel of a batch norm, as in the paper's networks, or of a convolution or dense layer with a bias of
its own, as in the digits' networks, which have no batch norm; the head is left alone. Where we depart: the perturbation is
kept within its budget after the random start (the authors' code may leave it), batch norms keep their statistics, and fewer
images and steps are taken.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.common.checked import Number, Positive, checked, within
from tradeoff_core.common.devices import seeded
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import SGD
from tradeoff_core.defenses.removal.tuning import FEW, LearningRate, Share, copied, held_out
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.base import finite

Factors = dict[str, Tensor]  # by the name of a layer, one for each of its neurons


@checked
class NeuronPruning:
    """`epsilon` is how much of itself a neuron's weight and bias may change by, `natural` the plain loss's share of the loss."""

    epsilon: Annotated[Number, within("it must be 0 or more, and at most 10", least=0, most=10)] = 0.4
    natural: Share = 0.2
    steps: Annotated[Positive, FEW] = 60
    batch_size: Annotated[Positive, FEW] = 40
    learning_rate: LearningRate = 1.0
    threshold: Share = 0.2


def neurons(network: Network) -> dict[str, nn.Module]:
    """The layers whose output channels are masked, by name. Raises TradeoffError for a network without any."""
    found: dict[str, nn.Module] = {
        name: part
        for name, part in network.named_modules()
        if part is not network.head
        and isinstance(part, nn.BatchNorm2d | nn.Conv2d | nn.Linear)
        and part.bias is not None
    }
    if not found:
        raise TradeoffError("neuron pruning masks layers with a bias, and this network has none")
    return found


def perturbed_logits(
    network: Network, images: Tensor, masks: Mapping[str, Tensor], weights: Factors, biases: Factors
) -> Tensor:
    """Logits (N, classes) with each neuron's weight times (mask + δ) and its bias times (1 + ξ).

    δ is in `weights`, ξ in `biases`: (K,) for each layer. Can be differentiated with respect to all three. The network is
    hooked while it computes: it must be in eval mode and nobody else's.
    """
    hooks = [
        layer.register_forward_hook(_scaled(layer, masks[name] + weights[name], 1 + biases[name]))
        for name, layer in neurons(network).items()
    ]
    try:
        logits: Tensor = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return finite(logits)


def _scaled(layer: nn.Module, weight: Tensor, bias: Tensor) -> Callable[..., Tensor]:
    """A hook that makes of W x + b what (weight W) x + bias b is, without a product of all weights."""
    own = layer.bias
    assert isinstance(own, Tensor)

    def scale(_module: nn.Module, _inputs: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
        # neurons are the second dimension, but the last one of what a linear layer gives, as for every token
        shape = (-1,) if isinstance(layer, nn.Linear) else (1, -1, *[1] * (outputs.dim() - 2))
        return (outputs - own.view(shape)) * weight.view(shape) + (bias * own).view(shape)

    return scale


def worst_perturbation(
    network: Network,
    images: Tensor,
    labels: Tensor,
    masks: Factors,
    epsilon: float,
    generator: torch.Generator | None,
) -> tuple[Factors, Factors]:
    """δ and ξ within ε that raise the loss: one signed step of ε from a random start, as published; from 0 without a generator."""
    parts: list[Factors] = []
    for _ in range(2):
        noise = {
            name: torch.zeros_like(mask)
            if generator is None
            else (2 * torch.rand(mask.shape, generator=generator, device=generator.device).to(mask) - 1)
            * epsilon
            for name, mask in masks.items()
        }
        parts.append({name: value.requires_grad_(True) for name, value in noise.items()})
    weights, biases = parts
    fixed = {name: mask.detach() for name, mask in masks.items()}
    loss = F.cross_entropy(perturbed_logits(network, images, fixed, weights, biases), labels)
    every = [*weights.values(), *biases.values()]
    gradients = torch.autograd.grad(loss, every)
    moved = [
        (value + epsilon * gradient.sign()).clamp(-epsilon, epsilon).detach()
        for value, gradient in zip(every, gradients, strict=True)
    ]
    count = len(weights)
    return dict(zip(weights, moved[:count], strict=True)), dict(zip(biases, moved[count:], strict=True))


def learn_masks(
    network: Network, images: Tensor, labels: Tensor, pruning: NeuronPruning | None = None, seed: int = 0
) -> Factors:
    """The mask in [0, 1] of every neuron, (K,) for each layer, learned on clean images (N, C, H, W) with labels (N,).

    The network is only read. Raises TradeoffError for one without neurons, and NotFinite.
    """
    pruning = pruning or NeuronPruning()
    images, labels = held_out(network, images, labels)
    reading = freeze(copied(network))
    masks = {
        name: torch.ones(len(layer.bias), device=images.device, requires_grad=True)  # type: ignore[arg-type]
        for name, layer in neurons(reading).items()
    }
    still = {name: torch.zeros_like(mask) for name, mask in masks.items()}
    optimizer = SGD(masks.values(), lr=pruning.learning_rate, momentum=0.9)
    generator = seeded(images.device, seed)
    for _ in range(pruning.steps):
        chosen = torch.randint(
            len(images), (min(pruning.batch_size, len(images)),), generator=generator, device=generator.device
        )
        batch, truth = images[chosen], labels[chosen]
        worst = worst_perturbation(reading, batch, truth, masks, pruning.epsilon, generator)
        robust = F.cross_entropy(perturbed_logits(reading, batch, masks, *worst), truth)
        natural = F.cross_entropy(perturbed_logits(reading, batch, masks, still, still), truth)
        optimizer.zero_grad()
        loss = pruning.natural * natural + (1 - pruning.natural) * robust
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            for mask in masks.values():
                mask.clamp_(0, 1)
    return {name: mask.detach() for name, mask in masks.items()}


def prune_neurons(
    network: Network, images: Tensor, labels: Tensor, pruning: NeuronPruning | None = None, seed: int = 0
) -> Network:
    """A copy of the network whose neurons with a mask up to the threshold have no weights; the given one stays as it is.

    Their biases stay, as in the authors' code. Raises TradeoffError as `learn_masks` does.
    """
    pruning = pruning or NeuronPruning()
    masks = learn_masks(network, images, labels, pruning, seed)
    pruned = copied(network)
    with torch.no_grad():
        for name, layer in neurons(pruned).items():
            layer.weight[masks[name] <= pruning.threshold] = 0  # type: ignore[operator]
    return freeze(pruned)
