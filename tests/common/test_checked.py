"""Checked dataclasses: every kind of wrong value is one sentence that names its place."""

from typing import Annotated, Literal

import pytest

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.checked import Flag, Maybe, Number, Text, Whole, build, checked, within
from tradeoff_core.common.errors import TradeoffError


@checked
class Inner:
    size: Annotated[Whole, within("from 1 to 9", least=1, most=9)] = 1
    share: Annotated[Number, within("above 0, at most 1", above=0, most=1, name="the share")] = 0.5


@checked
class Outer:
    name: Text
    inner: Maybe[Inner] = None
    numbers: tuple[Whole, ...] = ()
    flag: Flag = True
    kind: Literal["a", "b"] = "a"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            {"name": "x", "colour": 1},
            "unknown field 'colour': choose one of name, inner, numbers, flag, kind",
        ),
        ({"name": "x", "inner": {"hue": 1}}, "unknown field 'inner.hue': choose one of size, share"),
        ({}, "name is missing"),
        ({"name": 3}, "name must be a text, not '3'"),
        ({"name": None}, "name must be a text, not 'None'"),
        ({"name": "x", "inner": 3}, "inner must be a table of fields, not '3'"),
        ({"name": "x", "inner": {"size": "3"}}, "inner.size must be a whole number, not '3'"),
        ({"name": "x", "inner": {"size": 3.0}}, "inner.size must be a whole number, not '3.0'"),
        ({"name": "x", "inner": {"size": True}}, "inner.size must be a whole number, not 'True'"),
        ({"name": "x", "inner": {"size": 10}}, "size 10 is out of range: from 1 to 9"),
        ({"name": "x", "inner": {"share": 0}}, "the share 0 is out of range: above 0, at most 1"),
        (
            {"name": "x", "inner": {"share": float("nan")}},
            "the share nan is out of range: above 0, at most 1",
        ),
        ({"name": "x", "inner": {"share": "all"}}, "inner.share must be a number, not 'all'"),
        ({"name": "x", "numbers": 4}, "numbers must be a list, not '4'"),
        ({"name": "x", "numbers": [1, 2.5]}, "numbers must be a whole number, not '2.5'"),
        ({"name": "x", "flag": 1}, "flag must be true or false, not '1'"),
        ({"name": "x", "kind": "c"}, "kind 'c' is unknown: choose a or b"),
        (
            {"name": "x", "inner": {"size": "y" * 500}},
            f"inner.size must be a whole number, not '{'y' * 80}...'",
        ),
        ([1], "it must be a table of fields, not '[1]'"),
    ],
)
def test_what_is_wrong_is_one_sentence_that_names_its_place(document, said):
    with pytest.raises(TradeoffError) as caught:
        build(Outer, document)
    assert str(caught.value) == said


def test_what_is_right_is_the_class_with_tables_lists_and_none_read():
    made = build(Outer, {"name": "x", "inner": {"size": 2, "share": 1}, "numbers": [1, 2], "kind": "b"})
    assert made == Outer("x", Inner(2, 1.0), (1, 2), kind="b")
    assert type(made.inner.share) is float
    assert build(Outer, {"name": "none", "inner": "none"}) == Outer("none")


def test_a_constructor_says_the_same(refused):
    with refused("^size 0 is out of range: from 1 to 9$"):
        Inner(0)
    with refused("^norm 'l7' is unknown: choose linf or l2$"):
        Attack("l7")
    with refused("^steps must be a whole number, not '1.5'$"):
        Attack(steps=1.5)
