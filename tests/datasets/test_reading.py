import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tradeoff_core.datasets.reading import Fit, in_channels, picture_header, read_picture, read_picture_file

# red, green, blue, white; seen upright
CORNERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], dtype=np.uint8)
ORIENTATION = 0x0112


def stored(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is vast."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", b""),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


@pytest.mark.parametrize(
    ("orientation", "turned_back"),  # how the stored pixels must lie so that EXIF says "turn me upright"
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: np.rot90(np.fliplr(a), 1)),
        (6, lambda a: np.rot90(a, 1)),
        (7, lambda a: np.rot90(np.fliplr(a), -1)),
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_pictures_are_turned_upright(orientation, turned_back):
    large = np.kron(turned_back(CORNERS), np.ones((16, 16, 1), dtype=np.uint8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = read_picture(stored(Image.fromarray(large), "JPEG", exif=exif, quality=95), "phone.jpg")
    seen = np.asarray(picture)[8::16, 8::16]  # the middle of each corner, away from JPEG's edges
    assert np.abs(seen.astype(int) - CORNERS).max() < 16


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif",
    [b"", b"Exif\x00\x00", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff", b"Exif\x00\x00" + bytes(range(256))],
)
def test_a_damaged_orientation_is_passed_over(exif):
    assert read_picture(stored(Image.fromarray(CORNERS), "JPEG", exif=exif), "odd.jpg").size == (2, 2)


def test_an_odd_tag_beside_the_orientation_does_no_harm():
    """A position in GPS tag 19 as three ratios where one word should be, as some telephones write it."""
    exif = struct.pack("<2sHIHHHIIHHIII", b"II", 42, 8, 2, ORIENTATION, 3, 1, 6, 0x8825, 4, 1, 38, 0)
    exif += struct.pack("<HHHIII6I", 1, 19, 5, 3, 56, 0, 1, 1, 2, 1, 3, 1)
    content = stored(Image.new("L", (5, 4)), "JPEG", exif=b"Exif\x00\x00" + exif)
    assert read_picture(content, "phone.jpg").size == (4, 5)


BAD = {
    "empty": (b"", "is empty"),
    "text": (b"this is no picture", "not a picture that can be read"),
    "page": (b"<!DOCTYPE html><html>404</html>", "not a picture that can be read"),
    "truncated jpeg": (
        stored(Image.effect_noise((64, 64), 90), "JPEG")[:900],
        "not a picture that can be read",
    ),
    "truncated png": (stored(Image.effect_noise((64, 64), 90))[:900], "not a picture that can be read"),
    "header alone": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "not a picture that can be read"),
    "vast": (bomb(60_000, 60_000), "too many pixels: choose one of at most 8192 a side"),
    "large": (bomb(12_000, 9_000), "12000 x 9000: choose one of at most 8192"),
    "long": (bomb(100_000, 1), "100000 x 1: choose one of at most 8192"),
    "postscript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "not a picture that can be read",
    ),
    "animated": (
        stored(Image.new("L", (2, 2)), "GIF", save_all=True, append_images=[Image.new("L", (2, 2), 255)]),
        "is animated",
    ),
}


@pytest.mark.filterwarnings(
    "ignore::PIL.Image.DecompressionBombWarning"
)  # pytest shows what reading.py silences
@pytest.mark.parametrize(("content", "named"), BAD.values(), ids=BAD)
def test_a_bad_picture_gets_one_sentence(content, named, tmp_path, refused):
    with refused(f"^odd.jpg.* {named}"):
        read_picture(content, "odd.jpg")
    (tmp_path / "odd.jpg").write_bytes(content)
    with refused(f"^train/cat/odd.jpg.* {named}"):
        read_picture_file(tmp_path / "odd.jpg", "train/cat/odd.jpg")


def test_a_file_is_measured_before_it_is_read(tmp_path, refused):
    with (tmp_path / "vast.jpg").open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no room, but would fill the memory
    with refused("vast.jpg has 1,099,511,627,776 bytes"):
        read_picture_file(tmp_path / "vast.jpg", "vast.jpg")
    with refused("gone.jpg cannot be read: No such file"):
        read_picture_file(tmp_path / "gone.jpg", "gone.jpg")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_usual_formats_are_read(kind):
    picture = read_picture(stored(Image.new("L", (5, 4), 77), kind), "odd.jpg")
    assert picture.size == (5, 4)
    assert np.abs(np.asarray(picture.convert("L")).astype(int) - 77).max() <= 1


def test_a_phones_still_of_several_pictures_is_read():
    content = stored(
        Image.new("L", (16, 16), 50), "MPO", save_all=True, append_images=[Image.new("L", (16, 16))]
    )
    assert np.abs(np.asarray(read_picture(content, "phone.jpg")).astype(int) - 50).max() <= 1


