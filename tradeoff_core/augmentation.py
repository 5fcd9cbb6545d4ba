"""Random crops and flips of training images. They come after poisoning: a shifted image carries a shifted trigger."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.errors import TradeoffError


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Each image is moved by up to `padding` pixels, black coming in at the edge, and mirrored half of the time."""

    padding: int = 2
    flip: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.padding, int) or self.padding < 0:
            raise TradeoffError(f"padding {self.padding} is out of range: a whole number of pixels from 0")

    def apply(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """A changed copy of images (N, C, H, W), of the same shape."""
        count, channels, height, width = images.shape
        down, right = torch.randint(2 * self.padding + 1, (2, count, 1), generator=generator)
        rows, columns = torch.arange(height) + down, torch.arange(width) + right  # (N, H), (N, W)
        if self.flip:
            mirrored = torch.rand(count, 1, generator=generator) < 0.5
            columns = torch.where(mirrored, columns.flip(1), columns)
        padded = F.pad(images, [self.padding] * 4)
        changed: Tensor = padded[
            torch.arange(count)[:, None, None, None],
            torch.arange(channels)[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]
        return changed
