"""The figures of how much of the paper is here, and how near it comes."""

import pytest

from tradeoff_core import figures
from tradeoff_core.findings.agreement import Covered, Pair


def a_pair(dataset: str, metric: str, published: float, ours: tuple[float, ...]) -> Pair:
    return Pair(f"{dataset} row", "main-1a", dataset, "a defense", metric, published, ours)


PAIRS = [
    a_pair("mnist", "backdoor_success_rate", 0.2, (0.3, 0.5)),
    a_pair("cifar10", "backdoor_success_rate", 0.9, (0.8,)),
    a_pair("imagenet", "backdoor_success_rate_after", 0.1, (0.0,)),
]


def test_a_point_is_published_to_the_right_and_the_mean_of_the_seeds_up():
    line, success, after = figures.published_against_ours(PAIRS).data
    assert (list(line.x), list(line.y)) == ([0, 100], [0, 100])
    assert list(success.x) == pytest.approx([20, 90])
    assert list(success.y) == pytest.approx([40, 80])
    assert list(success.marker.symbol) == ["circle", "square"]
    assert list(after.marker.symbol) == ["diamond-open"]
    assert list(success.customdata) == ["mnist row", "cifar10 row"]
    assert "published 20.0%, here 40.0% (mean of 2 seeds)" in success.hovertext[0]
    assert "seeds" not in success.hovertext[1]


def test_the_picked_row_is_ringed():
    ring = figures.published_against_ours(PAIRS, "cifar10 row").data[-1]
    assert (list(ring.x), list(ring.y)) == (pytest.approx([90]), pytest.approx([80]))
    assert len(figures.published_against_ours(PAIRS, "none such").data) == 3


def test_the_bars_stack_to_what_was_published():
    figure = figures.coverage_bars([Covered("mnist", 14, 0, 0), Covered("imagenet", 16, 15, 2)])
    assert {bar.name: list(bar.x) for bar in figure.data} == {
        "ours beside it": [14, 16],
        "not measured yet": [0, 15],
        "not to be had": [0, 2],
    }
    assert figure.layout.barmode == "stack"
    assert list(figure.data[0].y) == ["MNIST", "ImageNet"]
    assert "14 of 14 rows" in figure.data[0].hovertext[0]
    assert len(figures.coverage_bars([Covered("mnist", 14, 0, 0)]).data) == 1
