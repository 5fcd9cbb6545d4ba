"""Tables in Markdown, and numbers in them."""

from collections.abc import Iterable, Sequence
from statistics import fmean


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; every row has as many cells as its head."""
    lines = [head, ["---"] * len(head), *rows]
    assert all(len(line) == len(head) for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(value: float | None) -> str:
    """A share in per cent, a dash where there is none."""
    return "–" if value is None or value != value else f"{value:.1%}"


def spread(values: Sequence[float]) -> str:
    """The mean of the seeds, and how far they reach where there is more than one."""
    if not values:
        return "–"
    reach = f" ({100 * min(values):.0f} to {100 * max(values):.0f})" if len(values) > 1 else ""
    return percent(fmean(values)) + reach


def listed(values: Sequence[float]) -> str:
    """Every seed's share, in whole per cent."""
    return f"{', '.join(f'{100 * value:.0f}' for value in values)}%" if values else "–"


def change(before: Sequence[float], after: Sequence[float]) -> str:
    """From what to what the mean goes."""
    return f"{100 * fmean(before):.1f} → {100 * fmean(after):.1f}%"
