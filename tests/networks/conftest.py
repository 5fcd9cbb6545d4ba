from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from tradeoff_core.networks import Network


@pytest.fixture
def images_for() -> Callable[[Network, int], Tensor]:
    """Noise of the shape that a network was made for."""

    def draw(network: Network, count: int = 3) -> Tensor:
        return torch.rand(count, *network.image_shape, generator=torch.Generator().manual_seed(0))

    return draw


@pytest.fixture
def unsettled() -> Callable[[nn.Module], nn.Module]:
    """Give every batch norm statistics and weights of its own, as training would, and return the module."""

    def unsettle(module: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                for tensor, low, high in (
                    (part.running_mean, -0.2, 0.2),
                    (part.running_var, 0.5, 2.0),
                    (part.weight, 0.5, 1.5),
                    (part.bias, -0.3, 0.3),
                ):
                    tensor.data.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))
        return module

    return unsettle
