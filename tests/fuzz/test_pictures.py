"""Mutated pictures: each is read as one of the shape that is asked for, or refused in one sentence, in little memory.

A hundred in the usual suite; `python -m pytest -m fuzz` tries 2,000.
"""

import io
import random
import subprocess
import sys
import time
import zlib
from functools import cache

import numpy as np
import pytest
from mutations import mutated_bytes
from PIL import Image

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import ROOT
from tradeoff_core.datasets import Split, load_dataset, load_images
from tradeoff_core.datasets.reading import Fit, picture_header, read_picture, read_picture_file
from tradeoff_core.poisoning.triggers import DATA_URI, draw, pattern_from_picture

# pytest shows what reading.py silences
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{said}")
    for said in ("Corrupt EXIF", "Truncated File", "Tag data", ".*bomb")
]
MODES = {  # of Pillow, and the formats that hold them
    "RGB": ("PNG", "JPEG", "BMP", "WEBP", "GIF"),
    "L": ("PNG", "JPEG", "BMP", "GIF", "WEBP"),
    "RGBA": ("PNG", "WEBP", "BMP"),
    "LA": ("PNG",),
    "1": ("PNG", "BMP"),
    "P": ("PNG", "GIF", "BMP"),
    "CMYK": ("JPEG",),
    "YCbCr": ("JPEG",),
    "I;16": ("PNG",),
}
FITS = Fit(28, 28, 1), Fit(224, 224, 3, shorter=256), Fit(5, 9, 3)
SECONDS = 5  # that a picture may take, on a machine that does other things too
MEGABYTES = 700  # that the largest picture of fewest bytes may take beyond what the process has
SIZES = ((1, 1), (31, 23), (3, 200), (120, 90))


def refusal(act):
    """The sentence with which it refuses, None if it does not."""
    try:
        act()
    except TradeoffError as error:
        return str(error)
    return None


