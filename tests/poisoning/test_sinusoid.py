"""The sinusoidal signal by the formula of its paper."""

import math

import pytest
import torch
from pace import least_seconds

from tradeoff_core.poisoning.sinusoid import Sinusoid


def test_the_signal_is_that_of_the_paper_along_the_columns():
    marked = Sinusoid(0.1, 3).apply(torch.full((2, 1, 5, 8), 0.5))
    # j counts the columns from 1, m is 8
    expected = [0.5 + 0.1 * math.sin(2 * math.pi * j * 3 / 8) for j in range(1, 9)]
    for row in range(5):
        assert marked[1, 0, row].tolist() == pytest.approx(expected)
    assert marked[0, 0, 0, 0].item() == pytest.approx(0.5 + 0.1 * math.sqrt(0.5))


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 20, 33)])
def test_it_is_added_to_every_channel_and_clipped(shape):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    marked = Sinusoid(0.5).apply(images)
    assert torch.equal(images, before)
    wave = 0.5 * torch.sin(2 * math.pi * 6 * torch.arange(1, shape[-1] + 1) / shape[-1])
    assert torch.allclose(marked, (images + wave).clamp(0, 1), atol=1e-5)
    assert (marked.min(), marked.max()) == (0, 1)
    assert Sinusoid(0.4, 5).at(0.5) == Sinusoid(0.2, 5)


@pytest.mark.parametrize("field", ["amplitude", "frequency"])
def test_impossible_signals_are_refused(field, refused):
    for value in (0.0, math.nan, 1001.0):
        with refused(f"sinusoid {field} {value:g} is out of range"):
            Sinusoid(**{field: value})


def test_a_thousand_digits_are_marked_at_once():
    digits = torch.rand(1000, 1, 28, 28)
    assert least_seconds(lambda: Sinusoid().apply(digits), tries=10) < 0.02
