"""What is kept is what would be made anew, and is made anew as soon as anything in it could differ."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from tradeoff_core import figures
from tradeoff_core.figures import kept, pictures
from tradeoff_core.rates import Rate


@dataclass(frozen=True)
class Thing:
    name: str
    values: np.ndarray
    numbers: dict[str, float] = field(default_factory=dict)


def a_thing(value: float = 1.0) -> Thing:
    return Thing("a", np.array([0.0, value]), {"n": 2.0})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(6), np.arange(6).reshape(2, 3)),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (np.arange(600_000), np.arange(600_000) + (np.arange(600_000) == 300_001)),
        (torch.zeros(2), torch.tensor([0.0, 1.0])),
        (a_thing(), a_thing(2.0)),
        (a_thing(), replace(a_thing(), numbers={"n": 3.0})),
        ([1, [2, 3]], [1, [2], 3]),
        ({"a": [1]}, {"b": [1]}),
        (lambda run: run.a, lambda run: run.b),
        ([lambda: 1], [lambda: 2]),
        ((True,), [True]),
        (Rate(1, 2), Rate(2, 4)),
    ],
)
def test_what_differs_has_another_key(one, other):
    assert kept.identity(one) != kept.identity(other)
    assert kept.identity(one) == kept.identity(one)


def test_what_is_made_again_alike_has_the_same_key():
    def of(wanted):
        return lambda thing: thing.numbers[wanted]

    assert kept.identity([a_thing(), of("n")]) == kept.identity([a_thing(), of("n")])
    assert kept.identity(of("n")) != kept.identity(of("m"))


def test_what_says_nothing_of_its_content_is_refused():
    with pytest.raises(TypeError, match="a set says nothing"):
        kept.identity({1, 2})


def test_a_figure_is_drawn_once_for_the_same_content():
    def drawn(share):
        return figures.confusion("A", np.full((2, 2), share), 1, ["cat", "dog"])

    first = drawn(0.5)
    assert drawn(0.5) is first
    assert np.asarray(drawn(0.25).data[0].z).tolist() == [[25, 25], [25, 25]]
    assert len(kept.SHELF.kept) == 2
    assert kept.SHELF.bytes == sum(len(figure.to_json()) for figure, _ in kept.SHELF.kept.values())


def test_a_picture_is_encoded_once_for_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    first = pictures.as_uris(pixels, 74)
    assert pictures.as_uris(pixels.copy(), 74) is first
    other = pixels.copy()
    other[1, 0, 0] ^= 1
    again = pictures.as_uris(other, 74)
    assert (again[0], again[1] != first[1]) == (first[0], True)


def test_the_oldest_gives_way_when_all_is_too_much():
    shelf = kept.Shelf(most=10)
    shelf.put("a", "first", 4)
    shelf.put("b", "second", 4)
    assert shelf.get("a") == "first"  # so b is the oldest now
    shelf.put("c", "third", 4)
    assert (shelf.get("a"), shelf.get("b"), shelf.get("c")) == ("first", None, "third")
    assert shelf.bytes == 8
    shelf.put("a", "again", 2)
    assert (shelf.get("a"), shelf.bytes) == ("again", 6)
    shelf.put("d", "larger than all", 11)
    assert (shelf.kept, shelf.bytes) == ({}, 0)
