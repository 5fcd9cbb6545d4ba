"""The ledger as a data frame: what we do otherwise than the paper's code, and what each departure changes."""

from collections.abc import Sequence
from statistics import fmean

import pandas as pd

from pages.components.words.changes import points
from tradeoff_core.findings.ledger import Entry

NOT_YET = "not measured yet"
SHOWN = {"backdoor_success_rate": "Backdoor", "adversarial_accuracy": "Adversarial"}


def ledger_table(entries: Sequence[Entry]) -> pd.DataFrame:
    """A row for each pair: each rate's mean and its lowest and highest seed, ours -> the paper's way, and both in words."""
    return pd.DataFrame(
        [
            {
                "What": entry.departure.what,
                "Network": entry.condition or "–",
                **{title: _change(entry, metric) for metric, title in SHOWN.items()},
                "Seeds": _seeds(entry),
                "Ours": entry.departure.ours,
                "The paper's": entry.departure.theirs,
            }
            for entry in entries
        ]
    )


def _change(entry: Entry, metric: str) -> str:
    ours, theirs = entry.rates(metric)
    if not ours or not theirs:
        return entry.departure.unmeasured or NOT_YET
    return f"{_spread(ours)} → {_spread(theirs)}"


def _spread(seeds: Sequence[float]) -> str:
    low, high = (f"{100 * end:.0f}" for end in (min(seeds), max(seeds)))
    return f"{fmean(seeds):.1%}" + (f" ({low}–{high})" if len(seeds) > 1 else "")


def _seeds(entry: Entry) -> str:
    ours, theirs = len(entry.ours), len(entry.theirs)
    return "–" if not (ours and theirs) else str(ours) if ours == theirs else f"{ours} and {theirs}"


def ledger_sentence(entries: Sequence[Entry]) -> str:
    """Which departure moves backdoor success the most."""
    changes = [
        (change, entry) for entry in entries if (change := entry.change("backdoor_success_rate")) is not None
    ]
    if not changes:
        return "None of these departures is measured yet."
    change, entry = max(changes, key=lambda pair: abs(pair[0]))
    what = entry.departure.what.lower()
    return (
        f"{len(changes)} of {len(entries)} are measured. The paper's way moves backdoor success the most for "
        f"**{what}** ({entry.condition}): by {points(change)}."
    )
