"""Tables of what takes a back door out of a trained network, and of how few poisoned images bring it back."""

from collections.abc import Sequence
from statistics import fmean

from tradeoff_core.findings import removal
from tradeoff_core.findings.paper_tables import RATES
from tradeoff_core.findings.removal import Removed, Reopened
from tradeoff_core.findings.theories import map_cells, right
from tradeoff_core.rates import Rate
from tradeoff_core.tools.tables.markdown import change, percent, table


def removals(dataset: str) -> str:
    """The mean of the networks before and after each removal, a row a method."""
    groups: dict[str, list[Removed]] = {}
    for one in removal.removals(dataset):
        groups.setdefault(one.method, []).append(one)
    rows = [
        [
            method,
            str(len(own)),
            str(own[0].images),
            *(
                change([one.before[name].value for one in own], [one.after[name].value for one in own])
                for name in RATES
            ),
            f"{fmean(one.seconds for one in own):.1f}",
        ]
        for method, own in groups.items()
    ]
    names = [name.removesuffix("_rate").replace("_", " ") for name in RATES]
    return table(["method", "networks", "clean images", *names, "seconds"], rows)


def reopenings(dataset: str) -> str:
    """Mean backdoor success after tuning on each number of poisoned images, a row a method; without poison, a row a trigger."""
    groups: dict[str, list[Reopened]] = {}
    for one in removal.reopenings(dataset):
        name = "not cleansed" if one.method == "none" else one.method
        groups.setdefault(f"never poisoned, {one.trigger}" if one.is_control else name, []).append(one)
    rows = [
        [name, str(len(own)), _mean([one.before for one in own])]
        + [_mean(success) for success in zip(*(one.success for one in own), strict=True)]
        for name, own in groups.items()
    ]
    counts = next(iter(removal.reopenings(dataset))).counts
    return table(["network", "networks", "before tuning", *(f"{count} poisoned" for count in counts)], rows)


def _mean(rates: Sequence[Rate]) -> str:
    return percent(fmean(one.value for one in rates))


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
