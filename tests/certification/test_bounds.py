"""Interval bounds: worked out by hand, never crossed by a sample, and never above what an attack leaves."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.certification.bounds import (
    certified,
    certified_radius,
    has_bounds,
    image_interval,
    logit_bounds,
    margin_bounds,
    propagate,
    worst_logits,
)
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.networks import NETWORKS, Network, build, freeze
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.networks.residual import PreActivationUnit
from tradeoff_core.training.loop import train
from tradeoff_core.training.recipe import IntervalBounds, Training

BOUNDED = ["mnist-cnn", "mnist-ibp-small", "cifar-ibp-medium"]


def toy() -> Network:
    """Two inputs, two hidden units, two classes, in float64."""
    layer, head = nn.Linear(2, 2).double(), nn.Linear(2, 2).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -1.0], [2.0, 1.0]]))
        layer.bias.copy_(torch.tensor([0.0, -1.0]))
        head.weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
        head.bias.copy_(torch.tensor([0.5, 0.0]))
    return freeze(Network({"penultimate": nn.Sequential(nn.Flatten(), layer, nn.ReLU())}, head))


@pytest.fixture(scope="module")
def certifiable(digits) -> Network:
    """Trained on interval bounds just long enough to certify something."""
    network = build("mnist-ibp-small", 1.0, seed=0)
    images, labels = digits
    recipe = Training(
        epochs=30,
        batch_size=50,
        learning_rate=3e-3,
        interval_bounds=IntervalBounds(0.1, warm_up_epochs=2, ramp_epochs=20),
    )
    train(network, images, labels, recipe, 0, validation=(images[:10], labels[:10]))
    return freeze(network)


def test_11_the_bounds_of_a_toy_network_are_those_worked_out_by_hand():
    image = torch.tensor([[[[0.5, 0.4]]]], dtype=torch.float64)
    # hidden: x - y in 0.1 +- 0.2, 2x + y - 1 in 0.4 +- 0.3; after the ReLU [0, 0.3] and [0.1, 0.7]
    lower, upper = logit_bounds(toy(), image, 0.1)
    assert lower[0].tolist() == pytest.approx([0.6, -0.7])
    assert upper[0].tolist() == pytest.approx([1.5, 0.2])
    # the margin of class 0 over 1 is 2 h2 + 0.5, from 0.7; bounding both logits apart would give only 0.4
    bounds = margin_bounds(toy(), image, torch.tensor([0]), 0.1)
    assert bounds[0].tolist() == pytest.approx([0, 0.7])
    assert worst_logits(toy(), image, torch.tensor([0]), 0.1)[0].tolist() == pytest.approx([0, -0.7])


def test_11_a_convolution_and_a_pooling_worked_out_by_hand():
    convolution = nn.Conv2d(1, 1, 2, bias=True).double()
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[[[1.0, -2.0], [0.5, 0.0]]]]))
        convolution.bias.fill_(0.1)
    image = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    lower, upper = propagate(convolution, image_interval(image, 0.1))
    assert (lower.item(), upper.item()) == pytest.approx((-0.15 - 0.35, -0.15 + 0.35))
    interval = (torch.tensor([[[[0.0, 0.3], [0.1, 0.2]]]]), torch.tensor([[[[0.2, 0.4], [0.9, 0.3]]]]))
    lower, upper = propagate(nn.MaxPool2d(2), interval)
    assert (lower.item(), upper.item()) == pytest.approx((0.3, 0.9))


def test_11_a_batch_norm_worked_out_by_hand(refused):
    norm = nn.BatchNorm2d(2, eps=0.5).double().eval()
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([1.0, 0.0]))
        norm.running_var.copy_(torch.tensor([3.5, 0.5]))
        norm.weight.copy_(torch.tensor([4.0, -3.0]))
        norm.bias.copy_(torch.tensor([0.1, 0.2]))
    image = torch.full((1, 2, 1, 1), 0.5, dtype=torch.float64)
    lower, upper = propagate(norm, image_interval(image, 0.1))
    # (x - 1) / 2 * 4 + 0.1 rises by 2 x, -3 x + 0.2 falls by 3 x
    assert lower.flatten().tolist() == pytest.approx([-0.9 - 0.2, -1.3 - 0.3])
    assert upper.flatten().tolist() == pytest.approx([-0.9 + 0.2, -1.3 + 0.3])
    with refused("no interval bounds for a layer of kind BatchNorm2d"):
        propagate(norm.train(), image_interval(image, 0.1))  # what it makes of an image depends on the others


def test_what_has_bounds_has_them_in_every_stage_and_in_eval_mode(digits):
    head = nn.Linear(784, 10)
    chain = Network(
        {"penultimate": nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.LeakyReLU())}, head
    )
    assert not has_bounds(chain.train())
    assert has_bounds(freeze(chain))
    lower, upper = logit_bounds(chain, digits[0][:5], 0.0)
    assert torch.allclose(lower, chain(digits[0][:5]), atol=1e-5)
    assert torch.equal(lower, upper)
    for layer in (nn.BatchNorm2d(1, track_running_stats=False), nn.Conv2d(1, 1, 1, padding_mode="circular")):
        assert not has_bounds(freeze(Network({"penultimate": nn.Sequential(layer)}, head)))
    assert [name for name in NETWORKS if has_bounds(freeze(build(name, 0.1, seed=0)))] == BOUNDED


def test_a_sum_has_no_bounds_though_each_of_its_layers_has(digits, refused):
    unit = PreActivationUnit(1, 1, 1)
    network = freeze(Network({"penultimate": unit}, nn.Linear(784, 10)))
    assert not has_bounds(network)
    with refused("no interval bounds for a layer of kind PreActivationUnit"):
        certified(network, digits[0][:2], digits[1][:2], 0.1)


def test_11_the_first_layer_agrees_with_an_independent_library():
    art = pytest.importorskip("art.estimators.certification.interval")
    layer = nn.Linear(6, 4)
    theirs = art.PyTorchIntervalDense(6, 4)
    theirs.weight = nn.Parameter(layer.weight.detach().clone())
    theirs.bias = nn.Parameter(layer.bias.detach().clone())
    middle = torch.rand(3, 6)
    interval = torch.stack([middle - 0.1, middle + 0.1], dim=1)  # (N, 2, D), as it takes them
    expected = theirs(interval)
    lower, upper = propagate(layer, (middle - 0.1, middle + 0.1))
    assert torch.allclose(torch.as_tensor(expected[:, 0]).float(), lower, atol=1e-5)
    assert torch.allclose(torch.as_tensor(expected[:, 1]).float(), upper, atol=1e-5)


def taken(network: Network, images: torch.Tensor) -> torch.Tensor:
    """Digits, or noise of the shape that a network for photographs takes."""
    if network.image_shape == images.shape[1:]:
        return images
    return torch.rand(len(images), *network.image_shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", BOUNDED)
def test_11_at_epsilon_0_the_bounds_are_the_logits(name, digits):
    network = freeze(build(name, 0.25, seed=0))
    images = taken(network, digits[0][:20])
    lower, upper = logit_bounds(network, images, 0.0)
    assert torch.equal(lower, upper)
    assert torch.allclose(lower, network(images), atol=1e-5)


@pytest.mark.parametrize("name", BOUNDED)
def test_11_sampled_points_stay_inside_their_bounds(name, digits):
    network = freeze(build(name, 0.25, seed=0))
    images, labels = taken(network, digits[0][:20]), digits[1][:20]
    generator = torch.Generator().manual_seed(0)
    for epsilon in (0.01, 0.1, 0.4):
        lower, upper = logit_bounds(network, images, epsilon)
        margins = margin_bounds(network, images, labels, epsilon)
        corner = (images + epsilon * (torch.rand(images.shape, generator=generator) - 0.5).sign()).clamp(0, 1)
        inside = (images + epsilon * (2 * torch.rand(images.shape, generator=generator) - 1)).clamp(0, 1)
        for sample in (corner, inside, images):
            logits = network(sample)
            assert (logits >= lower - 1e-4).all()
            assert (logits <= upper + 1e-4).all()
            assert (logits.gather(1, labels[:, None]) - logits >= margins - 1e-4).all()


def test_10_certified_at_most_strongest_attack_at_most_pgd_at_most_clean_for_every_example(
    certifiable, digits
):
    images, labels = digits[0][::4], digits[1][::4]
    some = 0
    for epsilon in (0.02, 0.05, 0.1):
        proved = certified(certifiable, images, labels, epsilon).numpy()
        strong = ~fooled_by(certifiable, images, labels, Attack(epsilon=epsilon, steps=20, restarts=2))
        weak = ~fooled_by(certifiable, images, labels, Attack(epsilon=epsilon, steps=10))
        clean = predicted_classes(certifiable, images) == labels.numpy()
        strongest = strong & weak
        assert (proved <= strongest).all()
        assert (strongest <= weak).all()
        assert (weak <= clean).all()
        some += int(proved.sum())
    assert some > 12  # the inequality would hold of a network that certifies nothing


def test_certified_at_0_is_read_correctly_and_falls_with_epsilon(certifiable, digits):
    images, labels = digits
    right = predicted_classes(certifiable, images) == labels.numpy()
    assert np.array_equal(certified(certifiable, images, labels, 0.0).numpy(), right)
    held = [certified(certifiable, images, labels, epsilon) for epsilon in (0.0, 0.02, 0.05, 0.1, 0.2, 1.0)]
    for smaller, larger in pairwise(held):
        assert (larger <= smaller).all()
    assert not held[-1].any()


def test_the_certified_radius_is_where_the_certificate_ends(certifiable, digits):
    images, labels = digits[0][:40], digits[1][:40]
    radius = certified_radius(certifiable, images, labels, largest=0.4, steps=10)
    inside = radius > 0
    assert inside.any()
    assert certified(certifiable, images[inside], labels[inside], radius[inside]).all()
    assert not certified(certifiable, images, labels, radius + 0.4 / 2**9).any()


def test_a_layer_without_bounds_and_a_negative_epsilon_are_refused(digits, refused):
    with refused("no interval bounds for a layer of kind Denoise"):
        certified(freeze(build("mnist-cnn-denoising", 0.1, seed=0)), digits[0][:2], digits[1][:2], 0.1)
    with refused("epsilon -0.1 is out of range"):
        image_interval(digits[0][:2], -0.1)


def test_epsilon_and_the_weights_follow_the_schedule():
    schedule = IntervalBounds(0.4, warm_up_epochs=2, ramp_epochs=4, nominal_weight=0.5)
    assert [schedule.at(epochs) for epochs in (0, 2, 4, 6, 10)] == [
        (0.0, 1.0),
        (0.0, 1.0),
        (0.2, 0.75),
        (0.4, 0.5),
        (0.4, 0.5),
    ]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"epsilon": 0.0}, "epsilon 0 is out of range"),
        ({"ramp_epochs": 0}, "ramp_epochs 0"),
        ({"warm_up_epochs": -1}, "warm_up_epochs -1"),
        ({"nominal_weight": 1.0}, "nominal_weight 1"),
    ],
)
def test_impossible_schedules_are_refused(fields, named, refused):
    with refused(named):
        IntervalBounds(**fields)
    with refused("leave the attack out"):
        Training(Attack(), interval_bounds=IntervalBounds())
