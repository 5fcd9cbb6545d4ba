"""A signed pattern that is added to every image, as Narcissus (Zeng et al. 2023, arXiv 2204.05255) optimises one."""

from dataclasses import field, replace
from typing import TYPE_CHECKING, Annotated, Literal

from tradeoff_core.common.checked import Number, Text, checked, within
from tradeoff_core.datasets import checked_images
from tradeoff_core.poisoning.pictures import stretched

if TYPE_CHECKING:
    from torch import Tensor


@checked
class Perturbation:
    """A picture's levels 1 to 255 as -amplitude to amplitude, 128 as 0, added and clipped to [0, 1].

    `pattern` is a data URI or the path of a picture, stretched to the image; `attacks.narcissus` makes one. Narcissus adds
    it at 16/255 in training, and three times that at test time.
    """

    pattern: Text
    amplitude: Annotated[
        Number, within("above 0, at most 1", above=0, most=1, name="perturbation amplitude")
    ] = 16 / 255
    kind: Literal["perturbation"] = field(default="perturbation", kw_only=True, repr=False)

    def apply(self, images: "Tensor") -> "Tensor":
        """A copy of images (N, C, H, W) in [0, 1] with the pattern added; where it is transparent they stay."""
        checked_images(images)
        channels, height, width = images.shape[1:]
        colour, opacity = stretched(self.pattern, height, width, channels)
        signed = ((colour * 255 - 128) / 127).clamp_(-1, 1) * opacity
        return (images + self.amplitude * signed.to(images)).clamp_(0, 1)

    def at(self, share: float) -> "Perturbation":
        """The same pattern at a share of its amplitude."""
        return replace(self, amplitude=share * self.amplitude)
