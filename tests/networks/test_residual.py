"""The residual networks, beside values worked out by hand and beside torchvision's ResNet-18."""

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from tradeoff_core.networks import Standardise, build, freeze
from tradeoff_core.networks.base import Normalise
from tradeoff_core.networks.residual import PreActivationUnit, ZeroPadShortcut

SHRINK = 1 / 1.001**0.5  # what a fresh batch norm of the paper's network makes of 1 in eval mode


def test_standardising_worked_out_by_hand():
    image = torch.tensor([[[[0.0, 0.2], [0.4, 0.6]]]])
    # mean 0.3, variance (0.09 + 0.01 + 0.01 + 0.09) / 4 = 0.05, below 1 / 4: divided by 1 / sqrt(4)
    assert Standardise()(image).flatten().tolist() == pytest.approx([-0.6, -0.2, 0.2, 0.6])
    # ten times that: variance 5, above 1 / 4
    expected = np.array([-3, -1, 1, 3]) / 5**0.5
    assert Standardise()(10 * image).flatten().tolist() == pytest.approx(expected)
    assert Standardise()(image[:0]).shape == (0, *image.shape[1:])


def test_standardising_takes_every_image_by_itself_over_all_channels():
    images = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    expected = np.stack([(image - image.mean()) / image.std() for image in images.numpy()])  # numpy's: / N
    assert np.allclose(Standardise()(images).numpy(), expected, atol=1e-5)


def test_a_flat_image_has_a_finite_gradient():
    image = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    standardised = Standardise()(image)
    assert torch.equal(standardised, torch.zeros_like(image))
    (gradient,) = torch.autograd.grad((standardised * torch.arange(48.0).view(1, 3, 4, 4)).sum(), image)
    assert gradient.isfinite().all()


def test_normalising_worked_out_by_hand():
    image = torch.tensor([[[[0.5]], [[0.2]]]])
    normalised = Normalise((0.3, 0.4), (0.1, 0.5))(image)
    assert normalised.flatten().tolist() == pytest.approx([2.0, -0.4])
    assert not Normalise((0.3,), (0.1,)).state_dict()


def test_a_shortcut_averages_and_puts_zeros_on_both_sides():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    shortcut = ZeroPadShortcut(1, 4, 2)(x)
    assert shortcut.shape == (1, 4, 2, 2)
    assert shortcut[0, 1].tolist() == [[2.5, 4.5], [10.5, 12.5]]
    assert not shortcut[0, [0, 2, 3]].any()  # one channel before, two after


def test_a_unit_activates_before_its_convolutions_and_the_first_one_before_its_shortcut():
    x = torch.tensor([[[[-1.0, 2.0]]]])
    for shares, expected in (
        (False, [-1 - 0.01 * SHRINK**2, 2 + 2 * SHRINK**2]),
        (True, [-0.1 * SHRINK - 0.01 * SHRINK**2, 2 * SHRINK + 2 * SHRINK**2]),
    ):
        unit = PreActivationUnit(1, 1, 1, shares_activation=shares).eval()
        for convolution in (unit.conv1, unit.conv2):
            nn.init.dirac_(convolution.weight)
        # -1 -> -0.1 -> -0.01 and 2 -> 2 -> 2 through norm, leaky ReLU, norm, leaky ReLU
        assert unit(x).flatten().tolist() == pytest.approx(expected)


def test_the_papers_network_has_its_number_of_weights():
    weights = {
        width: sum(parameter.numel() for parameter in build("cifar-resnet", width, seed=0).parameters())
        for width in (1.0, 2.0)
    }
    # stem; 5 units of two convolutions and two norms; a unit that doubles the channels and 4 more, twice; norm; head
    expected = 432 + 5 * (4608 + 64) + (13824 + 96) + 4 * (18432 + 128) + (55296 + 192) + 4 * (73728 + 256)
    assert weights[1.0] == expected + 128 + 650
    assert (
        weights[2.0]
        == (864 + 5 * (18432 + 128) + (55296 + 192) + 4 * (73728 + 256) + (221184 + 384) + 4 * (294912 + 512))
        + 256
        + 1290
    )


def test_its_layers_have_the_sizes_worked_out_by_hand(images_for):
    network = freeze(build("cifar-resnet", 1.0, seed=0))
    images = images_for(network, 2)
    assert network.layers[0] == "stem"
    assert network.layers[1:-1] == tuple(f"stage{s}-unit{u}" for s in (1, 2, 3) for u in (1, 2, 3, 4, 5))
    for layer, size in {
        "stem": 16 * 32 * 32,
        "stage1-unit5": 16 * 32 * 32,
        "stage2-unit1": 32 * 16 * 16,
        "stage3-unit3": 64 * 8 * 8,  # what the paper's defenses read: before the last stage's fourth unit
        "penultimate": 64,
    }.items():
        assert network.features(images, layer).shape == (2, size)


def test_the_pooled_features_are_the_mean_of_the_activated_last_unit(images_for, unsettled):
    network = freeze(unsettled(build("cifar-resnet", 0.5, seed=0)))
    images = images_for(network, 2)
    last = network.features(images, "stage3-unit5").view(2, 32, 8, 8)
    norm = network.stages["penultimate"][0]
    normalised = (last - norm.running_mean.view(-1, 1, 1)) / (norm.running_var.view(-1, 1, 1) + 1e-3).sqrt()
    shifted = normalised * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    expected = torch.where(shifted > 0, shifted, 0.1 * shifted).mean(dim=(2, 3))
    assert torch.allclose(network.features(images), expected, atol=1e-5)


def test_brightness_and_contrast_of_an_image_do_not_matter_to_the_papers_network(images_for):
    network = freeze(build("cifar-resnet", 0.5, seed=0))
    images = images_for(network)
    assert torch.allclose(network(images), network(0.3 + 0.5 * images), atol=1e-4)


def test_the_first_weights_are_drawn_as_tensorflow_draws_them():
    network = build("cifar-resnet", 4.0, seed=0)
    last = network.stages["stage3-unit5"].conv2.weight  # 256 x 256 x 3 x 3
    assert last.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    bound = (3 / 256) ** 0.5
    assert network.head.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert network.head.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not network.head.bias.any()


def test_resnet_18_is_torchvisions_under_another_stem(images_for, unsettled):
    network = freeze(unsettled(build("resnet-18", 1.0, seed=0, classes=7)))
    theirs = resnet18(num_classes=7)
    theirs.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    ours = network.state_dict()
    # both list a unit's two convolutions before its shortcut
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.values(), strict=True)))
    images = images_for(network, 2)
    normalised = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    expected = theirs.eval()(normalised)
    assert torch.allclose(network(images), expected, atol=1e-4 * expected.abs().max().item())
    assert network.features(images).shape == (2, 512)
    assert network.features(images, "stage4-unit2").shape == (2, 512 * 4 * 4)


@pytest.mark.parametrize(("name", "size"), [("resnet-18", 96), ("cifar-resnet", 40)])
def test_networks_that_pool_globally_take_other_sizes(name, size):
    network = freeze(build(name, 0.1, seed=0))
    assert network(torch.rand(2, 3, size, size)).shape == (2, 10)
