"""How much of the paper is measured here, and how near it comes: coverage, pairs of numbers, and a verdict by data set."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from statistics import fmean, median

from tradeoff_core.findings import coverage, paper_tables
from tradeoff_core.findings.paper_tables import DATASETS, Row


class Kind(StrEnum):
    """What a published number is, in a few words."""

    BACKDOOR = "backdoor success"
    UNLEARNED = "backdoor success after a defense"
    ADVERSARIAL = "adversarial or certified accuracy"
    CLEAN = "accuracy on clean images"
    FOUND = "poison found"


KINDS = {
    "backdoor_success_rate": Kind.BACKDOOR,
    "backdoor_success_rate_before": Kind.BACKDOOR,
    "backdoor_success_rate_after": Kind.UNLEARNED,
    "adversarial_accuracy": Kind.ADVERSARIAL,
    "certified_accuracy": Kind.ADVERSARIAL,
    "clean_accuracy": Kind.CLEAN,
    "recall_without_defense": Kind.CLEAN,
    "recall_with_defense": Kind.CLEAN,
    "detection_rate": Kind.FOUND,
    "detection_rate_spectral": Kind.FOUND,
    "detection_rate_clustering": Kind.FOUND,
}


@dataclass(frozen=True, slots=True)
class Covered:
    """The published rows of a data set: with ours beside them, without yet, and not to be had."""

    dataset: str
    here: int
    later: int
    never: int

    @property
    def published(self) -> int:
        """How many there are."""
        return self.here + self.later + self.never


@cache
def covered() -> tuple[Covered, ...]:
    """The coverage of each data set of the paper."""
    found = []
    for dataset in DATASETS:
        rows = [row for row in paper_tables.rows() if row.published and row.dataset == dataset]
        here = sum(bool(row.measured) for row in rows)
        never = sum(row.missing == coverage.NEVER for row in rows)
        found.append(Covered(dataset, here, len(rows) - here - never, never))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Pair:
    """A published number of the row with this name, and ours, a seed each, all in [0, 1]."""

    row: str
    table: str
    dataset: str
    condition: str
    metric: str
    published: float
    ours: tuple[float, ...]

    @property
    def kind(self) -> Kind:
        """What the number is."""
        return KINDS[self.metric]

    @property
    def mean(self) -> float:
        """Ours, over the seeds."""
        return fmean(self.ours)


@cache
def pairs() -> tuple[Pair, ...]:
    """Every published rate that was measured here too."""
    return tuple(
        Pair(
            row.name,
            row.table,
            row.dataset,
            row.condition,
            metric,
            row.published[metric],
            row.measured[metric],
        )
        for row in paper_tables.rows()
        for metric in KINDS
        if metric in row.published and metric in row.measured
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A data set's rows: whose backdoor success moves as published, in every seed, of how many; and how far off ours is.

    `distance` is the median distance of our backdoor success from the published one, None without any.
    """

    dataset: str
    alike: int
    steady: int
    known: int
    others: tuple[Row, ...]
    distance: float | None


@cache
def verdicts() -> tuple[Verdict, ...]:
    """The verdict on each data set of the paper."""
    found = []
    for dataset in DATASETS:
        known = [
            one
            for one in paper_tables.comparisons()
            if one.row.dataset == dataset and one.reproduced is not None
        ]
        alike = [one for one in known if one.reproduced]
        off = [
            abs(pair.mean - pair.published)
            for pair in pairs()
            if pair.dataset == dataset and pair.metric == "backdoor_success_rate"
        ]
        found.append(
            Verdict(
                dataset,
                len(alike),
                sum(one.in_every_seed for one in alike),
                len(known),
                tuple(one.row for one in known if not one.reproduced),
                median(off) if off else None,
            )
        )
    return tuple(found)
