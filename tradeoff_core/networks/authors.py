"""The paper's networks for photographs exactly as its authors' TensorFlow code computes them, for their own weights.

They differ from ours in where a stride pads: TensorFlow's "SAME" pads as little as it can, and the odd pixel at the end.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.networks.base import Normalise
from tradeoff_core.networks.imagenet import TorchvisionNetwork
from tradeoff_core.networks.residual import CifarResNet, PreActivationUnit

CHANNEL_MEANS = (123.68, 116.78, 103.94)  # of 255; their code divides by no deviation


def padded_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Images (N, C, H, W) padded as TensorFlow's "SAME" does for a square kernel: ceil(H / stride) places fit."""
    sides = []
    for side in (x.shape[3], x.shape[2]):  # F.pad counts from the last axis
        total = max(0, (-(side // -stride) - 1) * stride + kernel - side)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides, value=value)


class SameConv(nn.Conv2d):
    """A 3x3 convolution with a stride and without a bias, padded as TensorFlow's "SAME" is."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride), rounded up."""
        return super().forward(padded_same(x, self.kernel_size[0], self.stride[0]))


class SameMaxPool(nn.Module):
    """The largest of each 3x3, every second place, padded as TensorFlow's "SAME" is."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / 2, W / 2), rounded up."""
        return F.max_pool2d(padded_same(x, 3, 2, value=-torch.inf), 3, 2)


class AuthorsCifarResNet(CifarResNet):
    """The paper's CIFAR-10 network with TensorFlow's padding in its two convolutions with a stride."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        super().__init__(width, classes)
        for unit in self.stages.values():
            if isinstance(unit, PreActivationUnit) and unit.conv1.stride != (1, 1):
                unit.conv1 = SameConv(unit.conv1.in_channels, unit.conv1.out_channels, unit.conv1.stride[0])


class AuthorsResNet(TorchvisionNetwork):
    """TensorFlow's ResNet: torchvision's, but its pooling is padded otherwise and pixels are divided by no deviation."""

    torchvision_name: ClassVar[str]

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__(self.torchvision_name, width, classes)
        penultimate = self.stages["penultimate"]
        assert isinstance(penultimate, nn.Sequential)
        penultimate[0] = Normalise(tuple(mean / 255 for mean in CHANNEL_MEANS), (1 / 255,) * 3)
        body: Any = penultimate[1]
        body.maxpool = SameMaxPool()
        first = body.layer1[0]
        if (
            first.downsample is None
        ):  # TensorFlow's first unit of a stage projects even where nothing changes shape
            channels = body.bn1.num_features
            first.downsample = nn.Sequential(
                nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
            )


class AuthorsResNet18(AuthorsResNet):
    """Two 3x3 convolutions a unit."""

    torchvision_name: ClassVar = "resnet18"


class AuthorsResNet50(AuthorsResNet):
    """1x1, 3x3 and 1x1 convolutions a unit, of which the second has the stride: what the authors' code builds."""

    torchvision_name: ClassVar = "resnet50"
