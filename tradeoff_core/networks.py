"""Networks: images in [0, 1] in, logits out; `features` is how anything else reads their inside."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tradeoff_core.errors import TradeoffError


class Network(nn.Module):
    """A chain of named stages and a linear head on the last of them."""

    def __init__(self, stages: dict[str, nn.Module], head: nn.Linear) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.head = head

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return self.head.out_features

    @property
    def layers(self) -> tuple[str, ...]:
        """What `features` can be asked for, from input to output."""
        return tuple(self.stages)

    def features(self, images: Tensor, layer: str = "penultimate") -> Tensor:
        """Activations after `layer`, flattened: (N, C, H, W) in [0, 1] -> (N, D).

        Raises TradeoffError for a layer that this network does not have.
        """
        if layer not in self.stages:
            raise TradeoffError(f"no layer '{layer}': this network has {', '.join(self.layers)}")
        activations = images
        for name, stage in self.stages.items():
            activations = stage(activations)
            if name == layer:
                break
        return activations.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]."""
        logits: Tensor = self.head(self.features(images, self.layers[-1]))
        return logits


class MnistCNN(Network):
    """The paper's MNIST network: two 5x5 convolutions with max-pooling and a hidden layer of 1024.

    It takes [0, 1] as it is: the paper does not normalise digits. `width` scales every hidden layer. Pooling
    comes before the ReLU: the same function as the paper's order, a tenth faster.
    """

    def __init__(self, width: float = 1.0) -> None:
        first, second, hidden = _scaled(width, 32, 64, 1024)
        super().__init__(
            {
                "conv1": nn.Sequential(nn.Conv2d(1, first, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
                "conv2": nn.Sequential(nn.Conv2d(first, second, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
                "penultimate": nn.Sequential(nn.Flatten(), nn.Linear(7 * 7 * second, hidden), nn.ReLU()),
            },
            nn.Linear(hidden, 10),
        )


class Denoise(nn.Module):
    """A non-local block, x + norm(conv(attention(x))), that averages features over similar places.

    Xie et al. (CVPR 2019), embedded Gaussian: places attend to each other by the softmax of their embedded dot
    product. Its batch norm starts at 0, so that the block starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.queries, self.keys = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.output, self.norm = nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        queries, keys = self.queries(x).flatten(2), self.keys(x).flatten(2)  # (N, inner, H W)
        attention = (queries.transpose(1, 2) @ keys).softmax(dim=2)  # (N, H W, H W), rows sum to 1
        averaged = (x.flatten(2) @ attention.transpose(1, 2)).view_as(x)  # (N, C, H W) -> (N, C, H, W)
        denoised: Tensor = x + self.norm(self.output(averaged))
        return denoised


class DenoisingMnistCNN(Network):
    """The paper's MNIST network with a denoising block after each pooling."""

    def __init__(self, width: float = 1.0) -> None:
        plain = MnistCNN(width)
        super().__init__({}, plain.head)
        for name, stage in plain.stages.items():
            channels = next(
                (part.out_channels for part in stage.children() if isinstance(part, nn.Conv2d)), None
            )
            self.stages[name] = stage
            if channels:
                self.stages[name.replace("conv", "denoise")] = Denoise(channels)


class SmallIbpCNN(Network):
    """The small network of Gowal et al. (2018) for interval bounds: convolutions with strides, no pooling."""

    def __init__(self, width: float = 1.0) -> None:
        first, second, hidden = _scaled(width, 16, 32, 100)
        super().__init__(
            {
                "conv1": nn.Sequential(nn.Conv2d(1, first, 4, stride=2), nn.ReLU()),
                "conv2": nn.Sequential(nn.Conv2d(first, second, 4), nn.ReLU()),
                "penultimate": nn.Sequential(nn.Flatten(), nn.Linear(10 * 10 * second, hidden), nn.ReLU()),
            },
            nn.Linear(hidden, 10),
        )


def _scaled(width: float, *sizes: int) -> list[int]:
    """Layer sizes at a width. Raises TradeoffError for a width that cannot be."""
    if not 0 < width <= 4:
        raise TradeoffError(f"width {width:g} is out of range: choose above 0 and at most 4")
    return [max(1, round(width * size)) for size in sizes]


NETWORKS: dict[str, Callable[[float], Network]] = {
    "mnist-cnn": MnistCNN,
    "mnist-cnn-denoising": DenoisingMnistCNN,
    "mnist-ibp-small": SmallIbpCNN,
}


def build(name: str, width: float, seed: int) -> Network:
    """A freshly initialised network of the registry, the same for the same seed.

    Raises TradeoffError for an unknown name.
    """
    if name not in NETWORKS:
        raise TradeoffError(f"unknown network '{name}': choose one of {', '.join(NETWORKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = NETWORKS[name](width)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    return network


def freeze(network: Network) -> Network:
    """The network in eval mode with its parameters frozen, safe to share among readers."""
    return network.eval().requires_grad_(False)
