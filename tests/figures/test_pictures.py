"""Small images: what is drawn is what was computed, pixel for pixel."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from tradeoff_core.attacks.attack import Norm
from tradeoff_core.figures import pictures


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


def test_the_trigger_slider_ends_with_the_last_round_and_names_the_flagged():
    frames = np.zeros((10, 3, 1, 6, 6), dtype=np.uint8)
    frames[-1, 1, 0, 2, 3] = 255
    figure = pictures.trigger_slider(frames, ["7", "goldfish", "horse"], [1], every=4)
    assert [frame.name for frame in figure.frames] == ["1", "5", "9", "10"]
    assert figure.data[0].source == figure.frames[-1].data[0].source != figure.frames[0].data[0].source
    assert [note.text for note in figure.layout.annotations] == [
        "class 7",
        "<b>goldfish<br>flagged</b>",
        "horse",
    ]
    steps = figure.layout.sliders[0].steps
    assert [step.args[0][0] for step in steps] == ["1", "5", "9", "10"]


def test_attributions_are_blue_against_white_for_nothing_and_orange_for_and_clipped():
    maps, images = torch.tensor([[[[-2.0, 0.0], [1.0, 4.0]]]]), torch.zeros(1, 1, 2, 2)
    drawn = pictures.drawn_attribution(maps, images, limit=2.0)
    blue, orange, white = pictures.AGAINST, pictures.FOR, pictures.NOTHING
    assert drawn.shape == (1, 2, 2, 3)
    assert drawn[0, 0].tolist() == [blue.tolist(), white.tolist()]
    assert drawn[0, 1].tolist() == [np.round((white + orange) / 2).astype(int).tolist(), orange.tolist()]
    assert (pictures.drawn_attribution(maps, images, 2.0, opacity=0) == 0).all()  # the black image alone
    half = pictures.drawn_attribution(maps, images, 2.0, opacity=0.5)
    assert half[0, 0, 1].tolist() == [128] * 3
    assert (pictures.drawn_attribution(maps * 0, images, 0.0) == 255).all()


def test_attributions_as_published_are_each_colour_by_itself_around_grey():
    maps = torch.tensor([3.0, 0.0, -6.0]).view(1, 3, 1, 1)
    drawn = pictures.drawn_attribution(maps, torch.zeros(1, 3, 1, 1), limit=3.0, as_published=True)
    assert drawn[0, 0, 0].tolist() == [255, 128, 0]


def test_the_outline_lies_around_the_footprint_and_leaves_its_pixels():
    images = np.full((1, 8, 8, 1), 7, dtype=np.uint8)
    footprint = np.zeros((8, 8), dtype=bool)
    footprint[5:7, 4:7] = True
    factor = 6
    shown = pictures.framed(images, factor)
    marked = pictures.outlined(shown, footprint, factor)
    changed = (marked != shown).any(-1)[0]
    inside = np.zeros_like(changed)
    inside[7 * factor : 9 * factor, 6 * factor : 9 * factor] = True
    assert not changed[inside].any()
    assert changed[7 * factor - 2 : 9 * factor + 2, 6 * factor - 2 : 9 * factor + 2][
        ~inside[7 * factor - 2 : 9 * factor + 2, 6 * factor - 2 : 9 * factor + 2]
    ].all()
    assert changed.sum() == (2 * factor + 4) * (3 * factor + 4) - 6 * factor * factor