def test_a_header_tells_size_and_colour(tmp_path, refused):
    for mode, grey in (
        ("L", True),
        ("1", True),
        ("LA", True),
        ("I;16", True),
        ("RGB", False),
        ("P", False),
        ("RGBA", False),
    ):
        Image.new(mode, (3, 5)).save(tmp_path / "a.png")
        assert picture_header(tmp_path / "a.png", "a.png") == ((3, 5), grey)
    (tmp_path / "a.png").write_bytes(b"text")
    with refused("a.png is not a picture"):
        picture_header(tmp_path / "a.png", "a.png")


def test_a_picture_that_must_not_be_read_is_named(tmp_path, monkeypatch, refused):
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    for read in (picture_header, read_picture_file):
        with refused("^cat/a.png cannot be read: Permission denied"):
            read(tmp_path / "a.png", "cat/a.png")


def test_grey_repeats_colour_fades_and_alpha_lies_over_white():
    grey = Image.new("L", (1, 1), 77)
    assert np.asarray(in_channels(grey, 3)).tolist() == [[[77, 77, 77]]]
    # luminance 0.299 r + 0.587 g + 0.114 b of (200, 100, 50): 59.8 + 58.7 + 5.7 = 124.2
    assert np.asarray(in_channels(Image.new("RGB", (1, 1), (200, 100, 50)), 1)).tolist() == [[124]]
    clear = Image.new("RGBA", (1, 1), (10, 20, 30, 0))
    assert np.asarray(in_channels(clear, 3)).tolist() == [[[255, 255, 255]]]
    # opacity 51 / 255 = 0.2 of (0, 100, 255) over white: 204, 224, 255
    assert np.asarray(in_channels(Image.new("RGBA", (1, 1), (0, 100, 255, 51)), 3)).tolist() == [
        [[204, 224, 255]]
    ]
    assert np.asarray(in_channels(Image.new("LA", (1, 1), (0, 51)), 1)).tolist() == [[204]]


def test_palettes_and_16_bits_keep_their_shades():
    palette = Image.fromarray(CORNERS).convert("P", palette=Image.Palette.ADAPTIVE)
    assert np.array_equal(np.asarray(in_channels(read_picture(stored(palette), "p.png"), 3)), CORNERS)
    palette.putpixel((0, 0), 0)
    see_through = read_picture(stored(palette, transparency=0), "p.png")
    assert np.asarray(in_channels(see_through, 3))[0, 0].tolist() == [255, 255, 255]
    deep = Image.fromarray(np.array([[0, 257, 128 * 257, 65535]], dtype=np.uint16))
    assert np.asarray(in_channels(read_picture(stored(deep), "deep.png"), 1)).tolist() == [[0, 1, 128, 255]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "CMYK", "1", "L"])
def test_a_tall_picture_is_converted_in_bands_as_a_low_one_is(mode):
    noise = np.random.default_rng(0).integers(0, 256, (600, 9, 4), dtype=np.uint8)
    tall = Image.fromarray(noise).convert("RGBA" if mode == "I;16" else mode)
    if mode == "I;16":
        tall = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    for channels in (1, 3):
        rows = [in_channels(tall.crop((0, at, 9, at + 1)), channels) for at in range(600)]
        each = np.concatenate([np.asarray(row) for row in rows])
        assert np.array_equal(np.asarray(in_channels(tall, channels)), each)


@pytest.mark.parametrize(
    "size", [(512, 512), (640, 480), (333, 500), (256, 300), (224, 224), (100, 71), (1024, 683)]
)
def test_imagenet_pictures_are_scaled_and_cut_to_the_pixel_as_torchvision_does(size):
    from torchvision.transforms import v2

    picture = Image.effect_noise(size, 80).convert("RGB")
    usual = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])(picture)
    assert np.array_equal(Fit(224, 224, 3, shorter=256).pixels(picture), np.asarray(usual))


@pytest.mark.parametrize("size", [(32, 32), (60, 40), (41, 60), (20, 90), (7, 8)])
def test_others_are_scaled_to_their_shorter_side_and_cut(size):
    from torchvision.transforms import v2

    picture = Image.effect_noise(size, 80)
    usual = v2.Compose([v2.Resize(32), v2.CenterCrop(32)])(picture)
    assert np.array_equal(Fit(32, 32, 1).pixels(picture)[..., 0], np.asarray(usual))


def test_the_middle_is_kept():
    # left third black, middle grey, right white; the middle 4 x 4 of 4 x 12 is grey
    picture = Image.fromarray(np.repeat(np.array([0, 100, 255], dtype=np.uint8), 4)[None].repeat(4, 0))
    assert (Fit(4, 4, 1).pixels(picture) == 100).all()
    assert (Fit(2, 4, 3).pixels(Image.new("L", (4, 2), 9)) == 9).all()
    assert Fit(2, 4, 3).pixels(Image.new("L", (100, 3), 9)).shape == (2, 4, 3)


def test_a_strip_does_not_fill_the_memory():
    strip = Image.new("RGB", (8000, 1), (1, 2, 3))  # scaled whole, it would be 224 x 1,792,000
    assert (Fit(224, 224, 3).pixels(strip) == (1, 2, 3)).all()
