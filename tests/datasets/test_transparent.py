"""A value that a PNG calls transparent lies over white, whatever the PNG's bits."""

import struct
import zlib

import numpy as np
import pytest

from tradeoff_core.datasets.reading import Fit, read_picture
from tradeoff_core.poisoning.triggers import draw, pattern_from_picture


def png(bits: int, colour: int, pixels: bytes, transparent: bytes) -> bytes:
    """A PNG of two pixels beside each other, the first of which is transparent (RFC 2083)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, bits, colour, 0, 0, 0)
    parts = [
        chunk(b"IHDR", header),
        chunk(b"tRNS", transparent),
        chunk(b"IDAT", zlib.compress(b"\0" + pixels)),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


GREY, COLOUR = 0, 2
PICTURES = {  # and the grey value of the second pixel
    "grey, 16 bits": (png(16, GREY, struct.pack(">2H", 30000, 60000), struct.pack(">H", 30000)), 233),
    "grey, 8 bits": (png(8, GREY, bytes([116, 200]), struct.pack(">H", 116)), 200),
    "grey, 4 bits": (png(4, GREY, bytes([0x7C]), struct.pack(">H", 7)), 204),
    "grey, 2 bits": (png(2, GREY, bytes([0b01100000]), struct.pack(">H", 1)), 170),
    "colour, 8 bits": (png(8, COLOUR, bytes([1, 2, 3, 90, 90, 90]), struct.pack(">3H", 1, 2, 3)), 90),
    "colour, 16 bits": (
        png(
            16,
            COLOUR,
            struct.pack(">6H", 300, 20000, 10000, *[90 * 257] * 3),
            struct.pack(">3H", 300, 20000, 10000),
        ),
        90,
    ),
}


@pytest.mark.parametrize(("content", "second"), PICTURES.values(), ids=PICTURES)
def test_a_transparent_value_lies_over_white(content, second):
    for channels in (1, 3):
        read = Fit(1, 2, channels).pixels(read_picture(content, "it"))
        assert read.tolist() == [[[255] * channels, [second] * channels]]


@pytest.mark.parametrize(("content", "second"), PICTURES.values(), ids=PICTURES)
def test_a_transparent_value_of_a_sticker_is_transparent(content, second):
    drawn = draw(pattern_from_picture(content), 2)
    assert drawn[0, :, 3].tolist() == [0, 255]
    assert np.array_equal(drawn[0, 1, :3], [second] * 3)
