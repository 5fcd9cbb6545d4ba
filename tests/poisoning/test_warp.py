"""The warp against scipy's interpolation, and its field by hand."""

import math

import numpy as np
import pytest
import torch
from pace import least_seconds
from scipy.ndimage import map_coordinates

from tradeoff_core.poisoning import warp
from tradeoff_core.poisoning.warp import Warp, control_offsets

SHAPES = [(3, 1, 28, 28), (2, 3, 20, 33)]


@pytest.fixture
def rightwards(monkeypatch):
    """All control points read further right, by as much, and no lower."""

    def offsets(control: int, _: int) -> np.ndarray:
        return np.stack([np.ones((control, control)), np.zeros((control, control))])

    monkeypatch.setattr(warp, "control_offsets", offsets)


@pytest.mark.usefixtures("rightwards")
def test_the_first_offset_is_along_the_columns():
    images = torch.rand(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    # 8 columns lie 2/7 of the grid apart, and strength 16/7 over 8 is that
    warped = Warp(strength=16 / 7).apply(images)
    assert torch.allclose(warped[..., :-1], images[..., 1:], atol=1e-5)
    assert torch.allclose(warped[..., -1], images[..., -1], atol=1e-5)  # nothing is read from beyond the edge


def test_control_offsets_have_a_mean_size_of_one_and_their_own_seed():
    offsets = control_offsets(4, 0)
    assert offsets.shape == (2, 4, 4)
    assert np.abs(offsets).mean() == pytest.approx(1)
    assert offsets.min() < 0 < offsets.max()
    assert not np.allclose(offsets, control_offsets(4, 1))


def test_the_field_is_smooth_and_meets_the_control_points():
    grid = Warp(control=3, strength=0.5).grid(21, 29)[0]  # so that a control point lies on each tenth row
    columns, rows = np.meshgrid(np.linspace(-1, 1, 29), np.linspace(-1, 1, 21))
    field = (grid.numpy() - np.stack([columns, rows], -1)) * [29, 21] / 0.5
    inner = control_offsets(3, 0)[:, 1, 1]  # off the edge, where the grid is clipped
    assert field[10, 14] == pytest.approx(inner, abs=1e-4)
    assert np.abs(np.diff(field[1:-1, 1:-1], axis=0)).max() < 0.5  # of offsets up to 2, in steps of a tenth


def test_between_control_points_the_field_is_bicubic():
    grid = Warp(control=4, strength=0.5).grid(7, 7)[
        0
    ]  # its middle lies between the two middle points of either axis
    weights = np.array([-3, 19, 19, -3]) / 32  # of the cubic convolution with a = -0.75, halfway
    expected = [weights @ offsets @ weights * 0.5 / 7 for offsets in control_offsets(4, 0)]
    assert grid[3, 3].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_images_are_read_bilinearly_where_the_grid_says(shape):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    before, trigger = images.clone(), Warp(strength=3.0)
    warped = trigger.apply(images)
    x, y = trigger.grid(*shape[2:])[0].double().unbind(-1)
    places = [(y + 1) / 2 * (shape[2] - 1), (x + 1) / 2 * (shape[3] - 1)]
    for n in range(shape[0]):
        for c in range(shape[1]):
            expected = map_coordinates(images[n, c].double(), places, order=1)
            assert warped[n, c].numpy() == pytest.approx(expected, abs=1e-4)
    assert torch.equal(images, before)
    assert (warped - images).abs().max() > 0.3


def test_it_shares_its_field_among_images_and_goes_by_its_seed():
    one = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    both = Warp().apply(torch.cat([one, one]))
    assert torch.equal(both[0], both[1])
    assert not torch.allclose(Warp(seed=1).apply(one), both[:1])
    assert Warp(strength=0.5).at(0.5) == Warp(strength=0.25)
    assert Warp().apply(one[:0]).shape == (0, 1, 28, 28)


@pytest.mark.usefixtures("rightwards")
def test_noise_moves_each_pixel_of_each_image_by_half_a_pixel_at_most():
    ramp = torch.linspace(0, 1, 11).expand(200, 1, 12, 11)  # a tenth a column
    trigger = Warp(strength=1e-6)
    noisy = trigger.noisy(ramp, np.random.default_rng(0))
    moved = (noisy - trigger.apply(ramp))[..., 1:-1] * 10  # in pixels along the columns
    assert moved.abs().max() <= 0.5 * 10 / 11 + 1e-3
    assert moved.std() == pytest.approx(10 / 11 / math.sqrt(12), rel=0.05)  # uniform
    assert not torch.allclose(noisy[0], noisy[1])
    assert torch.allclose(noisy.mean(0), ramp[0], atol=0.02)
    again = trigger.noisy(ramp, np.random.default_rng(0))
    assert torch.equal(again, noisy)


def test_noise_comes_on_top_of_the_warp():
    ramp = torch.linspace(0, 1, 28).view(28, 1).expand(400, 1, 28, 28)
    mean = Warp(strength=4.0).noisy(ramp, np.random.default_rng(0)).mean(0)
    assert (mean - Warp(strength=4.0).apply(ramp[:1])[0]).abs().max() < 0.01
    assert (mean - ramp[0]).abs().max() > 0.05


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"control": 1}, "warp control grid 1"),
        ({"control": 65}, "warp control grid 65"),
        ({"strength": 0.0}, "warp strength 0"),
        ({"strength": math.nan}, "warp strength nan"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_impossible_warps_are_refused(fields, named, refused):
    with refused(named):
        Warp(**fields)


def test_a_thousand_digits_are_warped_at_once():
    digits = torch.rand(1000, 1, 28, 28)
    assert least_seconds(lambda: Warp().apply(digits), tries=10) < 0.02
