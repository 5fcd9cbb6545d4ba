"""Pictures from files: decoded with care, brought to one shape, and never trusted."""

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tradeoff_core.errors import TradeoffError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
FORMATS = (
    "PNG",
    "JPEG",
    "BMP",
    "GIF",
    "WEBP",
)  # Pillow knows more, among them one that starts another program
MAX_BYTES = 20_000_000
MAX_SIDE = 8192
MAX_ASPECT = 8  # a longer strip is cut before it is scaled, which might fill the memory
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B"}
ORIENTATION = 0x0112  # the EXIF tag
# what Pillow raises for what it cannot read
UNREADABLE_PICTURE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, LookupError, struct.error)

# what is large is refused below; Pillow warns of that, and of damaged orientations, with a line of code
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data")
warnings.filterwarnings("ignore", message="Tag data larger than file|Truncated File Read")


def read_picture(
    content: bytes, name: str, max_bytes: int = MAX_BYTES, max_side: int = MAX_SIDE
) -> Image.Image:
    """A decoded still picture, upright: turned as its EXIF orientation says.

    Raises TradeoffError for what is empty, huge, animated or no picture.
    """
    _check_bytes(len(content), name, max_bytes)
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        if max(picture.size) > max_side:
            raise TradeoffError(
                f"{name} is {picture.width} x {picture.height}: choose one of at most {max_side} a side"
            )
        # phones write stills as MPO, several JPEGs in one file
        if getattr(picture, "is_animated", False) and picture.format != "MPO":
            raise TradeoffError(f"{name} is animated: choose a still picture")
        picture.load()
    except Image.DecompressionBombError:
        raise TradeoffError(f"{name} has too many pixels: choose one of at most {max_side} a side") from None
    except UNREADABLE_PICTURE:
        raise TradeoffError(f"{name} is not a picture that can be read: choose a PNG, JPEG or WebP") from None
    return _upright(picture)


def _upright(picture: Image.Image) -> Image.Image:
    """The picture turned as its EXIF orientation says; a damaged one is passed over.

    Pillow writes the other tags anew when it turns a picture, and fails on those of an unexpected type: they go first.
    """
    try:
        exif = picture.getexif()
        for tag in set(exif) - {ORIENTATION}:
            del exif[tag]
        ImageOps.exif_transpose(picture, in_place=True)
    except (*UNREADABLE_PICTURE, TypeError, AttributeError):
        pass
    return picture


def read_picture_file(path: Path | str, name: str) -> Image.Image:
    """`read_picture` of a file, which is measured before it is read. `name` is what errors call it."""
    try:
        with open(path, "rb") as file:
            _check_bytes(file.seek(0, io.SEEK_END), name, MAX_BYTES)
            file.seek(0)
            content = file.read()
    except OSError as error:
        raise TradeoffError(f"{name} cannot be read: {error.strerror}") from None
    return read_picture(content, name)


def _check_bytes(size: int, name: str, max_bytes: int) -> None:
    if not size:
        raise TradeoffError(f"{name} is empty: choose a PNG, JPEG or WebP picture")
    if size > max_bytes:
        raise TradeoffError(f"{name} has {size:,} bytes: choose a picture below {max_bytes:,}")


def picture_header(path: Path | str, name: str) -> tuple[tuple[int, int], bool]:
    """Width and height as stored, and whether the picture is grey; no pixel is decoded."""
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return picture.size, picture.mode in GREY_MODES
    except PermissionError as error:
        raise TradeoffError(f"{name} cannot be read: {error.strerror}") from None
    except (*UNREADABLE_PICTURE, Image.DecompressionBombError):
        raise TradeoffError(f"{name} is not a picture that can be read: choose a PNG, JPEG or WebP") from None


@dataclass(frozen=True, slots=True)
class Fit:
    """The one shape that pictures are brought to.

    A picture is scaled so that it just covers `height` x `width`, or so that its shorter side is `shorter`, and
    cut to its middle: bilinear with antialiasing, to the pixel as torchvision's Resize and CenterCrop do it.
    """

    height: int
    width: int
    channels: int
    shorter: int | None = None

    def pixels(self, picture: Image.Image) -> NDArray[np.uint8]:
        """uint8 (height, width, channels). Colour turns grey by luminance, grey repeats, alpha lies over white."""
        picture = in_channels(picture, self.channels)
        if self.shorter or picture.size != (self.width, self.height):
            picture = _middle(self._scaled(picture), self.height, self.width)
        return np.asarray(picture).reshape(self.height, self.width, self.channels)

    def _scaled(self, picture: Image.Image) -> Image.Image:
        height, width = (self.shorter, self.shorter) if self.shorter else (self.height, self.width)
        longest = int(MAX_ASPECT * min(picture.size) * max(height, width) / min(height, width))
        picture = _middle(picture, longest, longest)
        if picture.width * height <= picture.height * width:
            size = width, max(height, int(picture.height * width / picture.width))
        else:
            size = max(width, int(picture.width * height / picture.height)), height
        return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)


def _middle(picture: Image.Image, height: int, width: int) -> Image.Image:
    """The middle of a picture, at most `height` x `width`."""
    height, width = min(height, picture.height), min(width, picture.width)
    if picture.size == (width, height):
        return picture
    top, left = round((picture.height - height) / 2), round((picture.width - width) / 2)
    return picture.crop((left, top, left + width, top + height))


def in_channels(picture: Image.Image, channels: int) -> Image.Image:
    """The picture as 8-bit grey (one channel) or RGB, what is transparent over white."""
    if picture.mode.startswith("I"):  # 16 bits, which Pillow's own conversion would cut off at 255
        deep = np.asarray(picture).astype(np.int64).clip(0, 65535)
        picture = Image.fromarray((deep // 257).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("L" if channels == 1 else "RGB")
