"""Attributions against autograd, finite differences, axioms, and toy networks worked out by hand."""

import threading

import numpy as np
import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from torch import nn

from tradeoff_core.explanations.attribution import (
    Method,
    _PairwiseMax,
    attribute,
    rollout,
    share_within,
    why_unsupported,
)
from tradeoff_core.networks import Denoise, Network, VisionTransformer, build, freeze

GRADIENTS = (Method.INPUT_GRADIENT, Method.INPUT_X_GRADIENT, Method.SMOOTHGRAD)


TRANSFORMERS = {
    Method.DEEPLIFT: "Patches",
    Method.GRAD_CAM: "no convolution",
    Method.GUIDED_GRAD_CAM: "Patches",
}


@pytest.fixture(scope="module")
def transformer() -> VisionTransformer:
    return freeze(build("mnist-vit", 0.25, 0))


def logits(network, images, classes):
    return network(images).gather(1, classes[:, None])[:, 0]


@pytest.fixture(scope="module")
def few(digits):
    images, labels = digits
    return images[:6], labels[:6]


class Linear(Network):
    """One linear layer on a flat image: every attribution is known."""

    def __init__(self, weights):
        classes, values = weights.shape
        super().__init__({"penultimate": nn.Flatten()}, nn.Linear(values, classes), (1, 2, 2))
        self.head.weight.data, self.head.bias.data = weights, torch.zeros(classes)


class Convolution(Network):
    """One 1x1 convolution to two maps, pooled: Grad-CAM can be worked out by hand."""

    def __init__(self):
        convolution = nn.Conv2d(1, 2, 1, bias=False)
        convolution.weight.data = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
        super().__init__(
            {"conv": convolution, "penultimate": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())},
            nn.Linear(2, 2, bias=False),
            (1, 2, 2),
        )
        self.head.weight.data = torch.tensor([[4.0, 0.0], [8.0, 4.0]])


def test_the_input_gradient_is_autograds_and_agrees_with_finite_differences(standard_network, few):
    network, (images, labels) = standard_network, few
    maps = attribute(network, images, labels)
    given = images.clone().requires_grad_(True)
    (expected,) = torch.autograd.grad(logits(network, given, labels).sum(), given)
    torch.testing.assert_close(maps, expected)
    doubled = freeze(build("mnist-cnn", 0.25, 0)).double()
    doubled.load_state_dict(network.state_dict())
    # a black ground sits in the kinks of max-pooling and ReLU
    uneven = 0.9 * images.double() + 0.1 * torch.rand(
        images.shape, generator=torch.Generator().manual_seed(0)
    )
    exact = attribute(doubled, uneven, labels)
    step = 1e-6
    for row, column in ((14, 14), (10, 12), (26, 26)):
        moved = torch.zeros_like(images, dtype=torch.double)
        moved[..., row, column] = step
        difference = logits(doubled, uneven + moved, labels) - logits(doubled, uneven - moved, labels)
        torch.testing.assert_close(
            difference / (2 * step), exact[:, 0, row, column].detach(), rtol=1e-4, atol=1e-6
        )


def test_the_parts_of_integrated_gradients_sum_to_the_whole_within_one_percent(
    standard_network, hardened_network, few
):
    images, labels = few
    for network in (standard_network, hardened_network):
        whole = logits(network, images, labels) - logits(network, torch.zeros_like(images), labels)
        maps = attribute(network, images, labels, Method.INTEGRATED_GRADIENTS)
        torch.testing.assert_close(maps.sum((1, 2, 3)), whole, rtol=0.01, atol=0)


@pytest.mark.parametrize("name", ["mnist-cnn", "mnist-ibp-small", "resnet-18"])
def test_the_parts_of_deeplift_sum_to_the_whole(name):
    network = freeze(build(name, 0.25, 0))
    images = torch.rand(2, *network.image_shape, generator=torch.Generator().manual_seed(0))
    images[..., :9] = 0  # where captum's own rule for max-pooling would lose something
    classes = torch.tensor([1, 2])
    maps = attribute(network, images, classes, Method.DEEPLIFT)
    whole = logits(network, images, classes) - logits(network, torch.zeros_like(images), classes)
    torch.testing.assert_close(maps.sum((1, 2, 3)), whole, rtol=1e-3, atol=1e-4)


