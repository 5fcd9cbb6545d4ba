"""A person's decisions over the training examples of a class: a log that only grows, and what it comes to.

A review lies in runs/reviews/<weights>-<class>/<name>.jsonl: a line that says what it is of, then a line a decision. Several
processes may add to it; a line that a kill or a full disk tore is left out, and the decisions before and after it stand.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from tradeoff_core.common.checked import Flag, FromZero, Number, Text, build, checked
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import append_line, from_json, read_bytes
from tradeoff_core.common.names import is_id
from tradeoff_core.common.paths import runs_folder

PATIENCE = 5  # seconds that one who adds waits for another
ENDING, LOCK = ".jsonl", ".lock"


class Mark(StrEnum):
    """What a person decides over an example."""

    KEEP = "keep"
    REMOVE = "remove"
    UNSURE = "unsure"


@checked
class Subject:
    """What a review is of: a model, the checksum of its weights, a class, and its `count` pictures' checksum."""

    model: Text
    weights: Text
    label: FromZero
    data: FromZero
    count: FromZero


@checked
class Decision:
    """One step: a mark for each of some examples, None to take it away; or `undo`, of the last step of the same hand.

    `by` names the hand (a browser's tab), which counts its steps upwards by `number`; `marks` are pairs of an index in
    the training set and a mark. A step may also put a `tag` on the examples `tagged`, take it `off` them, or keep a `view`
    by its name: how the grid is sorted and filtered, as the page writes it, nothing to forget it.
    """

    at: Number
    by: Text
    number: FromZero
    marks: tuple[tuple[FromZero, Mark | None], ...] = ()
    undo: Flag = False
    tag: Text = ""
    tagged: tuple[FromZero, ...] = ()
    off: Flag = False
    view: Text = ""
    shows: Text = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What decisions come to: each marked example's mark by its index, in the order in which they were first marked.

    `told` is the highest number of each hand; `tags` are the examples that have each, `views` what each shows.
    """

    marks: Mapping[int, Mark]
    told: Mapping[str, int]
    tags: Mapping[str, frozenset[int]] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)

    def array(self, index: NDArray[np.int64], mark: Mark) -> NDArray[np.bool_]:
        """Which of the examples (N,) have this mark."""
        return np.array([self.marks.get(int(one)) is mark for one in index], dtype=bool)

    def count(self, mark: Mark) -> int:
        """How many examples have this mark."""
        return sum(one is mark for one in self.marks.values())


def standing(decisions: Iterable[Decision]) -> Standing:
    """Play decisions back. An undo takes back the last step of its own hand, of the hand before it if it has none."""
    live: list[Decision] = []
    told: dict[str, int] = {}
    for decision in decisions:
        told[decision.by] = max(decision.number, told.get(decision.by, 0))
        if not decision.undo:
            live.append(decision)
        elif live:
            own = [place for place, one in enumerate(live) if one.by == decision.by]
            del live[own[-1] if own else -1]
    marks: dict[int, Mark] = {}
    tags: dict[str, frozenset[int]] = {}
    views: dict[str, str] = {}
    for decision in live:
        for index, mark in decision.marks:
            if mark is None:
                marks.pop(index, None)
            else:
                marks[index] = mark
        if decision.tag:
            those = frozenset(decision.tagged)
            known = tags.get(decision.tag, frozenset())
            tags[decision.tag] = known - those if decision.off else known | those
        if decision.view:
            views[decision.view] = decision.shows
    return Standing(
        marks,
        told,
        {name: those for name, those in tags.items() if those},
        {name: shows for name, shows in views.items() if shows},
    )


def check_indices(indices: Sequence[int], known: NDArray[np.int64]) -> None:
    """Raise TradeoffError that names the first index that is none of the class's examples, or is there twice."""
    given = np.asarray(indices, dtype=np.int64)
    strangers = given[~np.isin(given, known)]
    if len(strangers):
        raise TradeoffError(
            f"index {strangers[0]} is none of the {len(known):,} training examples of this class: "
            "was it made for another class or another data set?"
        )
    found, counts = np.unique(given, return_counts=True)
    if (counts > 1).any():
        raise TradeoffError(f"index {found[counts > 1][0]} is there twice: give each example once")


