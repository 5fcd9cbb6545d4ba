"""Pictures from files: decoded with care, brought to one shape, and never trusted."""

import io
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tradeoff_core.common.errors import TradeoffError

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
BAND = 256  # rows that are converted at a time
SPARE = 3  # times as many pixels a side as are needed, left by what shrinks a picture while it is decoded
MAX_ASPECT = 8  # a longer strip is cut before it is scaled, which might fill the memory
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B"}
BITS, PNG_BITS = "bits of a channel", 24  # what they are noted as, and the byte of a PNG that holds them
ORIENTATION = 0x0112  # the EXIF tag
# what Pillow raises for what it cannot read
UNREADABLE_PICTURE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, LookupError, struct.error)

# what is large is refused below; Pillow warns of that, and of damaged orientations, with a line of code
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data")
warnings.filterwarnings("ignore", message="Tag data larger than file|Truncated File Read")


def read_picture(
    content: bytes,
    name: str,
    max_side: int = MAX_SIDE,
    *,
    max_pixels: int | None = None,
    needed: int | None = None,
) -> Image.Image:
    """A decoded still picture, upright: turned as its EXIF orientation says.

    Where a side of `needed` pixels is enough, a much larger picture is shrunk while it is decoded, to spare memory.
    Raises TradeoffError for what is empty, huge, animated or no picture.
    """
    _check_bytes(len(content), name)
    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        if max(picture.size) > max_side:
            raise TradeoffError(
                f"{name} is {picture.width} x {picture.height}: choose one of at most {max_side} a side"
            )
        # phones write stills as MPO, several JPEGs in one file
        if getattr(picture, "is_animated", False) and picture.format != "MPO":
            raise TradeoffError(f"{name} is animated: choose a still picture")
        if max_pixels and picture.width * picture.height > max_pixels:
            raise TradeoffError(
                f"{name} is {picture.width} x {picture.height}: choose one of at most {max_pixels / 1e6:g} megapixels"
            )
        if needed:  # a JPEG can be decoded at a half, a quarter or an eighth of its size
            picture.draft(
                None, (picture.width // _times(picture, needed), picture.height // _times(picture, needed))
            )
        picture.load()
    except Image.DecompressionBombError:
        raise TradeoffError(f"{name} has too many pixels: choose one of at most {max_side} a side") from None
    except UNREADABLE_PICTURE:
        raise TradeoffError(f"{name} is not a picture that can be read: choose a PNG, JPEG or WebP") from None
    if picture.format == "PNG":
        picture.info[BITS] = content[PNG_BITS]
    return _upright(_shrunk(picture, _times(picture, needed)) if needed else picture)


def _times(picture: Image.Image, needed: int) -> int:
    """How many times smaller the picture may become, so that what scales it to `needed` pixels gives the same to the eye."""
    return max(1, min(picture.size) // (SPARE * needed))


def _shrunk(picture: Image.Image, times: int) -> Image.Image:
    """The means of `times` x `times` pixels, RGB or RGBA, a band at a time; with what is told of the picture."""
    if times == 1:
        return picture
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    whole = Image.new(mode, (-(-picture.width // times), -(-picture.height // times)))
    rows = times * max(1, BAND // times)
    for top in range(0, picture.height, rows):
        band = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        band = in_eight_bits(band).convert(mode)
        if mode == "RGBA":  # what is transparent has no colour to mix in
            whole.paste(band.convert("RGBa").reduce(times).convert("RGBA"), (0, top // times))
        else:
            whole.paste(band.reduce(times), (0, top // times))
    whole.info = {key: value for key, value in picture.info.items() if key != "transparency"}
    return whole


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
            _check_bytes(file.seek(0, io.SEEK_END), name)
            file.seek(0)
            content = file.read()
    except OSError as error:
        raise TradeoffError(f"{name} cannot be read: {error.strerror}") from None
    return read_picture(content, name)


def _check_bytes(size: int, name: str) -> None:
    if not size:
        raise TradeoffError(f"{name} is empty: choose a PNG, JPEG or WebP picture")
    if size > MAX_BYTES:
        raise TradeoffError(f"{name} has {size:,} bytes: choose a picture below {MAX_BYTES:,}")


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


def in_eight_bits(picture: Image.Image) -> Image.Image:
    """The picture with 8 bits a channel, and what is transparent by its value still so.

    A PNG names that value in the bits of its own, and Pillow passes it on as it is while it scales the pixels.
    """
    named = picture.info.get("transparency")
    if picture.mode.startswith("I"):  # 16 bits, which Pillow's own conversion would cut off at 255
        deep = np.asarray(picture).astype(np.int64).clip(0, 65535)
        grey = (deep // 257).astype(np.uint8)
        if not isinstance(named, int):
            return Image.fromarray(grey)
        return Image.fromarray(np.stack([grey, np.where(deep == named, 0, 255).astype(np.uint8)], -1))
    if picture.mode == "RGB" and isinstance(named, tuple) and _bits(picture) == 16:
        picture.info |= {"transparency": tuple(value >> 8 for value in named), BITS: 8}
    elif picture.mode == "L" and isinstance(named, int) and _bits(picture) in (2, 4):
        picture.info |= {"transparency": named * 255 // (2 ** _bits(picture) - 1), BITS: 8}
    return picture


def _bits(picture: Image.Image) -> int:
    """The bits of a channel in a PNG, as `read_picture` has noted them; 8 of any other picture."""
    bits: int = picture.info.get(BITS, 8)
    return bits


def in_channels(picture: Image.Image, channels: int) -> Image.Image:
    """The picture as 8-bit grey (one channel) or RGB, what is transparent over white; a band at a time to spare memory."""
    mode = "L" if channels == 1 else "RGB"
    if picture.mode == mode and not picture.has_transparency_data:
        return picture
    if picture.height <= BAND:
        return _converted(picture, mode)
    whole = Image.new(mode, picture.size)
    for top in range(0, picture.height, BAND):
        band = picture.crop((0, top, picture.width, min(top + BAND, picture.height)))
        whole.paste(_converted(band, mode), (0, top))
    return whole


def _converted(picture: Image.Image, mode: str) -> Image.Image:
    picture = in_eight_bits(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert(mode)
