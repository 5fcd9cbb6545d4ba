"""Tables of what takes a back door out of a trained network, and of how few poisoned images bring it back."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from tradeoff_core.defenses.removal.applied import RATES
from tradeoff_core.findings import results
from tradeoff_core.findings.theories import map_cells, right
from tradeoff_core.tools.tables.markdown import change, percent, table

Line = dict[str, Any]


def removals(dataset: str) -> str:
    """The mean of the networks before and after each removal, a row a method."""
    lines = results.lines_of(f"removal-{dataset}.jsonl")
    rows = []
    for method in dict.fromkeys(line["method"] for line in lines):
        own = [line for line in lines if line["method"] == method]
        changes = [
            change([line["before"][name] for line in own], [line["after"][name] for line in own])
            for name in RATES
        ]
        rows.append(
            [
                method,
                str(len(own)),
                f"{own[0]['images']}",
                *changes,
                f"{fmean(line['seconds'] for line in own):.1f}",
            ]
        )
    names = [name.removesuffix("_rate").replace("_", " ") for name in RATES]
    return table(["method", "networks", "clean images", *names, "seconds"], rows)


def reopenings(dataset: str) -> str:
    """Mean backdoor success after tuning on each number of poisoned images, a row a method; without poison, a row a trigger."""
    lines = results.lines_of(f"reopening-{dataset}.jsonl")
    groups: dict[str, list[Line]] = {}
    for line in lines:
        poisoned = "poison" in line["spec"] and line["spec"]["poison"] != "none"
        name = {"none": "not cleansed"}.get(line["method"], line["method"])
        groups.setdefault(name if poisoned else f"never poisoned, {line['trigger']}", []).append(line)
    counts = lines[0]["poisoned"]
    rows = [
        [
            name,
            str(len(own)),
            _mean([line["success_before"] for line in own]),
            *(_mean([line["success"][place] for line in own]) for place in range(len(counts))),
        ]
        for name, own in groups.items()
    ]
    return table(["network", "networks", "before tuning", *(f"{count} poisoned" for count in counts)], rows)


def _mean(pairs: Sequence[Sequence[int]]) -> str:
    """The mean of shares that are given as a count and an n."""
    return percent(fmean(count / n for count, n in pairs))


def theories(dataset: str) -> str:
    """How often each of two theories is right about the maps' cells."""
    found = map_cells(dataset)
    rows = [[name, percent(rate.value), f"{rate.count} of {rate.n}"] for name, rate in right(found).items()]
    return table(
        [
            "adversarial training opens the door if",
            "right",
            f"of {len(found)} cells, those that moved beyond chance",
        ],
        rows,
    )
