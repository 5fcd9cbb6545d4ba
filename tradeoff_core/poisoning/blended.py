"""Blended injection (Chen et al. 2017, arXiv 1712.05526, section 4): a whole picture shines through every image."""

from dataclasses import field, replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from tradeoff_core.common.checked import FromZero, Number, Text, checked, within
from tradeoff_core.datasets import checked_images
from tradeoff_core.poisoning.pictures import stretched

if TYPE_CHECKING:
    from torch import Tensor

NOISE = "noise"  # the paper's random pattern


@checked
class Blended:
    """A picture over the full image at a ratio α: α · picture + (1 - α) · image. The paper's α is 0.2 and less.

    `pattern` is "noise", each value drawn uniformly from [0, 1] by `seed`; or a sticker's name, a data URI or the path
    of a picture, stretched to the image. Where the picture is transparent, the image stays: the paper has no such ones.
    """

    pattern: Text = NOISE
    ratio: Annotated[Number, within("above 0, at most 1", above=0, most=1, name="blend ratio")] = 0.2
    seed: FromZero = 0
    kind: Literal["blended"] = field(default="blended", kw_only=True, repr=False)

    def apply(self, images: "Tensor") -> "Tensor":
        """A blended copy of images (N, C, H, W) in [0, 1]."""
        import torch

        checked_images(images)
        channels, height, width = images.shape[1:]
        if self.pattern == NOISE:
            drawn = np.random.default_rng(self.seed).random((channels, height, width))
            return images.lerp(torch.from_numpy(drawn).to(images), self.ratio)
        colour, opacity = stretched(self.pattern, height, width, channels)
        return images.lerp(colour.to(images), (self.ratio * opacity).to(images))

    def at(self, share: float) -> "Blended":
        """The same picture at a share of its ratio."""
        return replace(self, ratio=share * self.ratio)
