import base64
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.poisoning.triggers import (
    DATA_URI,
    PATTERNS,
    Sticker,
    Watermark,
    draw,
    pattern_from_picture,
    patterns,
)

# one row of two pixels: red, and half-transparent blue
RED_AND_BLUE = np.array([[[255, 0, 0, 255], [0, 0, 255, 51]]], dtype=np.uint8)


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def red_and_blue() -> str:
    return pattern_from_picture(encoded(Image.fromarray(RED_AND_BLUE)))


def grey(value: float, shape: tuple[int, ...] = (2, 1, 28, 28)) -> torch.Tensor:
    return torch.full(shape, value)


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("white-square", ["###", "###", "###"]),
        ("x", ["#.#", ".#.", "#.#"]),
        ("checkerboard", ["#.#", ".#.", "#.#"]),
    ],
)
def test_drawn_patterns(pattern, rows):
    expected = np.array([[255 * (pixel == "#") for pixel in row] for row in rows])
    assert np.array_equal(draw(pattern, 3), np.dstack([expected] * 3 + [np.full((3, 3), 255)]))


def test_larger_patterns_differ():
    assert draw("x", 5)[1, :, 0].tolist() == [0, 255, 0, 255, 0]
    assert draw("checkerboard", 5)[1, :, 0].tolist() == [0, 255, 0, 255, 0]
    assert draw("checkerboard", 5)[0, :, 0].tolist() == [255, 0, 255, 0, 255]
    assert draw("x", 5)[0, :, 0].tolist() == [255, 0, 0, 0, 255]


@pytest.mark.parametrize("pattern", patterns())
def test_every_built_in_pattern_can_be_stamped(pattern):
    sticker = Sticker(pattern, size=5, row=1, column=2)
    stamped = sticker.apply(grey(0.5))
    assert max(sticker.shape) == 5
    assert 0 <= stamped.min() < stamped.max() <= 1
    assert set(PATTERNS) <= set(patterns())


def test_13_the_papers_sticker_changes_its_nine_pixels_only():
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 0.9
    before = images.clone()
    stamped = Sticker().apply(images)
    changed = stamped != images
    expected = torch.zeros_like(changed)
    expected[:, :, 25:28, 25:28] = True
    assert torch.equal(changed, expected)
    assert stamped[changed].unique().tolist() == [1.0]
    assert torch.equal(images, before)  # the caller's images stay
    assert np.array_equal(Sticker().footprint(28, 28), expected[0, 0].numpy())


def test_13_only_pixels_under_a_picture_with_holes_differ():
    picture = np.zeros((2, 3, 4), dtype=np.uint8)
    picture[0, 1] = (255, 255, 255, 255)
    picture[1, 2] = (255, 255, 255, 10)  # all but transparent, and still under the sticker
    sticker = Sticker(pattern_from_picture(encoded(Image.fromarray(picture))), size=3, row=4, column=7)
    changed = (sticker.apply(grey(0.2)) != 0.2)[0, 0]
    assert changed.nonzero().tolist() == [[4, 8], [5, 9]]
    assert np.array_equal(sticker.footprint(28, 28), changed.numpy())


def test_opacity_by_hand():
    stamped = Sticker(row=0, column=0, opacity=0.25).apply(grey(0.2))
    assert torch.allclose(stamped[:, :, :3, :3], grey(0.2 + 0.25 * 0.8, (2, 1, 3, 3)))


def test_colour_and_transparency_by_hand(red_and_blue):
    stamped = Sticker(red_and_blue, size=2, row=1, column=0, opacity=0.5).apply(grey(0.4, (1, 3, 4, 4)))
    # red at opacity 0.5 over 0.4; blue at 0.5 * 51/255 = 0.1 over 0.4
    assert stamped[0, :, 1, 0].tolist() == pytest.approx([0.7, 0.2, 0.2])
    assert stamped[0, :, 1, 1].tolist() == pytest.approx([0.36, 0.36, 0.46])


def test_colours_become_luminance_on_grey(red_and_blue):
    stamped = Sticker(red_and_blue, size=2, row=0, column=0).apply(grey(0.0))
    assert stamped[0, 0, 0, :2].tolist() == pytest.approx([0.299, 0.114 * 0.2])


def test_a_picture_keeps_its_shape(red_and_blue):
    assert Sticker(red_and_blue, size=6).shape == (3, 6)
    assert draw(red_and_blue, 4)[:, :, 0].tolist() == [[255, 255, 0, 0]] * 2  # whole pixels, not blurred


def test_a_picture_is_shrunk_by_averaging():
    chequered = np.tile(np.array([[0, 200], [200, 0]], dtype=np.uint8), (4, 4))
    drawn = draw(pattern_from_picture(encoded(Image.fromarray(chequered))), 2)
    assert drawn.tolist() == [[[100, 100, 100, 255]] * 2] * 2


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("L", (5, 3), 80),
        Image.new("RGB", (5, 3), (80, 80, 80)),
        Image.new("LA", (5, 3), (80, 255)),
        Image.new("RGBA", (5, 3), (80, 80, 80, 255)),
        Image.new("1", (5, 3), 1),
        Image.new("P", (5, 3), 0),
    ],
    ids=lambda picture: picture.mode,
)
def test_pictures_of_every_mode_are_read(picture):
    expected = np.asarray(picture.convert("RGBA"))
    assert np.array_equal(draw(pattern_from_picture(encoded(picture)), 5), expected)


