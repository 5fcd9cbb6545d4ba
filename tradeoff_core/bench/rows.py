"""One measurement beside its limit, and the table of them."""

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement and its limit. `measured=None` is skipped, or `failed` as the note says."""

    name: str
    measured: float | None
    limit: float
    unit: str
    at_least: bool = False
    note: str = ""
    failed: bool = False

    @property
    def ok(self) -> bool | None:
        """Whether the limit is kept; None if there was no measurement."""
        if self.measured is None:
            return False if self.failed else None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def document(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            "name": self.name,
            "measured": None if self.measured is None else round(self.measured, 4),
            "limit": self.limit,
            "bound": "at least" if self.at_least else "at most",
            "unit": self.unit,
            "ok": self.ok,
            "note": self.note,
        }


def table(rows: list[Row]) -> str:
    """The rows as aligned text, a mark before each and the count of missed limits below."""
    marks = {True: "ok", False: "MISSED", None: "skipped"}
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        measured = "-" if row.measured is None else f"{row.measured:.3f}"
        bound = f"at {'least' if row.at_least else 'most'} {row.limit:g} {row.unit}"
        lines.append(
            f"{marks[row.ok]:<8}{row.name:<{width}}  {measured:>8}  {bound:<18}  {row.note}".rstrip()
        )
    missed = sum(row.ok is False for row in rows)
    skipped = sum(row.ok is None for row in rows)
    return "\n".join(
        [
            *lines,
            "",
            f"{missed} of {len(rows)} limits missed, {skipped} not measured{_business()}.",
            "This is a report: the exit status is 0 either way.",
        ]
    )


def _business() -> str:
    """How busy the machine was, where that can be asked: other work slows every row."""
    if not hasattr(os, "getloadavg"):
        return ""
    return f"; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def seconds(action: Callable[[], object]) -> float:
    """The wall time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def has_art() -> bool:
    """Whether adversarial-robustness-toolbox (ART) is there to compare with."""
    return importlib.util.find_spec("art") is not None


def without_art(name: str, limit: float) -> Row:
    """The row of a comparison with ART that cannot be made."""
    note = "skipped: needs adversarial-robustness-toolbox"
    return Row(name, None, limit, "x", at_least=True, note=note)
