"""What the removals' tests share: validation digits, small networks of every kind, and what must stay as it was."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from torch import Tensor

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.evaluation.outcomes import backdoor_success
from tradeoff_core.networks import Network, build, freeze
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.triggers import Sticker

SMALL = {  # a network of each kind -> its width
    "mnist-cnn": 0.1,
    "mnist-cnn-denoising": 0.1,
    "mnist-ibp-small": 0.2,
    "mnist-vit": 0.1,
    "cifar-resnet": 0.25,
    "resnet-18": 0.125,  # 8 channels: of 3, torch 2.13 corrupts its memory in the backward pass on a CPU
}


@pytest.fixture(scope="session")
def validation() -> tuple[Tensor, Tensor]:
    return load_dataset("mnist-5k", Split.VALIDATION).tensors()


@pytest.fixture(params=SMALL)
def any_network(request) -> tuple[Network, Tensor, Tensor]:
    """A network of each kind whose batch norms have seen something, and eight images with labels."""
    network = build(request.param, SMALL[request.param], seed=0)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(8, *network.image_shape, generator=generator)
    with torch.no_grad():
        network.train()(images)
        for name, value in network.named_parameters():
            if name.endswith(("norm.weight", "bias")):  # those that start at 0
                value += 0.1 * torch.randn(value.shape, generator=generator)
    return freeze(network), images, torch.arange(8) % 3


Door = Callable[[Network, tuple[Tensor, Tensor]], tuple[float, float]]


@pytest.fixture(scope="session")
def door() -> Door:
    """`door(network, digits)`: backdoor success of the usual sticker, and clean accuracy."""

    def rates(network: Network, digits: tuple[Tensor, Tensor]) -> tuple[float, float]:
        clean = predicted_classes(network, digits[0])
        stamped = predicted_classes(network, Sticker().apply(digits[0]))
        return backdoor_success(clean, stamped, 7).value, float((clean == digits[1].numpy()).mean())

    return rates


Untouched = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session")
def untouched() -> Untouched:
    """`with untouched(network, *tensors):` nothing of them changes, not even the mode."""

    @contextmanager
    def watch(network: Network, *tensors: Tensor) -> Iterator[None]:
        before = {name: value.clone() for name, value in network.state_dict().items()}
        kept = [tensor.clone() for tensor in tensors]
        mode = network.training, [value.requires_grad for value in network.parameters()]
        gradients = [
            value.grad if value.grad is None else value.grad.clone() for value in network.parameters()
        ]
        yield
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        assert all(torch.equal(one, other) for one, other in zip(tensors, kept, strict=True))
        assert mode == (network.training, [value.requires_grad for value in network.parameters()])
        for value, gradient in zip(network.parameters(), gradients, strict=True):
            assert (value.grad is None) == (gradient is None)
            assert gradient is None or torch.equal(value.grad, gradient)
        assert not any(part._forward_hooks for part in network.modules())

    return watch
