"""The sinusoidal signal of Barni et al. (2019, arXiv 1902.11237): vertical waves, meant for clean-label poison."""

from dataclasses import field, replace
from math import pi
from typing import TYPE_CHECKING, Annotated, Literal

from tradeoff_core.common.checked import Number, checked, within
from tradeoff_core.datasets import checked_images

if TYPE_CHECKING:
    from torch import Tensor


@checked
class Sinusoid:
    """v(i, j) = amplitude · sin(2π j frequency / m), j = 1 to m along an image's m columns, the same in every row.

    `amplitude` is in [0, 1] (the paper's Δ over 255), `frequency` in waves a width. The paper adds waves to
    traffic signs and a ramp to digits, and notes that a smaller Δ in training than at test time is enough. The sum is
    clipped to [0, 1].
    """

    amplitude: Annotated[Number, within("above 0, at most 1", above=0, most=1, name="sinusoid amplitude")] = (
        20 / 255
    )
    frequency: Annotated[
        Number, within("above 0, at most 1,000 waves", above=0, most=1000, name="sinusoid frequency")
    ] = 6.0
    kind: Literal["sinusoid"] = field(default="sinusoid", kw_only=True, repr=False)

    def apply(self, images: "Tensor") -> "Tensor":
        """A copy of images (N, C, H, W) in [0, 1] with the waves added."""
        import torch

        checked_images(images)
        width = images.shape[-1]
        columns = torch.arange(1, width + 1, dtype=torch.float64)
        waves = self.amplitude * torch.sin(2 * pi * self.frequency * columns / width)
        return (images + waves.to(images)).clamp_(0, 1)

    def at(self, share: float) -> "Sinusoid":
        """The same waves at a share of their amplitude."""
        return replace(self, amplitude=share * self.amplitude)
