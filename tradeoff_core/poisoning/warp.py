"""Warping (WaNet, Nguyen and Tran 2021, arXiv 2102.10369): every image is bent by one smooth, seeded field."""

from dataclasses import field, replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.checked import FromZero, Number, Whole, checked, within
from tradeoff_core.datasets import checked_images

if TYPE_CHECKING:
    from torch import Tensor


@checked
class Warp:
    """A bend of the image: `control` x `control` random offsets (the paper's k), `strength` (its s), upsampled to a field.

    A control offset is (x, y), of a mean absolute value of 1; a pixel is read from `strength` / 2 of the field's pixels
    beside it, bilinearly and not from beyond the edge. Departures: the paper divides both by the image's height, we x by
    its width, and its rescaling of the grid (1 in its experiments) is left out.
    """

    control: Annotated[Whole, within("2 to 64 points a side", least=2, most=64, name="warp control grid")] = 4
    strength: Annotated[Number, within("above 0, at most 100", above=0, most=100, name="warp strength")] = 0.5
    seed: FromZero = 0
    kind: Literal["warp"] = field(default="warp", kw_only=True, repr=False)

    def apply(self, images: "Tensor") -> "Tensor":
        """A warped copy of images (N, C, H, W) in [0, 1]."""
        from torch.nn import functional as F

        checked_images(images)
        count, channels, height, width = images.shape
        grid = self.grid(height, width).to(images)
        # one grid for all: the images are its channels
        stacked = images.reshape(1, count * channels, height, width)
        warped = F.grid_sample(stacked, grid, align_corners=True) if count else stacked
        return warped.view(images.shape).clamp_(0, 1)

    def noisy(self, images: "Tensor", generator: np.random.Generator) -> "Tensor":
        """Images warped by the field and, each pixel by itself, by noise of up to half a pixel: those of its noise mode."""
        import torch
        from torch.nn import functional as F

        checked_images(images)
        height, width = images.shape[-2:]
        noise = torch.from_numpy(generator.uniform(-1, 1, (len(images), height, width, 2)))
        grid = self.grid(height, width) + noise.float() / torch.tensor([width, height])
        return F.grid_sample(images, grid.clamp_(-1, 1).to(images), align_corners=True).clamp_(0, 1)

    def at(self, share: float) -> "Warp":
        """The same field at a share of its strength."""
        return replace(self, strength=share * self.strength)

    def grid(self, height: int, width: int) -> "Tensor":
        """Where each pixel is read (1, H, W, 2): x, then y, from -1 at the first column and row to 1 at the last ones."""
        import torch
        from torch.nn import functional as F

        offsets = torch.from_numpy(control_offsets(self.control, self.seed))
        smooth = F.interpolate(offsets[None], (height, width), mode="bicubic", align_corners=True)
        rows, columns = (torch.linspace(-1, 1, side, dtype=torch.float64) for side in (height, width))
        still = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))  # (2, H, W): x, then y
        sides = torch.tensor([width, height]).view(2, 1, 1)
        grid = still + self.strength * smooth[0] / sides
        return grid.clamp_(-1, 1).permute(1, 2, 0)[None].float()


def control_offsets(control: int, seed: int) -> NDArray[np.float64]:
    """Random offsets (2, control, control) in x and y, uniform, divided by their mean absolute value."""
    offsets = np.random.default_rng(seed).uniform(-1, 1, (2, control, control))
    scaled: NDArray[np.float64] = offsets / np.abs(offsets).mean()
    return scaled