@dataclass(frozen=True, slots=True)
class Review:
    """A review on disk."""

    path: Path
    subject: Subject

    @property
    def name(self) -> str:
        """What the person calls it."""
        return self.path.name.removesuffix(ENDING)

    def decisions(self) -> list[Decision]:
        """All of them, in order, none if it is not begun. Raises TradeoffError if it is of something else, or damaged."""
        first, *rest = [*self._lines()] or [(0, None)]
        if first[1] is None:
            return []
        self._check(build(Subject, first[1]) if isinstance(first[1], dict) else None)
        found = []
        for number, line in rest:
            try:
                found.append(build(Decision, line))
            except TradeoffError as error:
                raise TradeoffError(f"line {number} of {self.path.name} is damaged: {error}") from None
        return found

    def add(self, decisions: Sequence[Decision]) -> None:
        """Append decisions; what was added is on disk before the next. Raises TradeoffError if one cannot be saved.

        Those before it are saved then; whoever asks may add the rest again.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._alone():
                known = self.decisions()  # which says if this is another's review
                if not known and not self._begun():
                    append_line(self.path, asdict(self.subject))
                for decision in decisions:
                    append_line(self.path, _written(decision))
        except OSError as error:
            raise TradeoffError(
                f"the marks could not be saved in '{self.path}': {error.strerror}. Those saved before are safe"
            ) from None

    def _begun(self) -> bool:
        return any(True for _ in self._lines())

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = FileLock(self.path.with_suffix(LOCK))
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            raise TradeoffError(
                f"the marks could not be saved in '{self.path}': somebody else is writing. Try it again"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _lines(self) -> Iterator[tuple[int, Any]]:
        """Every line's value with its number, counted from 1; what a kill tore is left out."""
        try:
            text = read_bytes(self.path).decode("utf-8-sig", errors="replace")
        except FileNotFoundError:
            return
        except OSError as error:
            raise TradeoffError(f"the review '{self.path}' cannot be read: {error.strerror}") from None
        for number, line in enumerate(text.split("\n"), 1):
            with suppress(TradeoffError):
                yield number, from_json(line, "a torn line")

    def _check(self, found: Subject | None) -> None:
        """Raise TradeoffError if the review is not of this model, this class and these pictures."""
        mine = self.subject
        if found == mine:
            return
        if found is None:
            said = "is no review"
        elif (found.weights, found.label) != (mine.weights, mine.label):
            said = f"is of another model or class ('{found.model}', class {found.label})"
        else:
            said = "was made with other pictures than those that are on this machine now"
        raise TradeoffError(f"the review '{self.name}' {said}: choose another name")


def _written(decision: Decision) -> dict[str, Any]:
    """A decision as its line has it: without what goes without saying."""
    kept = {name: value for name, value in asdict(decision).items() if value not in ((), False, "")}
    return kept | {"number": decision.number}


def folder_of(subject: Subject) -> Path:
    """Where the reviews of a subject lie."""
    return runs_folder() / "reviews" / f"{subject.weights[:12]}-{subject.label}"


def names(subject: Subject) -> list[str]:
    """The reviews of a subject that were begun."""
    return sorted(path.name.removesuffix(ENDING) for path in folder_of(subject).glob(f"*{ENDING}"))


def review(subject: Subject, name: str) -> Review:
    """A review by its name. Raises TradeoffError for a name that no file can have."""
    if not is_id(name):
        raise TradeoffError(
            f"'{name[:80]}' cannot name a review: use small letters, digits, dots and hyphens, as in first-look"
        )
    return Review(folder_of(subject) / f"{name}{ENDING}", subject)


def now(by: str, marks: Mapping[int, Mark | None], number: int | None = None) -> Decision:
    """A step made now; hands that do not count have the clock for it."""
    at = time.time()
    return Decision(at, by, round(1000 * at) if number is None else number, tuple(marks.items()))
