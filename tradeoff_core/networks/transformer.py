"""A small vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929) for digits and for small photographs."""

import math

import torch
from torch import Tensor, nn

from tradeoff_core.networks.base import DIGIT, ImageShape, Network, Normalise, scaled
from tradeoff_core.networks.residual import CIFAR10_MEAN, CIFAR10_STD

PATCH = 4  # pixels along a side
BLOCKS, HEADS, OF_A_HEAD = 4, 4, 32
WIDER = 2  # the hidden layer of a block than its tokens
AMPLITUDE, LONGEST = (
    0.5,
    100.0,
)  # of the waves that positions start as; the longest, in patches, is 2 pi times that


class Dense(nn.Linear):
    """A linear layer that starts as those of Dosovitskiy et al. do: Xavier's uniform weights, and biases of 0.

    With torch's own start places are lost beside biases, and the first epochs learn next to nothing.
    """

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)


def waves(rows: int, columns: int, dimension: int) -> Tensor:
    """Places (rows x columns, D) as sines and cosines of the row, then of the column, of ever longer waves."""
    lengths = LONGEST ** (torch.arange(dimension // 4) / (dimension // 4))
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = [place.flatten()[:, None] / lengths for place in (row, column)]  # (rows x columns, D / 4) each
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)


class Patches(nn.Module):
    """Images cut into squares of PATCH x PATCH, each embedded linearly as a token, plus what is learned for its place."""

    def __init__(self, image_shape: ImageShape, dimension: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        channels, height, width = image_shape
        self.rows, self.columns = height // PATCH, width // PATCH
        self.embedding = Dense(channels * PATCH * PATCH, dimension)
        self.positions = nn.Parameter(torch.empty(self.rows * self.columns, dimension))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let the positions start anew; the embedding has a method of its own."""
        with torch.no_grad():
            self.positions.copy_(AMPLITUDE * waves(self.rows, self.columns, self.positions.shape[1]))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, T, D), a token for each patch, row by row."""
        if tuple(images.shape[1:]) != self.image_shape:
            raise RuntimeError("images of another shape than there are positions for")
        cut = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)  # (N, C, rows, columns, PATCH, PATCH)
        patches = cut.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)  # (N, T, C PATCH²)
        tokens: Tensor = self.embedding(patches) + self.positions
        return tokens


class SelfAttention(nn.Module):
    """Every token takes an average of all tokens, in HEADS ways (Vaswani et al. 2017).

    Written out and not by torch's fused function, which on a CPU has no second derivative, as regularisers need it.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.queries, self.keys, self.values, self.output = (Dense(dimension, dimension) for _ in range(4))

    def weights(self, tokens: Tensor) -> Tensor:
        """How much each token takes of each, (N, T, D) -> (N, HEADS, T, T): the last axis sums to 1."""
        queries, keys = _by_head(self.queries(tokens)), _by_head(self.keys(tokens))
        asked = queries / math.sqrt(queries.shape[3])
        return (asked @ keys.transpose(2, 3)).softmax(dim=3)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, D) -> (N, T, D)."""
        taken = self.weights(tokens) @ _by_head(self.values(tokens))  # (N, HEADS, T, D / HEADS)
        mixed: Tensor = self.output(taken.transpose(1, 2).flatten(2))
        return mixed


def _by_head(tokens: Tensor) -> Tensor:
    """(N, T, D) -> (N, HEADS, T, D / HEADS)."""
    return tokens.view(*tokens.shape[:2], HEADS, -1).transpose(1, 2)


class Block(nn.Module):
    """Attention between the tokens, then two layers on each by itself, both normalised before and added to their input."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dimension), SelfAttention(dimension)
        self.norm2, self.hidden = nn.LayerNorm(dimension), Dense(dimension, WIDER * dimension)
        self.activation, self.output = nn.GELU(), Dense(WIDER * dimension, dimension)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, D) -> (N, T, D)."""
        tokens = tokens + self.attention(self.norm1(tokens))
        added: Tensor = tokens + self.output(self.activation(self.hidden(self.norm2(tokens))))
        return added


class Mean(nn.Module):
    """The mean of all tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, D) -> (N, D)."""
        return tokens.mean(dim=1)


class VisionTransformer(Network):
    """Four pre-norm blocks of four heads on patches of 4 x 4, with learned positions: half a million weights at width 1.

    In size between those of Hassani et al. (2021, arXiv 2104.05704) for small images, whose hidden layers are twice as
    wide as well, where Dosovitskiy et al. have four times. What the head reads is the mean of the tokens, as Beyer et
    al. (2022, arXiv 2205.01580) have it, and no class token: every patch has its say from the first step on, which few
    images need, and there is no token without a place. Positions are learned, but start as the waves that theirs remain:
    near places are alike from the start. There is no dropout. `width` scales a head.
    """

    def __init__(self, width: float, classes: int, image_shape: ImageShape, *before: nn.Module) -> None:
        (of_a_head,) = scaled(width, OF_A_HEAD)
        dimension = HEADS * of_a_head
        chain: dict[str, nn.Module] = {"patches": nn.Sequential(*before, Patches(image_shape, dimension))}
        for block in range(1, BLOCKS + 1):
            chain[f"block{block}"] = Block(dimension)
        chain["penultimate"] = nn.Sequential(nn.LayerNorm(dimension), Mean())
        super().__init__(chain, nn.Linear(dimension, classes), image_shape)

    def attention(self, images: Tensor) -> Tensor:
        """How much each token takes of each in every block, (N, C, H, W) -> (N, BLOCKS, HEADS, T, T)."""
        found, tokens = [], images
        for stage in self.stages.values():
            if isinstance(stage, Block):
                found.append(stage.attention.weights(stage.norm1(tokens)))
            tokens = stage(tokens)
        return torch.stack(found, dim=1)


class MnistViT(VisionTransformer):
    """The transformer for digits: 49 patches of one channel, which it takes as they are, as the other networks do."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        super().__init__(width, classes, DIGIT)


class CifarViT(VisionTransformer):
    """The transformer for photographs of 32 x 32: 64 patches of three channels."""

    def __init__(self, width: float = 1.0, classes: int = 10) -> None:
        super().__init__(width, classes, (3, 32, 32), Normalise(CIFAR10_MEAN, CIFAR10_STD))