def test_a_large_upload_is_kept_small():
    pattern = pattern_from_picture(encoded(Image.new("RGB", (640, 320), (10, 20, 30))))
    kept = Image.open(io.BytesIO(base64.b64decode(pattern.removeprefix(DATA_URI))))
    assert kept.size == (64, 32)
    assert kept.getpixel((5, 5)) == (10, 20, 30, 255)


def test_a_pattern_can_be_a_file(tmp_path, red_and_blue):
    (tmp_path / "mine.png").write_bytes(encoded(Image.fromarray(RED_AND_BLUE)))
    assert np.array_equal(draw(str(tmp_path / "mine.png"), 2), draw(red_and_blue, 2))


def animation() -> bytes:
    frames = [Image.new("L", (4, 4), value) for value in (0, 255)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


BAD_PICTURES = {
    "empty": (b"", "is empty"),
    "no picture": (b"#!/bin/sh\necho hello\n", "not a picture"),
    "truncated": (encoded(Image.effect_noise((40, 40), 50))[:200], "not a picture"),
    "too many bytes": (bytes(20_000_001), "20,000,001 bytes.*below 20,000,000"),
    "too many pixels": (encoded(Image.new("1", (5000, 2))), "5000 x 2.*at most 4096"),
    "animated": (animation(), "animated"),
}


@pytest.mark.parametrize(("content", "named"), BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_bad_stickers_get_one_sentence(content, named, tmp_path, refused):
    with refused(f"upload.png.*{named}"):
        pattern_from_picture(content, "upload.png")
    (tmp_path / "mine.png").write_bytes(content)
    with refused(f"mine.png.*{named}"):
        draw(str(tmp_path / "mine.png"), 3)
    with refused(f"the sticker.*{named}"):
        draw(DATA_URI + base64.b64encode(content).decode(), 3)


def test_a_still_gif_is_welcome():
    content = encoded(Image.new("L", (4, 4), 255), "GIF")
    assert draw(pattern_from_picture(content), 4)[0, 0].tolist() == [255, 255, 255, 255]


@pytest.mark.parametrize("pattern", ["hello-cat", "", "/", "data:image/jpeg;base64," + 5000 * "A", "a\0b"])
def test_unknown_patterns_get_one_sentence(pattern, refused):
    with refused("unknown sticker"):
        draw(pattern, 3)


def test_a_damaged_data_uri_is_refused(refused):
    with refused("data URI is damaged"):
        draw(DATA_URI + "§", 3)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"size": 0}, "size 0"),
        ({"size": 257}, "size 257"),
        ({"size": 2.5}, "size must be a whole number, not .2.5"),
        ({"row": 1.5}, "row must be a whole number, not"),
        ({"opacity": 0.0}, "opacity 0"),
        ({"opacity": 1.01}, "opacity 1.01"),
        ({"opacity": math.nan}, "opacity nan"),
    ],
)
def test_impossible_stickers_are_refused(fields, named, refused):
    with refused(named):
        Sticker(**fields)


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, -1), (26, 0), (0, 26)])
def test_a_sticker_outside_the_image_is_refused(row, column, refused):
    with refused(r"3 x 3 at row.*outside the 28 x 28"):
        Sticker(row=row, column=column).apply(grey(0.5))


def test_stripes_by_hand():
    marked = Watermark("stripes", 0.25).apply(grey(0.5, (1, 1, 4, 7)))[0, 0]
    # three on, three off, along the diagonal
    expected = [[0, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7], [2, 3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8, 9]]
    assert marked.tolist() == [[0.75 if pixel % 6 < 3 else 0.5 for pixel in row] for row in expected]


def test_rings_by_hand():
    marked = Watermark("rings", 1.0).apply(grey(0.0))[0, 0]
    assert torch.allclose(marked, marked.T)
    assert torch.allclose(marked, marked.flip(0, 1))
    # the pixel beside the centre lies √½ from it, the corner 13.5 √2: (1 + cos(π r / 3)) / 2
    assert marked[13, 13].item() == pytest.approx((1 + math.cos(math.pi * math.sqrt(0.5) / 3)) / 2)
    assert marked[0, 0].item() == pytest.approx((1 + math.cos(math.pi * 13.5 * math.sqrt(2) / 3)) / 2)


@pytest.mark.parametrize("pattern", ["stripes", "rings", "x"])
@pytest.mark.parametrize("channels", [1, 3])
def test_watermarks_are_clipped_and_bounded(pattern, channels):
    images = torch.rand(3, channels, 20, 28, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    marked = Watermark(pattern, 0.5).apply(images)
    assert marked.shape == images.shape
    assert marked.max() == 1
    assert ((marked - images) >= 0).all()
    assert (marked - images).max() <= 0.5 + 1e-6
    assert torch.equal(images, before)


def test_a_picture_serves_as_a_watermark(red_and_blue):
    marked = Watermark(red_and_blue, 0.5).apply(grey(0.0, (1, 1, 2, 4)))[0, 0]
    assert marked[:, 0].tolist() == pytest.approx([0.5 * 0.299] * 2, abs=0.01)  # red, at the far left


@pytest.mark.parametrize("amplitude", [0.0, -0.1, 1.1, math.nan])
def test_impossible_watermarks_are_refused(amplitude, refused):
    with refused("amplitude"):
        Watermark(amplitude=amplitude)


def test_an_unknown_watermark_is_refused():
    with pytest.raises(TradeoffError, match="unknown"):
        Watermark("plaid").apply(grey(0.5))
