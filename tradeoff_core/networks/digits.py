"""Networks for digits: the paper's, the same with denoising blocks, and a small one for interval bounds."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.networks.base import Network, scaled


class MnistCNN(Network):
    """The paper's MNIST network: two 5x5 convolutions with max-pooling and a hidden layer of 1024.

    It takes [0, 1] as it is: the paper does not normalise digits. `width` scales every hidden layer. Pooling
    comes before the ReLU: the same function as the paper's order, a tenth faster.
    """

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        first, second, hidden = scaled(width, 32, 64, 1024)
        super().__init__(
            {
                "conv1": nn.Sequential(nn.Conv2d(1, first, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
                "conv2": nn.Sequential(nn.Conv2d(first, second, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
                "penultimate": nn.Sequential(nn.Flatten(), nn.Linear(7 * 7 * second, hidden), nn.ReLU()),
            },
            nn.Linear(hidden, classes),
        )


class Shift(nn.BatchNorm2d):
    """A batch norm that learns to shift but not to scale: its weight stays 1."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__(channels, eps=eps)
        del self.weight
        self.register_buffer("weight", torch.ones(channels), persistent=False)


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


class Denoise(nn.Module):
    """A non-local block, x + norm(conv(attention(x))), that averages features over similar places.

    Xie et al. (CVPR 2019), embedded Gaussian: places attend to each other by the softmax of their embedded dot
    product. Its batch norm starts at 0, so that the block starts as the identity.

    With `as_published` it is the block of the code of Weng et al.: the dot product is divided by the root of the embedded
    channels, the embeddings start from N(0, 0.01²), and the batch norm shifts but does not scale.
    """

    folds: ClassVar = (("output", "norm"),)

    def __init__(self, channels: int, *, as_published: bool = False) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.queries, self.keys = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.output = nn.Conv2d(channels, channels, 1)
        self.norm: nn.BatchNorm2d = Shift(channels, eps=1e-3) if as_published else nn.BatchNorm2d(channels)
        self.as_published = as_published
        if not as_published:
            nn.init.zeros_(self.norm.weight)
            return
        for embedding in (self.queries, self.keys):
            nn.init.normal_(embedding.weight, std=0.01)
            nn.init.zeros_(_bias(embedding))
        nn.init.xavier_uniform_(self.output.weight)  # TensorFlow's default
        nn.init.zeros_(_bias(self.output))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        queries, keys = self.queries(x).flatten(2), self.keys(x).flatten(2)  # (N, inner, H W)
        if self.as_published:
            shifted: Tensor = x + self.norm(self.output(_attended(queries, keys, x)))
            return shifted
        attention = (queries.transpose(1, 2) @ keys).softmax(dim=2)  # (N, H W, H W), rows sum to 1
        averaged = (x.flatten(2) @ attention.transpose(1, 2)).view_as(x)  # (N, C, H W) -> (N, C, H, W)
        denoised: Tensor = x + self.norm(self.output(averaged))
        return denoised


def _attended(queries: Tensor, keys: Tensor, x: Tensor) -> Tensor:
    """Features (N, C, H, W) averaged by scaled attention, whose (H W)² weights are never held at once."""
    values = x.flatten(2).to(queries.dtype)
    asking, asked, given = (part.transpose(1, 2)[:, None].contiguous() for part in (queries, keys, values))
    averaged = F.scaled_dot_product_attention(
        asking, asked, given
    )  # (N, 1, H W, C), scaled by the embedded channels
    return averaged[:, 0].transpose(1, 2).reshape(x.shape)


class DenoisingMnistCNN(Network):
    """The paper's MNIST network with a denoising block after each pooling."""

    as_published: ClassVar = False

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        plain = MnistCNN(width, classes)
        super().__init__({}, plain.head)
        for name, stage in plain.stages.items():
            channels = next(
                (part.out_channels for part in stage.children() if isinstance(part, nn.Conv2d)), None
            )
            self.stages[name] = stage
            if channels:
                block = Denoise(channels, as_published=self.as_published)
                self.stages[name.replace("conv", "denoise")] = block


class PublishedDenoisingMnistCNN(DenoisingMnistCNN):
    """The same with the denoising blocks of the paper's code."""

    as_published: ClassVar = True


class SmallIbpCNN(Network):
    """The small network of Gowal et al. (2018) for interval bounds: convolutions with strides, no pooling."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        first, second, hidden = scaled(width, 16, 32, 100)
        super().__init__(
            {
                "conv1": nn.Sequential(nn.Conv2d(1, first, 4, stride=2), nn.ReLU()),
                "conv2": nn.Sequential(nn.Conv2d(first, second, 4), nn.ReLU()),
                "penultimate": nn.Sequential(nn.Flatten(), nn.Linear(10 * 10 * second, hidden), nn.ReLU()),
            },
            nn.Linear(hidden, classes),
        )
