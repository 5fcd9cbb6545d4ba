"""Networks for small photographs: the paper's for CIFAR-10, one for interval bounds, and a ResNet-18 for 64 x 64."""

import math
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.networks.base import Network, Normalise, Standardise, scaled
from tradeoff_core.networks.digits import Denoise

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
UNITS = 5  # a stage of the paper's network


class ZeroPadShortcut(nn.Module):
    """Average pooling, then channels of zeros on both sides: a shortcut without weights."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(stride)
        before = (outputs - inputs) // 2
        self.padding = (0, 0, 0, 0, before, outputs - inputs - before)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return F.pad(self.pool(x), self.padding)


class PreActivationUnit(nn.Module):
    """Two 3x3 convolutions, each after a batch norm and a leaky ReLU, added to their input.

    `shares_activation`: the shortcut too starts after the first activation, as in the network's first unit.
    """

    folds: ClassVar = (("conv1", "norm2"),)

    def __init__(self, inputs: int, outputs: int, stride: int, *, shares_activation: bool = False) -> None:
        super().__init__()
        self.shares_activation = shares_activation
        self.norm1, self.activation1 = _norm(inputs), nn.LeakyReLU(0.1)
        self.conv1 = _conv(inputs, outputs, stride)
        self.norm2, self.activation2 = _norm(outputs), nn.LeakyReLU(0.1)
        self.conv2 = _conv(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else ZeroPadShortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        activated = self.activation1(self.norm1(x))
        residual = self.conv2(self.activation2(self.norm2(self.conv1(activated))))
        added: Tensor = residual + self.shortcut(activated if self.shares_activation else x)
        return added


class CifarResNet(Network):
    """The paper's CIFAR-10 network: a pre-activation ResNet of three stages of five units.

    As the "resnet_model" of TensorFlow that Madry et al. (2018) train: filters 16, 16, 32, 64, leaky ReLU 0.1,
    average-pooled and zero-padded shortcuts, every image standardised by itself. `width` scales all filters; 2 is
    the doubled network. Two of its convolutions have a stride: they pad both sides where TensorFlow pads one.
    """

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        stem, *stages = scaled(width, 16, 16, 32, 64)
        chain: dict[str, nn.Module] = {"stem": nn.Sequential(Standardise(), _conv(3, stem))}
        inputs = stem
        for stage, filters in enumerate(stages, start=1):
            for unit in range(1, UNITS + 1):
                stride = 2 if unit == 1 and stage > 1 else 1
                first = stage == unit == 1
                chain[f"stage{stage}-unit{unit}"] = PreActivationUnit(
                    inputs, filters, stride, shares_activation=first
                )
                inputs = filters
        chain["penultimate"] = nn.Sequential(
            _norm(inputs), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        super().__init__(chain, nn.Linear(inputs, classes), (3, 32, 32))
        _initialise(self)


class PublishedDenoisingCifarResNet(Network):
    """The paper's CIFAR-10 network with a denoising block of its code after each stage."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        plain = CifarResNet(width, classes)
        super().__init__({}, plain.head, plain.image_shape)
        for name, stage in plain.stages.items():
            self.stages[name] = stage
            if name.endswith(f"-unit{UNITS}"):
                assert isinstance(stage, PreActivationUnit)
                channels = stage.conv2.out_channels
                self.stages[name.replace(f"-unit{UNITS}", "-denoise")] = Denoise(channels, as_published=True)


class MediumIbpCNN(Network):
    """The medium network of Gowal et al. (2018) for interval bounds on CIFAR-10: four convolutions, two dense layers."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        first, second, hidden = scaled(width, 32, 64, 512)
        super().__init__(
            {
                "conv1": nn.Sequential(
                    Normalise(CIFAR10_MEAN, CIFAR10_STD), nn.Conv2d(3, first, 3), nn.ReLU()
                ),
                "conv2": nn.Sequential(nn.Conv2d(first, first, 4, stride=2), nn.ReLU()),
                "conv3": nn.Sequential(nn.Conv2d(first, second, 3), nn.ReLU()),
                "conv4": nn.Sequential(nn.Conv2d(second, second, 4, stride=2), nn.ReLU()),
                # 32 -> 30 -> 14 -> 12 -> 5
                "dense1": nn.Sequential(nn.Flatten(), nn.Linear(5 * 5 * second, hidden), nn.ReLU()),
                "penultimate": nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU()),
            },
            nn.Linear(hidden, classes),
            (3, 32, 32),
        )


class BasicUnit(nn.Module):
    """Two 3x3 convolutions added to their input, or to a 1x1 convolution of it where the shape changes."""

    folds: ClassVar = (("conv1", "norm1"), ("conv2", "norm2"))

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.activation1 = nn.ReLU()
        self.conv2, self.norm2 = _conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.activation2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        residual = self.norm2(self.conv2(self.activation1(self.norm1(self.conv1(x)))))
        activated: Tensor = self.activation2(residual + self.shortcut(x))
        return activated


class ResNet18(Network):
    """ResNet-18 (He et al. 2016) for 64 x 64: its eight units, under a 3x3 stem of stride 2 without max-pooling.

    ImageNet's stem (7x7 of stride 2, then pooling) would leave 16 x 16 of a 64 x 64 image for the first stage and
    2 x 2 for the last: too coarse. A stem without stride costs four times as much for every image. This one gives
    the stages 32 x 32 to 4 x 4, the sizes that the network is known to learn well from on CIFAR-10.
    """

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        stages = scaled(width, 64, 128, 256, 512)
        inputs = stages[0]
        chain: dict[str, nn.Module] = {
            "stem": nn.Sequential(
                Normalise(IMAGENET_MEAN, IMAGENET_STD),
                _conv(3, inputs, stride=2),
                nn.BatchNorm2d(inputs),
                nn.ReLU(),
            )
        }
        for stage, filters in enumerate(stages, start=1):
            for unit in (1, 2):
                stride = 2 if unit == 1 and stage > 1 else 1
                chain[f"stage{stage}-unit{unit}"] = BasicUnit(inputs, filters, stride)
                inputs = filters
        chain["penultimate"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        super().__init__(chain, nn.Linear(inputs, classes), (3, 64, 64))
        _initialise(self)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # TensorFlow's ε; its decay of 0.9 is the momentum 0.1 of torch


def _initialise(network: Network) -> None:
    """As TensorFlow's model: convolutions normal with variance 2 / (k k outputs), a uniform head without bias."""
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
    bound = math.sqrt(3 / network.head.in_features)
    nn.init.uniform_(network.head.weight, -bound, bound)
    nn.init.zeros_(network.head.bias)
