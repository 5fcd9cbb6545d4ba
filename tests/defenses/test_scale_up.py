"""Predictions of amplified pictures, by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from tradeoff_core.defenses.scale_up import FACTORS, scale_up_scores
from tradeoff_core.networks import Network, freeze


def reading(weights: list[float], bias: float) -> Network:
    """Class 1 where the weighted sum of the four pixels and the bias is above 0, else class 0."""
    head = nn.Linear(4, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[0.0] * 4, weights]))
        head.bias.copy_(torch.tensor([0.0, bias]))
    return freeze(Network({"pixels": nn.Flatten()}, head, (1, 2, 2)))


def of(*pixels: tuple[int, int, int, int]) -> np.ndarray:
    return np.array(pixels, np.uint8).reshape(-1, 2, 2, 1)


def test_the_share_of_factors_that_change_nothing():
    bright = reading([1.0] * 4, -1.0)  # class 1 from a mean of 63.75 on
    images = of((30,) * 4, (5,) * 4, (9,) * 4, (200,) * 4)
    # 90, 150 ...: all read otherwise; 15 to 55: none; 27, 45, 63 not, 81 and 99 do; bright stays bright
    assert scale_up_scores(bright, images) == pytest.approx([0, 1, 3 / 5, 1])
    assert scale_up_scores(bright, images, (7,)) == pytest.approx([0, 1, 1, 1])
    assert scale_up_scores(bright, images, (2, 8)) == pytest.approx([1 / 2, 1, 1 / 2, 1])


def test_pixels_are_clipped():
    differing = reading([1.0, -1.0, 0.0, 0.0], -0.1)
    images = of((100, 30, 0, 0))
    # 255, 90; 255, 150; 255, 210; then both are white and the difference is gone
    assert scale_up_scores(differing, images) == pytest.approx([3 / 5])


def test_more_than_a_batch_is_scored_in_order():
    bright = reading([1.0] * 4, -1.0)
    images = np.repeat(of((30,) * 4, (5,) * 4), 200, axis=0)
    assert scale_up_scores(bright, images).tolist() == [0.0] * 200 + [1.0] * 200


@pytest.mark.parametrize("factors", [(), (0,), (3, -1)])
def test_impossible_factors_are_refused(factors, refused):
    with refused("choose at least one, and none below 1"):
        scale_up_scores(reading([1.0] * 4, -1.0), of((30,) * 4), factors)
    assert FACTORS == (3, 5, 7, 9, 11)
