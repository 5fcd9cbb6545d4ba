"""Marks: only ever added to, by several hands at once, and none is lost."""

import errno
import json
import multiprocessing
from dataclasses import replace

import pytest

from tradeoff_core.inspection import review as room
from tradeoff_core.inspection.review import Decision, Mark, Review, Subject, names, now, review, standing

KEEP, REMOVE, UNSURE = Mark.KEEP, Mark.REMOVE, Mark.UNSURE
SUBJECT = Subject("a-model", "0" * 64, 7, 12345, 540)


def step(number, marks=None, by="me", undo=False):
    return Decision(float(number), by, number, tuple((marks or {}).items()), undo)


@pytest.fixture
def mine(tmp_path) -> Review:
    return Review(tmp_path / "mine.jsonl", SUBJECT)


def test_the_last_mark_of_an_example_counts_and_undo_takes_steps_back():
    steps = [step(1, {5: KEEP, 6: KEEP}), step(2, {5: REMOVE}), step(3, {7: UNSURE}), step(4, {6: None})]
    assert standing(steps).marks == {5: REMOVE, 7: UNSURE}
    undone = [*steps, step(5, undo=True), step(6, undo=True), step(7, undo=True)]
    assert standing(undone).marks == {5: KEEP, 6: KEEP}
    assert standing([*undone, *[step(8 + more, undo=True) for more in range(3)]]).marks == {}
    assert list(standing([step(1, {9: KEEP}), step(2, {3: KEEP}), step(3, {9: REMOVE})]).marks) == [9, 3]


def test_undo_takes_back_the_hands_own_step_before_anothers():
    steps = [step(1, {5: KEEP}), step(1, {6: REMOVE}, by="you"), step(2, undo=True)]
    assert standing(steps).marks == {6: REMOVE}
    assert standing([*steps, step(3, undo=True)]).marks == {}
    assert standing(steps).told == {"me": 2, "you": 1}


def test_tags_and_views_are_steps_like_marks():
    def other(number, **what):
        return Decision(float(number), "me", number, **what)

    steps = [
        other(1, tag="odd", tagged=(5, 6)),
        other(2, tag="odd", tagged=(7,)),
        other(3, tag="odd", tagged=(5,), off=True),
        other(4, view="ends", shows="a"),
        other(5, view="ends", shows="b"),
    ]
    assert (standing(steps).tags, standing(steps).views) == ({"odd": frozenset({6, 7})}, {"ends": "b"})
    undone = standing([*steps, step(6, undo=True), step(7, undo=True), step(8, undo=True)])
    assert (undone.tags, undone.views) == ({"odd": frozenset({5, 6, 7})}, {})
    forgotten = [*steps, other(6, view="ends"), other(7, tag="odd", tagged=(6, 7), off=True)]
    assert (standing(forgotten).tags, standing(forgotten).views) == ({}, {})


def test_what_was_added_is_read_back_and_added_to(mine):
    tagged = Decision(4.0, "me", 4, tag="odd", tagged=(5, 6), view="ends", shows="{}")
    steps = [step(1, {5: KEEP}), step(2, {6: REMOVE, 7: None}), step(3, undo=True), tagged]
    mine.add(steps[:2])
    before = mine.path.read_bytes()
    Review(mine.path, SUBJECT).add(steps[2:])
    assert mine.path.read_bytes().startswith(before)
    assert mine.decisions() == steps


def test_a_torn_line_costs_nothing_else(mine):
    mine.add([step(1, {5: KEEP}), step(2, {6: REMOVE})])
    with mine.path.open("ab") as file:
        file.write(b'{"at": 3.0, "by": "me", "num')
    assert standing(mine.decisions()).marks == {5: KEEP, 6: REMOVE}
    mine.add([step(3, {8: UNSURE})])
    assert standing(mine.decisions()).marks == {5: KEEP, 6: REMOVE, 8: UNSURE}


def add_many(path, by):
    for number in range(1, 41):
        Review(path, SUBJECT).add([step(number, {number: KEEP}, by=by)])


def test_two_hands_at_once_lose_no_mark(mine):
    fork = multiprocessing.get_context("fork")  # they only write: nothing has to be imported anew
    hands = [fork.Process(target=add_many, args=(mine.path, by)) for by in ("one", "two")]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join(120)
    assert [hand.exitcode for hand in hands] == [0, 0]
    assert standing(mine.decisions()).told == {"one": 40, "two": 40}
    assert len(mine.decisions()) == 80


def test_a_full_disk_is_one_sentence_and_what_was_saved_stays(mine, monkeypatch, refused):
    mine.add([step(1, {5: KEEP})])
    real, calls = room.append_line, []

    def full(path, document):
        calls.append(document)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, document)

    monkeypatch.setattr(room, "append_line", full)
    more = [step(2, {6: KEEP}), step(3, {7: KEEP}), step(4, {8: KEEP})]
    with refused("could not be saved .* No space left on device. Those saved before are safe"):
        mine.add(more)
    assert mine.decisions() == [step(1, {5: KEEP}), more[0]]
    monkeypatch.undo()
    mine.add(more[1:])
    assert standing(mine.decisions()).marks == dict.fromkeys((5, 6, 7, 8), KEEP)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": "1" * 64}, "is of another model or class"),
        ({"label": 3}, "is of another model or class"),
        ({"data": 1}, "was made with other pictures"),
        ({"count": 539}, "was made with other pictures"),
    ],
)
def test_a_review_of_something_else_is_refused_and_left_alone(mine, change, said, refused):
    mine.add([step(1, {5: KEEP})])
    other, before = Review(mine.path, replace(SUBJECT, **change)), mine.path.read_bytes()
    with refused(said):
        other.decisions()
    with refused(said):
        other.add([step(2, {5: REMOVE})])
    assert mine.path.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([], "line 2 of mine.jsonl is damaged"),
        ({"at": 1.0, "by": "me", "number": 1, "marks": [[5, "delete"]]}, "line 2 .* 'delete' is unknown"),
        ({"at": 1.0, "by": "me", "number": 1, "marks": [[-5, "keep"]]}, "out of range"),
        ({"at": 1.0, "by": "me"}, "number is missing"),
    ],
)
def test_a_line_written_by_hand_is_refused_where_it_is_wrong(mine, line, said, refused):
    mine.add([])
    with mine.path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    with refused(said):
        mine.decisions()


def test_reviews_have_names(monkeypatch, tmp_path, refused):
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path))
    review(SUBJECT, "first-look").add([now("me", {1: KEEP})])
    assert names(SUBJECT) == ["first-look"]
    assert names(replace(SUBJECT, label=3)) == []
    for wrong in ("../up", "A", "", "con"):
        with refused("cannot name a review"):
            review(SUBJECT, wrong)
