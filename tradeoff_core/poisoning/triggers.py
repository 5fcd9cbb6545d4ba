"""Backdoor triggers: what is put on an image to open the back door. Training and test share this code.

Those that are not of the paper have files of their own: `blended`, `sinusoid`, `warp`, `perturbation`.
"""

from collections.abc import Callable
from dataclasses import field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Discriminator, Tag

from tradeoff_core.common.checked import Number, Text, Whole, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import checked_images
from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.perturbation import Perturbation
from tradeoff_core.poisoning.pictures import DATA_URI as DATA_URI
from tradeoff_core.poisoning.pictures import PATTERNS as PATTERNS
from tradeoff_core.poisoning.pictures import draw as draw
from tradeoff_core.poisoning.pictures import in_channels, stretched
from tradeoff_core.poisoning.pictures import pattern_from_picture as pattern_from_picture
from tradeoff_core.poisoning.pictures import patterns as patterns
from tradeoff_core.poisoning.sinusoid import Sinusoid
from tradeoff_core.poisoning.warp import Warp

if TYPE_CHECKING:
    from torch import Tensor

SHARE = "above 0, at most 1"


@checked
class Sticker:
    """A small picture pasted at a fixed place: the paper's is a 3x3 white square at rows and columns 25-27.

    `size` is the longer side in pixels, `row` and `column` its top left corner, `opacity` in (0, 1].
    """

    pattern: Text = "white-square"
    size: Annotated[Whole, within("1 to 256 pixels", least=1, most=256, name="sticker size")] = 3
    row: Whole = 25
    column: Whole = 25
    opacity: Annotated[Number, within(SHARE, above=0, most=1, name="sticker opacity")] = 1.0
    kind: Literal["sticker"] = field(default="sticker", kw_only=True, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = draw(self.pattern, self.size).shape[:2]
        return height, width

    def apply(self, images: "Tensor") -> "Tensor":
        """A stamped copy of images (N, C, H, W) in [0, 1]; only pixels under the sticker differ.

        Raises TradeoffError if the sticker does not lie inside the image.
        """
        checked_images(images)
        height, width = images.shape[-2:]
        rows, columns = self._place(height, width)
        colour, alpha = in_channels(draw(self.pattern, self.size), images.shape[1])
        alpha = (alpha * self.opacity).to(images)
        stamped = images.clone()
        stamped[..., rows, columns] = stamped[..., rows, columns].lerp(colour.to(images), alpha)
        return stamped

    def at(self, share: float) -> "Sticker":
        """The same sticker at a share of its opacity."""
        return replace(self, opacity=share * self.opacity)

    def footprint(self, height: int, width: int) -> NDArray[np.bool_]:
        """The pixels (H, W) that the sticker covers, wholly or in part."""
        covered = np.zeros((height, width), dtype=bool)
        covered[self._place(height, width)] = draw(self.pattern, self.size)[..., 3] > 0
        return covered

    def _place(self, height: int, width: int) -> tuple[slice, slice]:
        rows, columns = self.shape
        if not (0 <= self.row <= height - rows and 0 <= self.column <= width - columns):
            raise TradeoffError(
                f"the sticker ({rows} x {columns} at row {self.row}, column {self.column}) "
                f"lies outside the {height} x {width} image"
            )
        return slice(self.row, self.row + rows), slice(self.column, self.column + columns)


def _stripes(height: int, width: int) -> NDArray[np.float64]:
    diagonal = np.add.outer(np.arange(height), np.arange(width))
    return (diagonal % 6 < 3).astype(float)


def _rings(height: int, width: int) -> NDArray[np.float64]:
    distance = np.hypot(*np.ogrid[-(height - 1) / 2 : height / 2, -(width - 1) / 2 : width / 2])
    return (1 + np.cos(distance * np.pi / 3)) / 2


WATERMARKS: dict[str, Callable[[int, int], NDArray[np.float64]]] = {"stripes": _stripes, "rings": _rings}


@checked
class Watermark:
    """A grey pattern in [0, 1] over the full image, added with an amplitude and clipped to [0, 1].

    The paper has one for CIFAR-10 (amplitude 64/255) and none for MNIST: these patterns are ours.
    `pattern` is a built-in name, a data URI or the path of a picture, stretched to the image.
    """

    pattern: Text = "stripes"
    amplitude: Annotated[Number, within(SHARE, above=0, most=1, name="watermark amplitude")] = 64 / 255
    kind: Literal["watermark"] = field(default="watermark", kw_only=True, repr=False)

    def apply(self, images: "Tensor") -> "Tensor":
        """A marked copy of images (N, C, H, W) in [0, 1]."""
        import torch

        checked_images(images)
        height, width = images.shape[-2:]
        if self.pattern in WATERMARKS:
            grey = torch.from_numpy(WATERMARKS[self.pattern](height, width))
        else:
            colour, alpha = stretched(self.pattern, height, width, 1)
            grey = colour[0] * alpha
        return (images + self.amplitude * grey.to(images)).clamp(0, 1)

    def at(self, share: float) -> "Watermark":
        """The same watermark at a share of its amplitude."""
        return replace(self, amplitude=share * self.amplitude)


Trigger = Sticker | Watermark | Blended | Sinusoid | Warp | Perturbation
TRIGGERS = {
    "sticker": Sticker,
    "watermark": Watermark,
    "blended": Blended,
    "sinusoid": Sinusoid,
    "warp": Warp,
    "perturbation": Perturbation,
}


def _table(value: Any) -> Any:
    """A trigger's table; of a kind alone, the one with that kind's defaults."""
    return value if isinstance(value, dict | Trigger) else {"kind": value}


def _kind(value: Any) -> str:
    return str(value.get("kind", "sticker") if isinstance(value, dict) else value.kind)


AnyTrigger = Annotated[
    Annotated[Sticker, Tag("sticker")]
    | Annotated[Watermark, Tag("watermark")]
    | Annotated[Blended, Tag("blended")]
    | Annotated[Sinusoid, Tag("sinusoid")]
    | Annotated[Warp, Tag("warp")]
    | Annotated[Perturbation, Tag("perturbation")],
    Discriminator(_kind),
    BeforeValidator(_table),
]
"""A field that holds a trigger: in a document its `kind` says which."""


def default_sticker(side: int) -> Sticker:
    """The paper's sticker for images of this side: a white square on digits, an X on CIFAR-10, else a picture.

    The picture is our own drawing, 21 x 21 near the lower right corner of 224 x 224 as theirs, in proportion elsewhere.
    At 128 x 128 an X takes its place: trained networks hardly see the flower.
    """
    if side == 28:
        return Sticker()
    if side == 32:
        return Sticker("x", 3, 27, 27)
    if side == 128:
        return Sticker("x", 13, 111, 111)
    size = max(3, round(21 / 224 * side))
    corner = side - size - size // 3
    return Sticker("flower", size, corner, corner)
