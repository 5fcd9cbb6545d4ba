"""Adversarial accuracy does not depend on the scale of the logits, and what attacks cannot see is said."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core import networks
from tradeoff_core.attacks import Attack, Norm, fgsm
from tradeoff_core.attacks.gradient import SATURATED, cross_entropy, perturb
from tradeoff_core.datasets import Split, load_dataset, to_show
from tradeoff_core.evaluation.blindness import blindness
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.experiments.run import measure
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.models import zoo
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.inference import predicted_classes

FAST = ("mnist-5k-clean-label-pgd-0.3", "mnist-5k-clean-label-ibp-0.4-mnist-ibp-small")
OF_EACH_KIND = {  # the first of each network and way of training: poison does not matter here
    (model.spec.network, model.spec.training.title): model.id
    for model in map(zoo.find_model, reversed(zoo.model_ids()))
}.values()


def scaled(network: Network, factor: float = 1000.0) -> Network:
    """The same decisions, from logits `factor` times as far apart."""
    copied = copy.deepcopy(network)
    copied.head.weight.data *= factor
    copied.head.bias.data *= factor
    return copied


def accuracy(network: Network, images: Tensor, labels: Tensor, attack: Attack) -> float:
    return 1 - float(fooled_by(network, images, labels, attack).mean())


def shown(name: str) -> tuple[Tensor, Tensor]:
    """Pictures for a model of the zoo: its data set's, or others of its size with what it reads in them."""
    model = zoo.find_model(name)
    place = to_show(model.spec.dataset)
    if place is not None:
        data = load_dataset(place, Split.TEST)
        return data.spread({28: 200, 32: 100}.get(data.image_shape[1], 20)).tensors()
    images = F.interpolate(load_dataset("cifar10-samples", Split.TEST).tensors()[0], (64, 64))
    return images, torch.from_numpy(predicted_classes(zoo.load_network(model), images))


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.bench) for name in OF_EACH_KIND],
)
def test_accuracy_does_not_rise_with_the_logits_on_the_zoo(name):
    network, (images, labels) = zoo.load_network(zoo.find_model(name)), shown(name)
    epsilon = zoo.find_model(name).spec.evaluation.epsilon
    attack = Attack(epsilon=epsilon, steps=10)
    before = accuracy(network, images, labels, attack)
    assert accuracy(scaled(network), images, labels, attack) <= before + 0.01


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("factor", [1e-36, 1e-8, 1e-3, 30.0, 1000.0, 1e6])
def test_accuracy_does_not_rise_with_the_logits_on_own_networks(norm, factor, hardened_network, digits):
    attack = Attack(norm, 0.15 if norm is Norm.LINF else 1.5, steps=10)
    before = accuracy(hardened_network, *digits, attack)
    assert 0.1 < before < 0.9
    assert accuracy(scaled(hardened_network, factor), *digits, attack) <= before + 0.01


@pytest.mark.parametrize(
    "name", ["torchvision-resnet18", pytest.param("torchvision-mobilenet_v3_small", marks=pytest.mark.bench)]
)
def test_accuracy_does_not_rise_with_the_logits_on_torchvisions(name):
    network = freeze(networks.build(name, 1.0, 0, 10))
    images = load_dataset("cifar10-samples", Split.TEST).tensors()[0]
    labels, attack = torch.from_numpy(predicted_classes(network, images)), Attack(epsilon=0.5 / 255, steps=5)
    before = accuracy(network, images, labels, attack)
    assert accuracy(scaled(network), images, labels, attack) <= before + 0.01


def test_a_loss_that_does_not_vanish_is_the_cross_entropy_bit_for_bit():
    logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(0), requires_grad=True)
    labels, index = torch.arange(50) % 10, torch.arange(50)
    ours, plain = cross_entropy(labels)(logits, index), F.cross_entropy(logits, labels, reduction="sum")
    assert ours.item() == plain.item()
    assert torch.equal(*(torch.autograd.grad(loss, logits)[0] for loss in (ours, plain)))


def test_a_loss_that_vanishes_or_is_flat_is_divided_by_hand():
    logits = torch.tensor([[SATURATED + 70, 0.0], [5.0, 0.0], [0.1, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(cross_entropy(torch.zeros(3).long())(logits, torch.arange(3)), logits)
    share = 1 / (1 + np.exp(10.0))  # the label leads by 10 once its logits are divided by 100 / 10
    assert gradient[0].tolist() == pytest.approx([-0.1 * share, 0.1 * share], rel=1e-3)
    assert gradient[1, 1].item() == pytest.approx(1 / (1 + np.exp(5.0)), rel=1e-5)
    assert gradient[2].tolist() == pytest.approx([-100 * share, 100 * share], rel=1e-3)  # 0.1 ahead become 10


def test_training_attacks_the_cross_entropy_itself_as_a_network_begins_with_flat_logits(digits):
    images, labels = digits[0][:20], digits[1][:20]
    network = freeze(networks.build("mnist-cnn", width=0.25, seed=0))
    tried = images.clone().requires_grad_(True)
    F.cross_entropy(network(tried), labels).backward()
    by_hand = (images + 0.1 * tried.grad.sign()).clamp(0, 1)
    assert torch.equal(perturb(network, images, labels, fgsm(0.1), training=True), by_hand)
    assert not torch.equal(perturb(network, images, labels, fgsm(0.1)), by_hand)


def test_vanishing_gradients_are_told_with_every_measurement(standard_network, digits):
    spec, attack = ExperimentSpec(), Attack(epsilon=0.05, steps=1)
    assert "warnings" not in measure(standard_network, *digits, spec, attack)
    (said,) = measure(scaled(standard_network), *digits, spec, attack)["warnings"]
    assert "exactly 0: attacks cannot follow it, but those that divide the logits can" in said


def test_gradients_that_no_scale_brings_back_are_told(standard_network, digits):
    class Rounded(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images * 255).round() / 255

    found = blindness(nn.Sequential(Rounded(), standard_network), *digits)
    assert found.zero.all()
    assert found.lost.all()
    assert found.warnings() == ["the gradient of 200 of 200 examples is exactly 0: attacks cannot follow it"]
    assert torch.equal(perturb(standard_network, *digits, Attack(epsilon=0.0)), digits[0])
