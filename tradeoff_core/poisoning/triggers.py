"""Backdoor triggers: what is put on an image to open the back door. Training and test share this code."""

import base64
import io
import os
from collections.abc import Callable
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BeforeValidator, Discriminator, Tag

from tradeoff_core.common.checked import Number, Text, Whole, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import shortened
from tradeoff_core.common.paths import STICKERS, read_only, typed
from tradeoff_core.datasets import checked_images, in_eight_bits, read_picture
from tradeoff_core.datasets.reading import MAX_BYTES

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_STICKER = 4096  # pixels a side of the picture that becomes one
MAX_STICKER_SIDE = 64  # an uploaded picture is shrunk to this before it is kept
SHARE = "above 0, at most 1"
DATA_URI = "data:image/png;base64,"


def _opaque(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey (H, W) in [0, 1] -> opaque RGBA (H, W, 4)."""
    stored = np.round(grey * 255).astype(np.uint8)
    return np.dstack([stored] * 3 + [np.full_like(stored, 255)])


def _white_square(size: int) -> NDArray[np.uint8]:
    return _opaque(np.ones((size, size)))


def _x(size: int) -> NDArray[np.uint8]:
    return _opaque(np.clip(np.eye(size) + np.eye(size)[::-1], 0, 1))


def _checkerboard(size: int) -> NDArray[np.uint8]:
    return _opaque((np.add.outer(np.arange(size), np.arange(size)) + 1) % 2)


# size in pixels -> RGBA; the drawn ones are files in assets/stickers/
PATTERNS: dict[str, Callable[[int], NDArray[np.uint8]]] = {
    "white-square": _white_square,
    "x": _x,
    "checkerboard": _checkerboard,
}


def patterns() -> tuple[str, ...]:
    """The names of the built-in sticker patterns."""
    return *PATTERNS, *sorted(file.stem for file in STICKERS.glob("*.png"))


def pattern_from_picture(content: bytes, name: str = "the picture", max_pixels: int | None = None) -> str:
    """An uploaded picture as a pattern that a spec can carry: a data URI of a small PNG.

    Raises TradeoffError for what is empty, huge, animated or no picture.
    """
    small = read_picture(content, name, LARGEST_STICKER, max_pixels=max_pixels, needed=MAX_STICKER_SIDE)
    picture = in_eight_bits(small).convert("RGBA")
    picture.thumbnail((MAX_STICKER_SIDE, MAX_STICKER_SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return DATA_URI + base64.b64encode(buffer.getvalue()).decode()


@lru_cache(maxsize=64)
def draw(pattern: str, size: int) -> NDArray[np.uint8]:
    """A pattern as RGBA (H, W, 4), its longer side `size` pixels.

    `pattern` is a built-in name, a data URI or the path of a picture. Raises TradeoffError for others.
    """
    if pattern in PATTERNS:
        return PATTERNS[pattern](size)
    if pattern.startswith(DATA_URI):
        try:
            content, name = base64.b64decode(pattern.removeprefix(DATA_URI), validate=True), "the sticker"
        except ValueError:
            raise TradeoffError("the sticker's data URI is damaged") from None
    else:
        content, name = _stored(pattern)
    picture = in_eight_bits(read_picture(content, name, LARGEST_STICKER)).convert("RGBA")
    scale = size / max(picture.size)
    smaller = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
    return np.asarray(picture.resize(smaller, method))


def _stored(pattern: str) -> tuple[bytes, str]:
    """The content and the name of a drawn pattern's file, or of a picture by its path, of which a public server has none."""
    drawn = pattern in patterns()
    path = STICKERS / f"{pattern}.png" if drawn or not pattern.strip() else typed(pattern)
    if not os.path.isfile(path) or (read_only() and not drawn):  # False also for a name too long to be one
        raise TradeoffError(
            f"unknown sticker '{shortened(pattern)}': choose {', '.join(patterns())} or a picture file"
        )
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), path.name
    except OSError as error:
        raise TradeoffError(f"the sticker '{path}' cannot be read: {error.strerror}") from None


def _in_channels(rgba: NDArray[np.uint8], channels: int) -> "tuple[Tensor, Tensor]":
    """Colour (C, H, W) and opacity (H, W) of an RGBA picture, both in [0, 1]."""
    import torch

    colour = torch.from_numpy(rgba[..., :3].astype(np.float32) / 255).permute(2, 0, 1)
    if channels == 1:
        weights = torch.tensor([0.299, 0.587, 0.114])  # luminance, ITU-R BT.601
        colour = torch.einsum("c,chw->hw", weights, colour)[None]
    return colour, torch.from_numpy(rgba[..., 3].astype(np.float32) / 255)


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
        colour, alpha = _in_channels(draw(self.pattern, self.size), images.shape[1])
        alpha = (alpha * self.opacity).to(images)
        stamped = images.clone()
        stamped[..., rows, columns] = stamped[..., rows, columns].lerp(colour.to(images), alpha)
        return stamped

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
            drawn = Image.fromarray(draw(self.pattern, max(height, width))).resize((width, height))
            colour, alpha = _in_channels(np.asarray(drawn), 1)
            grey = colour[0] * alpha
        return (images + self.amplitude * grey.to(images)).clamp(0, 1)


Trigger = Sticker | Watermark
TRIGGERS = {"sticker": Sticker, "watermark": Watermark}


def _table(value: Any) -> Any:
    """A trigger's table; of a kind alone, the one with that kind's defaults."""
    return value if isinstance(value, dict | Trigger) else {"kind": value}


def _kind(value: Any) -> str:
    return str(value.get("kind", "sticker") if isinstance(value, dict) else value.kind)


AnyTrigger = Annotated[
    Annotated[Sticker, Tag("sticker")] | Annotated[Watermark, Tag("watermark")],
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
