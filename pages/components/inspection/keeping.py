"""Where a visitor's marks are kept: in a file beside the runs, on a public server in the visitor's session."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tradeoff_core.common.checked import Flag, FromZero, Text, build, checked
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import read_only
from tradeoff_core.inspection.review import Decision, Mark, Standing, Subject, now, review, standing
from tradeoff_core.inspection.table import Table

MOST_STEPS = 20_000  # of a session: a browser may send anything
LONGEST_NAME, LONGEST_VIEW = 40, 500  # letters of a tag's or a view's name, and of what a view shows


class Keeper(Protocol):
    """What decisions are read from and added to."""

    def decisions(self) -> list[Decision]:
        """All of them, in order."""

    def add(self, decisions: Sequence[Decision]) -> None:
        """Append decisions."""


class InSession:
    """A review that ends with the visit."""

    def __init__(self, subject: Subject, name: str) -> None:
        kept = st.session_state.setdefault("reviews", {})
        self.kept: list[Decision] = kept.setdefault((subject.weights, subject.label, name), [])

    def decisions(self) -> list[Decision]:
        """All of them, in order."""
        return self.kept

    def add(self, decisions: Sequence[Decision]) -> None:
        """Append decisions. Raises TradeoffError where there are too many."""
        if len(self.kept) + len(decisions) > MOST_STEPS:
            raise TradeoffError(f"a visit has at most {MOST_STEPS:,} steps here: download your marks")
        self.kept.extend(decisions)


def keeper(subject: Subject, name: str) -> Keeper:
    """Where the marks of a review are kept. Raises TradeoffError for a name that it cannot have."""
    return InSession(subject, name) if read_only() else review(subject, name)


@checked
class Step:
    """What a browser says of a step: marks by an image's place among those of the class."""

    number: FromZero
    marks: tuple[tuple[FromZero, Mark | None], ...] = ()
    undo: Flag = False
    tag: Text = ""
    tagged: tuple[FromZero, ...] = ()
    off: Flag = False
    view: Text = ""
    shows: Text = ""

    def decision(self, hand: str, index: NDArray[np.int64]) -> Decision:
        """It as a review keeps it. Raises TradeoffError for what is no step over the examples of `index` (N,)."""
        if any(place >= len(index) for place in (*(place for place, _ in self.marks), *self.tagged)):
            raise TradeoffError("a mark is of no image of this class")
        if max(len(self.tag), len(self.view)) > LONGEST_NAME or len(self.shows) > LONGEST_VIEW:
            raise TradeoffError(f"a tag and a view have names of at most {LONGEST_NAME} letters")
        return Decision(
            now(hand, {}).at,
            hand,
            self.number,
            tuple((int(index[place]), mark) for place, mark in self.marks),
            self.undo,
            self.tag,
            tuple(int(index[place]) for place in self.tagged),
            self.off,
            self.view,
            self.shows,
        )


@checked
class Steps:
    """All steps that a browser does not know to be saved; `key` is the grid that they were made in."""

    hand: Text
    key: Text
    steps: tuple[Step, ...]
    tried: FromZero = 0


def save(kept: Keeper, table: Table, sent: Any, key: str) -> str:
    """Add those of a browser's steps that are not kept yet; the hand that made them. Raises TradeoffError if that fails."""
    told = build(Steps, sent)
    if told.key != key or len(told.hand) > 60:
        raise TradeoffError("these marks belong to another review")
    known = standing(kept.decisions()).told.get(told.hand, 0)
    new = [step.decision(told.hand, table.index) for step in told.steps if step.number > known]
    if new:
        kept.add(new)
    return told.hand


def as_letters(table: Table, stands: Standing) -> str:
    """Each example's mark as its first letter, a blank for none."""
    return "".join(stands.marks[index][0] if index in stands.marks else " " for index in table.index.tolist())
