"""Small images: what is drawn is what was computed, pixel for pixel."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from tradeoff_core import pictures
from tradeoff_core.attacks import Norm


def test_perturbations_are_drawn_on_a_fixed_scale():
    image = torch.full((1, 1, 2, 2), 0.5)
    change = torch.tensor([[[[0.1, -0.1], [0.05, 0.0]]]])
    drawn = pictures.drawn_perturbation(image, image + change, 0.1, Norm.LINF)
    torch.testing.assert_close(drawn, torch.tensor([[[[1.0, 0.0], [0.75, 0.5]]]]))
    assert (pictures.drawn_perturbation(image, image, 0, Norm.LINF) == 0.5).all()


def test_framed_pictures_keep_every_pixel():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 1), dtype=np.uint8)
    shown = pictures.framed(images, factor=3)
    assert shown.shape == (2, 27, 24, 4)
    np.testing.assert_array_equal(shown[:, 7:-6:3, 7:-6:3, 0], images[..., 0])
    assert (shown[:, :3, :, 3] == 0).all()  # the transparent gap


def test_png_uri_is_lossless():
    pixels = pictures.framed(np.random.default_rng(0).integers(0, 256, (1, 5, 4, 3), dtype=np.uint8))[0]
    content = base64.b64decode(pictures.png_uri(pixels).removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)


def test_every_frame_of_the_slider_moves_pictures_predictions_and_sentence():
    shades = [np.full((2, 4, 4, 1), 10 * number, dtype=np.uint8) for number in range(3)]
    rows = [
        pictures.PictureRow("Original", [shades[0]] * 3, [["a", "b"]] * 3),
        pictures.PictureRow("Moved", shades, [[f"{n} a", f"{n} b"] for n in range(3)]),
    ]
    figure = pictures.perturbation_slider(rows, ["none", "some", "all"], [0, 0.1, 0.2], 1)
    assert [frame.name for frame in figure.frames] == ["0", "0.1", "0.2"]
    assert [frame.layout.title.text for frame in figure.frames] == ["none", "some", "all"]
    assert [list(frame.data[-1].text) for frame in figure.frames][2] == ["a", "b", "2 a", "2 b"]
    assert len({frame.data[1].source for frame in figure.frames}) == 3
    assert figure.layout.title.text == "some"
    assert figure.layout.sliders[0].active == 1


def test_the_trigger_slider_ends_with_the_last_round_and_names_the_flagged():
    frames = np.zeros((10, 3, 1, 6, 6), dtype=np.uint8)
    frames[-1, 1, 0, 2, 3] = 255
    figure = pictures.trigger_slider(frames, "abc", [1], every=4)
    assert [frame.name for frame in figure.frames] == ["1", "5", "9", "10"]
    assert figure.data[0].source == figure.frames[-1].data[0].source != figure.frames[0].data[0].source
    assert [note.text for note in figure.layout.annotations] == [
        "class a",
        "<b>class b: flagged</b>",
        "class c",
    ]
    steps = figure.layout.sliders[0].steps
    assert [step.args[0][0] for step in steps] == ["1", "5", "9", "10"]
