"""Networks that the whole library reads through `features` and `layers` alone."""

import subprocess
import sys
from collections import Counter

import pytest
import torch
from torch import nn

from tradeoff_core.networks import NETWORKS, Network, build, freeze

ACTIVATIONS = nn.ReLU | nn.LeakyReLU | nn.ReLU6 | nn.GELU


@pytest.mark.parametrize("name", NETWORKS)
def test_the_head_on_the_penultimate_features_gives_the_logits(name, images_for):
    network = build(name, 0.25, seed=0)
    images = images_for(network)
    logits = network(images)
    assert logits.shape == (3, 10)
    assert network.layers[-1] == "penultimate"
    assert torch.equal(network.head(network.features(images)), logits)


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_are_separate_modules_not_in_place_each_used_once(name, images_for):
    network = freeze(build(name, 0.1, seed=0))
    images = images_for(network)
    uses: Counter[nn.Module] = Counter()
    activations = [part for part in network.modules() if isinstance(part, ACTIVATIONS)]
    for part in activations:
        assert not getattr(part, "inplace", False)
        part.register_forward_hook(lambda part, *_: uses.update([part]))
    before = images.clone()
    network(images)
    assert torch.equal(images, before)
    assert activations
    assert all(uses[part] == 1 for part in activations)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("mnist-cnn", (1, 28, 28)),
        ("mnist-cnn-denoising", (1, 28, 28)),
        ("mnist-cnn-denoising-published", (1, 28, 28)),
        ("mnist-ibp-small", (1, 28, 28)),
        ("mnist-vit", (1, 28, 28)),
        ("cifar-resnet", (3, 32, 32)),
        ("cifar-resnet-denoising-published", (3, 32, 32)),
        ("cifar-ibp-medium", (3, 32, 32)),
        ("cifar-vit", (3, 32, 32)),
        ("resnet-18", (3, 64, 64)),
        ("efficientnet-lite0", (3, 224, 224)),
        ("efficientnet-lite0-denoising", (3, 224, 224)),
    ],
)
def test_every_network_knows_what_images_it_was_made_for(name, shape):
    assert build(name, 0.1, seed=0).image_shape == shape


def test_every_network_of_the_registry_is_in_the_test_above():
    marks = test_every_network_knows_what_images_it_was_made_for.pytestmark
    assert [case[0] for case in marks[0].args[1]] == list(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_number_of_classes_is_the_number_of_logits(name, images_for):
    network = freeze(build(name, 0.1, seed=0, classes=3))
    assert network.classes == 3
    assert network(images_for(network, 2)).shape == (2, 3)


@pytest.mark.parametrize(
    ("name", "bias"),
    [
        ("mnist-cnn", [0.01120696, 0.03492881, 0.00306035]),
        ("mnist-cnn-denoising", [0.01120696, 0.03492881, 0.00306035]),
        ("mnist-ibp-small", [-0.01088314, -0.03857555, 0.06047481]),
    ],
)
def test_the_networks_of_published_runs_start_from_the_weights_they_started_from(name, bias):
    # the last tensor drawn, at half width with seed 3, as the first version of the code drew it
    assert build(name, 0.5, seed=3).head.bias[:3].tolist() == pytest.approx(bias, abs=1e-7)


def test_the_same_seed_builds_the_same_network_and_draws_from_no_one_else():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (build("mnist-cnn", 0.1, seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.rand(3), expected)


def test_a_frozen_network_is_safe_to_share():
    network = freeze(build("mnist-cnn", 0.1, seed=0).train())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_impossible_networks_are_refused(refused, images_for):
    with refused("unknown network 'resnet'.*mnist-cnn.*torchvision-NAME"):
        build("resnet", 1.0, seed=0)
    for name in NETWORKS:
        for width in (0.0, -1.0, 4.5, float("nan")):
            with refused("width"):
                build(name, width, seed=0)
    for classes in (-1, 0, 1):
        with refused(f"{classes} classes"):
            build("mnist-cnn", 0.1, seed=0, classes=classes)
    network = build("mnist-cnn", 0.1, seed=0)
    with refused("no layer 'fc9'.*conv1, conv2, penultimate"):
        network.features(images_for(network), "fc9")


def test_a_network_made_by_hand_takes_digits_unless_it_says_otherwise():
    assert Network({}, nn.Linear(2, 2)).image_shape == (1, 28, 28)
    assert Network({}, nn.Linear(2, 2), (3, 8, 9)).image_shape == (3, 8, 9)


def test_torchvision_is_imported_only_when_a_network_of_its_is_asked_for():
    script = (
        "import sys; from tradeoff_core.networks import NETWORKS, build; [build(name, 0.1, 0) for name in NETWORKS];"
        "assert 'torchvision' not in sys.modules; build('torchvision-resnet18', 1.0, 0);"
        "assert 'torchvision' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
