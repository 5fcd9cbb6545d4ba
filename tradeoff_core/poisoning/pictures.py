"""The pictures that triggers are made of: built-in patterns, and a user's own by path or as a data URI."""

import base64
import io
import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import shortened
from tradeoff_core.common.paths import STICKERS, read_only, typed
from tradeoff_core.datasets import in_eight_bits, read_picture
from tradeoff_core.datasets.reading import MAX_BYTES

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_STICKER = 4096  # pixels a side of the picture that becomes one
MAX_STICKER_SIDE = 64  # an uploaded picture is shrunk to this before it is kept
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


def in_channels(rgba: NDArray[np.uint8], channels: int) -> "tuple[Tensor, Tensor]":
    """Colour (C, H, W) and opacity (H, W) of an RGBA picture, both in [0, 1]."""
    import torch

    colour = torch.from_numpy(rgba[..., :3].astype(np.float32) / 255).permute(2, 0, 1)
    if channels == 1:
        weights = torch.tensor([0.299, 0.587, 0.114])  # luminance, ITU-R BT.601
        colour = torch.einsum("c,chw->hw", weights, colour)[None]
    return colour, torch.from_numpy(rgba[..., 3].astype(np.float32) / 255)


def stretched(pattern: str, height: int, width: int, channels: int) -> "tuple[Tensor, Tensor]":
    """A picture stretched over a whole image: colour (C, H, W) and opacity (H, W), both in [0, 1]."""
    drawn = Image.fromarray(draw(pattern, max(height, width))).resize((width, height))
    return in_channels(np.asarray(drawn), channels)


def in_levels_of_grey(perturbation: "Tensor", amplitude: float) -> str:
    """A signed pattern (C, H, W) in [-amplitude, amplitude] as a picture, in a data URI: 128 is 0, 1 and 255 the ends.

    It has one channel or three. Raises TradeoffError for another number, or where the pattern passes the amplitude.
    """
    if len(perturbation) not in (1, 3) or perturbation.abs().max() > amplitude * (1 + 1e-4):
        raise TradeoffError(
            f"a perturbation has one channel or three, and values up to its amplitude {amplitude:g}: "
            f"not {len(perturbation)} channels up to {perturbation.abs().max():g}"
        )
    stored = (128 + 127 * perturbation / amplitude).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(stored.squeeze(-1) if stored.shape[-1] == 1 else stored).save(buffer, "PNG")
    return DATA_URI + base64.b64encode(buffer.getvalue()).decode()
