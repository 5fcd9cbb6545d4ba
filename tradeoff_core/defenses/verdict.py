"""Whether Neural Cleanse was right about a network whose poison is known."""

from collections.abc import Collection
from enum import StrEnum


class Verdict(StrEnum):
    """What the defense's suspect is worth: FOUND and MISSED are the class with the back door, flagged or not."""

    FALSE_ALARM = "false alarm"
    RIGHTLY_NONE = "rightly none"
    WRONG_CLASS = "wrong class"
    FOUND = "found"
    MISSED = "missed"


def judge(suspect: int, flagged: Collection[int], target: int | None) -> tuple[Verdict, list[int]]:
    """The verdict, and the classes that are flagged though the back door is in another; `target` is None without one."""
    others = [label for label in flagged if label != target]
    if target is None:
        return (Verdict.FALSE_ALARM if flagged else Verdict.RIGHTLY_NONE), others
    if suspect != target:
        return Verdict.WRONG_CLASS, others
    return (Verdict.FOUND if target in flagged else Verdict.MISSED), others