def test_pooling_by_pairs_is_max_pooling():
    images = torch.randn(3, 2, 7, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(_PairwiseMax()(images), nn.MaxPool2d(2)(images))


def test_on_a_linear_network_every_method_gives_the_weights():
    network = freeze(Linear(torch.tensor([[1.0, -2.0, 3.0, 0.0], [0.0, 1.0, 0.0, -4.0]])))
    image, one = torch.tensor([[[[0.5, 0.25], [0.0, 1.0]]]]), torch.tensor([0])
    weights = torch.tensor([[[[1.0, -2.0], [3.0, 0.0]]]])
    for method in (Method.INPUT_GRADIENT, Method.SMOOTHGRAD):
        torch.testing.assert_close(attribute(network, image, one, method), weights)
    for method in (
        Method.INPUT_X_GRADIENT,
        Method.INTEGRATED_GRADIENTS,
        Method.DEEPLIFT,
        Method.OCCLUSION,  # its patches are single pixels here
    ):
        torch.testing.assert_close(attribute(network, image, one, method), weights * image)


def test_occlusion_on_a_larger_toy_network_is_what_a_patch_takes_away():
    network = freeze(Linear(torch.tensor([[1.0] * 196, [0.0] * 196])))
    network.image_shape = (1, 14, 14)
    image = torch.zeros(1, 1, 14, 14)
    image[..., 6, 6] = 1  # a single bright pixel; patches are 2 x 2 and move by 1
    maps = attribute(network, image, torch.tensor([0]), Method.OCCLUSION)
    covering = maps[0, 0, 6, 6]  # each of the four patches over it takes the whole logit away
    assert covering == pytest.approx(1.0)
    assert maps[0, 0, 5, 6] == pytest.approx(0.5)  # two of its four patches also cover the bright pixel
    assert maps[0, 0, 5, 5] == pytest.approx(0.25)
    assert maps[0, 0, 3, 3] == 0


def test_grad_cam_on_a_toy_network_by_hand():
    network = freeze(Convolution())
    image = torch.tensor([[[[0.5, 1.0], [0.0, 0.5]]]])
    # weights of the maps: the head's over four places; the maps are x and -x
    first = attribute(network, image, torch.tensor([0]), Method.GRAD_CAM)
    torch.testing.assert_close(first, image * 4 / 4)
    second = attribute(network, image, torch.tensor([1]), Method.GRAD_CAM)
    torch.testing.assert_close(second, image * (8 - 4) / 4)


def test_guided_backpropagation_lets_no_negative_gradient_through(standard_network, few):
    maps = attribute(standard_network, *few, Method.GUIDED_GRAD_CAM)
    plain = attribute(standard_network, *few)
    assert maps.shape == few[0].shape
    assert not torch.allclose(maps, plain)


def test_smoothgrad_is_the_mean_gradient_of_noisy_images_and_repeats_itself(standard_network, few):
    images, labels = few
    maps = attribute(standard_network, images, labels, Method.SMOOTHGRAD, seed=3)
    torch.testing.assert_close(
        maps, attribute(standard_network, images, labels, Method.SMOOTHGRAD, seed=3), rtol=0, atol=0
    )
    torch.manual_seed(0)
    tunnel = NoiseTunnel(Saliency(standard_network)).attribute(
        images, nt_samples=200, stdevs=0.15, target=labels, abs=False
    )
    ours = torch.stack(
        [attribute(standard_network, images, labels, Method.SMOOTHGRAD, seed) for seed in range(10)]
    ).mean(0)
    assert torch.corrcoef(torch.stack([tunnel.flatten(), ours.flatten()]))[0, 1] > 0.95


@pytest.mark.parametrize("method", list(Method))
def test_no_hook_and_no_gradient_stays_on_a_shared_network(method, standard_network, transformer, few):
    network = transformer if method is Method.ATTENTION_ROLLOUT else standard_network
    before = network(few[0])
    gradients = [None if one.grad is None else one.grad.clone() for one in network.parameters()]
    attribute(network, *few, method)
    for part in network.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
        assert not part._backward_hooks
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        assert not parameter.requires_grad
        assert gradient is None or parameter.grad.equal(gradient)
    assert not few[0].requires_grad
    torch.testing.assert_close(network(few[0]), before, rtol=0, atol=0)


@pytest.mark.parametrize("method", [Method.DEEPLIFT, Method.GUIDED_GRAD_CAM, Method.SMOOTHGRAD])
def test_two_sessions_at_once_get_the_maps_of_one(method, standard_network, few):
    images, labels = few
    alone = attribute(standard_network, images, labels, method)
    found = {}

    def session(number):
        found[number] = [attribute(standard_network, images, labels, method) for _ in range(5)]

    threads = [threading.Thread(target=session, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for maps in (*found[0], *found[1]):
        torch.testing.assert_close(maps, alone, rtol=0, atol=0)


def test_what_would_be_silently_wrong_is_refused(refused):
    for name, part, methods in (
        ("cifar-resnet", "LeakyReLU", [Method.GUIDED_GRAD_CAM]),
        ("cifar-resnet", "Standardise", [Method.DEEPLIFT]),
        ("efficientnet-lite0", "ReLU6", [Method.GUIDED_GRAD_CAM, Method.DEEPLIFT]),
        ("mnist-cnn-denoising", Denoise.__name__, [Method.DEEPLIFT]),
        ("torchvision-resnet18", "ResNet", [Method.GUIDED_GRAD_CAM, Method.DEEPLIFT]),
    ):
        network = freeze(build(name, 1 if "torchvision" in name else 0.25, 0))
        for method in methods:
            assert part in why_unsupported(network, method)
            with refused(f"{method} is not drawn for this network: it does not know its {part}"):
                attribute(network, torch.rand(1, *network.image_shape), torch.tensor([0]), method)


def test_a_network_without_a_map_of_features_has_no_grad_cam_but_all_else(refused):
    network = freeze(Linear(torch.eye(4)))
    image, one = torch.rand(1, 1, 2, 2), torch.tensor([0])
    with refused("grad-cam is not drawn for this network: it has no convolution"):
        attribute(network, image, one, Method.GRAD_CAM)
    assert why_unsupported(network, Method.INPUT_GRADIENT) is None


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("name", ["mnist-vit", "cifar-vit"])
def test_a_transformer_has_every_method_or_one_sentence(name, method, refused):
    network = freeze(build(name, 0.1, 0))
    images, classes = torch.rand(2, *network.image_shape), torch.tensor([0, 1])
    if part := TRANSFORMERS.get(method):
        with refused(f"{method} is not drawn for this network: it .*{part}"):
            attribute(network, images, classes, method)
        return
    maps = attribute(network, images, classes, method)
    assert maps.shape[2:] == images.shape[2:]
    assert (maps[0] - maps[1]).abs().max() > 0


def test_rollout_of_two_blocks_by_hand():
    first = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.5, 0.5]]])  # two heads
    second = torch.tensor([[[0.2, 0.8], [0.6, 0.4]]] * 2)
    # heads' means with the identity, half each: [[3/4, 1/4], [1/8, 7/8]], then [[3/5, 2/5], [3/10, 7/10]]
    # their product, the second block's first: [[1/2, 1/2], [5/16, 11/16]]; its rows' mean: [13/32, 19/32]
    shares = rollout(torch.stack([first, second])[None])
    torch.testing.assert_close(shares, torch.tensor([[13 / 32, 19 / 32]]))
    # without the input that a block adds to it would be [7/20, 13/20], the other way round [69/160, 91/160]
    alone = rollout(first[None, None])
    torch.testing.assert_close(alone, torch.tensor([[7 / 16, 9 / 16]]))


