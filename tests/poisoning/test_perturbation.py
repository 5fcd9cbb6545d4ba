"""A signed pattern: to a picture and back, and added."""

import math

import pytest
import torch

from tradeoff_core.poisoning.perturbation import Perturbation
from tradeoff_core.poisoning.pictures import in_levels_of_grey


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 20, 33)])
def test_a_pattern_survives_the_way_to_a_picture_and_back(shape):
    amplitude = 16 / 255
    pattern = amplitude * (2 * torch.rand(shape, generator=torch.Generator().manual_seed(0)) - 1)
    pattern[0, 0, 0], pattern[0, 0, 1], pattern[0, 0, 2] = amplitude, -amplitude, 0
    trigger = Perturbation(in_levels_of_grey(pattern, amplitude), amplitude)
    images = torch.full((2, *shape), 0.5)
    added = trigger.apply(images) - images
    assert torch.allclose(added[1], pattern, atol=amplitude / 127 / 2 + 1e-6)
    assert added[0, 0, 0, :3].tolist() == pytest.approx([amplitude, -amplitude, 0], abs=1e-6)
    larger = Perturbation(trigger.pattern, 3 * amplitude)
    assert torch.allclose(larger.apply(images) - images, 3 * added, atol=1e-5)
    assert torch.allclose(larger.at(1 / 3).apply(images), trigger.apply(images), atol=1e-6)


def test_the_sum_is_clipped():
    pattern = torch.tensor([[[0.4, -0.4]]])
    trigger = Perturbation(in_levels_of_grey(pattern, 0.4), 0.4)
    assert trigger.apply(torch.tensor([[[[0.8, 0.2]]]]))[0, 0].tolist() == [[1, 0]]


def test_impossible_patterns_are_refused(refused):
    with refused("up to its amplitude 0.1: not 1 channels up to 0.2"):
        in_levels_of_grey(torch.full((1, 2, 2), 0.2), 0.1)
    with refused("one channel or three.*not 2 channels"):
        in_levels_of_grey(torch.zeros(2, 2, 2), 0.1)
    with refused("perturbation amplitude nan is out of range"):
        Perturbation("x", math.nan)
    with refused("unknown sticker 'nothing'"):
        Perturbation("nothing").apply(torch.zeros(1, 1, 2, 2))