def stored(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def whole_pictures():
    """One of every mode, format and size, some with tags, transparency, interlacing or in steps."""
    noise = np.random.default_rng(0)
    found = []
    for mode, kinds in MODES.items():
        for width, height in SIZES:
            if mode == "I;16":
                picture = Image.fromarray(noise.integers(0, 65536, (height, width), dtype=np.uint16))
            else:
                rgba = noise.integers(0, 256, (height, width, 4), dtype=np.uint8)
                picture = Image.fromarray(rgba).convert(mode)
            found += [stored(picture, kind) for kind in kinds]
    small = Image.fromarray(noise.integers(0, 256, (23, 31, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8825] = 6, "a" * 300, {1: "N", 2: (1.0, 2.0, 3.0)}
    for kind in ("JPEG", "PNG", "WEBP"):
        found += [stored(small, kind, exif=exif)] * 3
    found += [stored(small, "JPEG", progressive=True), stored(small, "JPEG", comment=b"x" * 900)]
    found += [
        stored(small.convert("P"), "PNG", transparency=3),
        stored(small.convert("L"), "PNG", transparency=7),
    ]
    found += [stored(small, "GIF", save_all=True, append_images=[small.rotate(90, expand=False)])]
    found += [stored(small, kind) for kind in ("TIFF", "PPM", "ICO", "PCX", "TGA", "SGI", "JPEG2000", "EPS")]
    return found


def mutated_picture(number):
    """The bytes of a picture that was damaged once to three times, or that claims another size or kind."""
    draw_ = random.Random(f"picture-{number}")
    content = draw_.choice(whole_pictures())
    if content.startswith(b"\x89PNG") and draw_.randrange(4) == 0:
        return with_header(content, draw_)
    for _ in range(draw_.choice((1, 1, 2, 3))):
        content = mutated_bytes(content, draw_)
    return content


def with_header(png, draw_):
    """A PNG whose first chunk, checksum and all, claims another size, depth, colour or way of storing."""
    header = bytearray(png[16:29])
    for _ in range(draw_.choice((1, 1, 2))):
        if draw_.randrange(2):
            at = draw_.choice((0, 4))
            header[at : at + 4] = draw_.choice(
                (0, 1, 8000, 8192, 8193, 60_000, 2**31 - 1, 2**32 - 1)
            ).to_bytes(4)
        else:
            header[draw_.randrange(8, 13)] = draw_.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return png[:16] + header + zlib.crc32(b"IHDR" + header).to_bytes(4) + png[29:]


def read_everywhere(content, place):
    """What each door of the program makes of the bytes; the sentences of those that refuse them."""
    place.write_bytes(content)
    said = []
    for read in (
        lambda: [fit.pixels(read_picture(content, "a.png")) for fit in FITS],
        lambda: [fit.pixels(read_picture_file(place, "a.png")) for fit in FITS],
        lambda: picture_header(place, "a.png"),
        lambda: draw(pattern_from_picture(content, "a.png"), 7),
        lambda: draw(str(place), 5),
    ):
        began = time.monotonic()
        try:
            found = read()
            if isinstance(found, list):
                for pixels, fit in zip(found, FITS, strict=True):
                    assert pixels.shape == (fit.height, fit.width, fit.channels)
                    assert pixels.dtype == np.uint8
        except TradeoffError as error:
            said.append(str(error))
            assert "a.png" in said[-1] or "sticker" in said[-1]
            assert "\n" not in said[-1]
            assert len(said[-1]) < 300
        assert time.monotonic() - began < SECONDS
    assert place.read_bytes() == content
    return said


def tried(numbers, folder):
    """How many of the mutated pictures every door reads, how many each refuses, how many some do."""
    counts = {"read": 0, "refused": 0, "by some": 0}
    for number in numbers:
        said = read_everywhere(mutated_picture(number), folder / f"{number}.a.png")
        counts["read" if not said else "refused" if len(said) == 5 else "by some"] += 1
    return counts


def test_a_hundred_mutated_pictures_are_read_or_refused_in_one_sentence(tmp_path):
    counts = tried(range(100), tmp_path)
    assert counts["read"] >= 10
    assert counts["refused"] >= 30


@pytest.mark.fuzz
@pytest.mark.parametrize("part", range(4))
def test_five_hundred_mutated_pictures_are_read_or_refused_in_one_sentence(part, tmp_path):
    counts = tried(range(500 * part, 500 * (part + 1)), tmp_path)
    assert counts["read"] >= 50
    assert counts["refused"] >= 150


def test_whole_pictures_of_every_kind_are_read(tmp_path):
    every = enumerate(whole_pictures())
    refused = [said for at, content in every if (said := read_everywhere(content, tmp_path / f"{at}.a.png"))]
    # of kinds that are not read, and one that moves: eight and one, by every door but what only reads the header
    assert [len(said) for said in refused] == [4, *[5] * 8]


def test_a_folder_with_a_mutated_picture_names_it_and_loses_nothing(tmp_path):
    """As the data set of a user, and as labelled images to measure on."""
    draw_ = random.Random("folder")
    content = stored(Image.effect_noise((28, 28), 90), "PNG")
    for part in ("train", "test"):
        for name in ("0", "1"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(4):
                (tmp_path / part / name / f"{number}.png").write_bytes(content)
    place = tmp_path / "test" / "1" / "2.png"
    for _ in range(15):
        place.write_bytes(mutated_bytes(content, draw_))
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
        for load in (
            lambda: load_dataset.__wrapped__(str(tmp_path), Split.TEST).images,
            lambda: load_images(tmp_path / "test", ("0", "1"), (1, 28, 28)).images,
        ):
            said = refusal(load)
            assert said is None or "1/2.png" in said
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before


LARGEST = {"16 bits": (16, 0), "colour": (8, 2), "transparent": (8, 6)}
PEAK = """
import resource, sys
from tradeoff_core.datasets.reading import Fit, read_picture
content = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Fit(224, 224, 3).pixels(read_picture(content, "a.png"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def black_png(side, bits, colour):
    """A PNG without a content, of few bytes; `colour` is the kind of its pixels, as the format numbers them."""
    row = bytes(1 + side * bits * {0: 1, 2: 3, 6: 4}[colour] // 8)
    packer = zlib.compressobj(9)
    content = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = side.to_bytes(4) * 2 + bytes([bits, colour, 0, 0, 0])
    chunks = ((b"IHDR", header), (b"IDAT", content), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4) for kind, body in chunks
    )


@pytest.mark.server
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise elsewhere")
@pytest.mark.parametrize(("bits", "colour"), LARGEST.values(), ids=LARGEST)
def test_the_largest_picture_of_few_bytes_takes_bounded_memory(bits, colour):
    content = black_png(8192, bits, colour)
    assert len(content) < 300_000
    done = subprocess.run(
        [sys.executable, "-c", PEAK], cwd=ROOT, input=content, capture_output=True, check=True
    )
    assert int(done.stdout) / 1024 < MEGABYTES


def test_the_data_uri_of_a_sticker_that_was_damaged_is_one_sentence():
    draw_ = random.Random("sticker")
    uri = pattern_from_picture(stored(Image.effect_noise((20, 20), 90), "PNG"))
    for _ in range(60):
        changed = mutated_bytes(uri.encode(), draw_).decode("latin-1")
        said = refusal(lambda changed=changed: draw(changed, 9))
        assert said is None or ("sticker" in said and len(said) < 600)
    assert uri.startswith(DATA_URI)
