"""A folded network is the same function; what is folded is worked out by hand for a convolution of one weight."""

import pytest
import torch
from torch import nn

from tradeoff_core.networks import NETWORKS, Network, build, fold

# batch norms that do not follow a convolution: the first of 15 units, and the last before the pooling
LEFT = {"cifar-resnet": 16, "cifar-resnet-denoising-published": 16}
WITHOUT = ("mnist-cnn", "mnist-ibp-small", "cifar-ibp-medium", "mnist-vit", "cifar-vit")  # a batch norm
FOLDED = [*(name for name in NETWORKS if name not in WITHOUT), "torchvision-resnet18"]


def norms(network: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


@pytest.mark.parametrize("name", FOLDED)
def test_every_layer_of_a_folded_network_gives_what_it_gave(name, images_for, unsettled):
    network = unsettled(build(name, 1.0 if "torchvision" in name else 0.25, seed=0)).eval()
    images = images_for(network, 2)
    folded = fold(network)
    assert norms(network) > norms(folded) == LEFT.get(name, 0)
    assert folded.layers == network.layers
    assert folded.image_shape == network.image_shape
    for layer in network.layers if max(network.image_shape) < 64 else network.layers[::4]:
        features = network.features(images, layer)
        assert (folded.features(images, layer) - features).abs().max() <= 1e-5 * features.abs().max()
    logits = network(images)
    assert (folded(images) - logits).abs().max() <= 1e-5 * logits.abs().max()


@pytest.mark.parametrize("name", ["cifar-resnet", "mnist-cnn", "mnist-vit"])
def test_a_folded_network_is_a_frozen_copy(name, images_for, unsettled):
    network = unsettled(build(name, 0.25, seed=0)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold(network)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert list(network.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(part.training for part in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    own = {parameter.data_ptr() for parameter in network.parameters()}
    assert not own & {parameter.data_ptr() for parameter in folded.parameters()}
    for part in folded.modules():
        if isinstance(part, nn.Conv2d):
            assert part.weight.is_contiguous(memory_format=torch.channels_last)
    images = images_for(network, 2)
    assert torch.equal(fold(folded)(images), folded(images))


def one_pixel(*parts: nn.Module) -> Network:
    return Network({"penultimate": nn.Sequential(*parts, nn.Flatten())}, nn.Linear(1, 2), (1, 1, 1))


def convolution_and_norm() -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    convolution, norm = nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=1.0)
    with torch.no_grad():
        for tensor, value in (
            (convolution.weight, 2.0),
            (convolution.bias, 1.0),
            (norm.running_mean, 3.0),
            (norm.running_var, 15.0),
            (norm.weight, 8.0),
            (norm.bias, 0.5),
        ):
            tensor.fill_(value)
    return convolution, norm


def test_folding_one_weight_worked_out_by_hand():
    convolution, norm = convolution_and_norm()
    folded = fold(one_pixel(convolution, norm)).stages["penultimate"][0]
    # (2 x + 1 - 3) / sqrt(15 + 1) * 8 + 0.5 = 4 x - 3.5
    assert (folded.weight.item(), folded.bias.item()) == (4.0, -3.5)


def test_what_does_not_follow_directly_stays():
    convolution, norm = convolution_and_norm()
    assert norms(fold(one_pixel(convolution, nn.ReLU(), norm))) == 1
    assert norms(fold(one_pixel(norm, convolution))) == 1
    of_the_batch = nn.BatchNorm2d(1, track_running_stats=False)
    assert norms(fold(one_pixel(convolution, of_the_batch))) == 1


def test_attacks_see_the_same_gradient(images_for, unsettled):
    network = unsettled(build("cifar-resnet", 0.25, seed=0)).eval()
    images = images_for(network, 2).requires_grad_()
    wanted, given = (
        torch.autograd.grad(net(images)[:, 0].sum(), images)[0] for net in (network, fold(network))
    )
    assert (given - wanted).abs().max() <= 1e-4 * wanted.abs().max()