def test_a_map_of_rollout_gives_each_patchs_share_to_its_own_pixels(transformer, few, monkeypatch):
    images, labels = few
    one = torch.zeros(6, 4, 4, 49, 49)
    one[..., 18] = 1  # every token looks at that of the third row and the fifth column
    monkeypatch.setattr(VisionTransformer, "attention", lambda *_: one)
    maps = attribute(transformer, images, labels, Method.ATTENTION_ROLLOUT)
    assert maps.shape == (6, 1, 28, 28)
    # half of what a token still keeps of itself is passed on in each of four blocks
    expected = torch.full((28, 28), (1 / 2) ** 4 / 49)
    expected[8:12, 16:20] += 1 - (1 / 2) ** 4
    torch.testing.assert_close(maps[3, 0], expected)


def test_rollout_is_of_the_image_and_asks_for_no_class(transformer, few):
    images, labels = few
    maps = attribute(transformer, images, labels, Method.ATTENTION_ROLLOUT)
    torch.testing.assert_close(maps.sum((1, 2, 3)), torch.full((6,), 16.0))  # shares, at 16 pixels each
    other = attribute(transformer, images, (labels + 1) % 10, Method.ATTENTION_ROLLOUT)
    assert torch.equal(maps, other)


def test_rollout_is_drawn_of_no_network_but_a_transformer(refused):
    for name in ("mnist-cnn", "mnist-cnn-denoising", "cifar-resnet", "torchvision-vit_b_16"):
        network = freeze(build(name, 1 if "torchvision" in name else 0.25, 0))
        with refused(
            "attention-rollout is not drawn for this network: it is none of the vision transformers"
        ):
            attribute(
                network, torch.rand(1, *network.image_shape), torch.tensor([0]), Method.ATTENTION_ROLLOUT
            )


def test_images_and_classes_that_cannot_be_are_refused(standard_network, few, refused):
    images, labels = few
    with refused(r"the network takes images of 1 x 28 x 28 \(C, H, W\), not 1 x 20 x 20"):
        attribute(standard_network, images[..., :20, :20], labels)
    for wrong in (labels + 10, labels - 10, labels[:2]):
        with refused("network's classes are 0 to 9|one an image"):
            attribute(standard_network, images, wrong)
    with refused(r"images must be floats of shape \(N, C, H, W\)"):
        attribute(standard_network, images[0], labels[:1])
    with refused("there is no image"):
        attribute(standard_network, images[:0], labels[:0])


def test_the_share_within_a_footprint_counts_absolute_values_of_all_channels():
    maps = torch.tensor([[[[1.0, -1.0], [2.0, 0.0]], [[-1.0, 0.0], [0.0, 3.0]]]])  # (1, 2, 2, 2)
    footprint = np.array([[True, False], [False, False]])
    assert share_within(maps, footprint).item() == pytest.approx(2 / 8)
    assert share_within(maps * 0, footprint).isnan().all()
