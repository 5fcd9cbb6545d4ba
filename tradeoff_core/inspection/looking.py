"""What a network looks at in an image, and what it reads once that is covered: the sticker test."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tradeoff_core.common.devices import device_of
from tradeoff_core.explanations.attribution import Method, attribute
from tradeoff_core.networks import Network
from tradeoff_core.networks.base import finite
from tradeoff_core.networks.inference import Floats, in_batches

PATCH, OF_SIDE = (
    3,
    32,
)  # pixels of a patch's side, on images of about this side; on larger ones as large a share


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen in N images; all but `saliency` are (N,).

    `saliency` (N, H, W) is the size of the input gradient for the image's class. The strongest patch, `side` pixels wide
    with its corner at `row` and `column`, holds `share` of it; with the patch covered the network reads `predicted`, and
    the class keeps `confidence`.
    """

    saliency: Floats
    side: int
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    share: Floats
    predicted: NDArray[np.int64]
    confidence: Floats


def patch_side(height: int, width: int) -> int:
    """How many pixels wide a patch is on images of this size."""
    return max(PATCH, round(PATCH * min(height, width) / OF_SIDE))


def look(network: Network, images: NDArray[np.uint8], label: int) -> Look:
    """What speaks for one class in images (N, H, W, C), and the answer without its strongest patch. Raises NotFinite."""
    side = patch_side(*images.shape[1:3])
    device = device_of(network)
    parts: list[tuple[Tensor, ...]] = []
    for batch in in_batches(images):
        maps = attribute(
            network, batch.to(device), torch.full((len(batch),), label, device=device), Method.INPUT_GRADIENT
        )
        sizes = maps.abs().sum(1).cpu()  # (n, C, H, W) -> (n, H, W)
        share, row, column = strongest(sizes, side)
        with torch.inference_mode():
            answers = finite(network(cover(batch, row, column, side).to(device))).softmax(1).cpu()
        parts.append((sizes, row, column, share, answers.argmax(1), answers[:, label]))
    saliency, rows, columns, shares, read, kept = (torch.cat(one).numpy() for one in zip(*parts, strict=True))
    return Look(saliency, side, rows, columns, shares, read, kept)


def strongest(sizes: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of the patch that holds most of sizes (N, H, W) the share (N,), the row and the column; 0 of a map that is 0."""
    sums = avg_pool2d(sizes[:, None], side, 1)[:, 0] * side**2  # (N, H - side + 1, W - side + 1)
    most, place = sums.flatten(1).max(1)
    return (
        most / sizes.sum((1, 2)).clamp(min=1e-12),
        place // sums.shape[2],
        place % sums.shape[2],
    )


def cover(images: Tensor, row: Tensor, column: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W) with the patch whose corner is at row and column (N,) in the median colour of the image."""
    rows, columns = (torch.arange(length) for length in images.shape[2:])
    down = (rows >= row[:, None]) & (rows < row[:, None] + side)  # (N, H)
    across = (columns >= column[:, None]) & (columns < column[:, None] + side)  # (N, W)
    patch = (down[:, :, None] & across[:, None, :])[:, None]  # (N, 1, H, W)
    middle = images.flatten(2).median(2).values[..., None, None]
    return torch.where(patch, middle, images)
