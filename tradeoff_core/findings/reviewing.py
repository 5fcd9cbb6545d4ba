"""How much of a person's time each score wastes, as it was measured."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict
from tradeoff_core.findings.results import lines_of


@dataclass(frozen=True, slots=True)
class Reviewed:
    """How a person's time goes with the `n` training examples of a network's target class, of which so many are poisoned.

    `scores` holds what each is worth (see tradeoff_core.inspection.judging.worth), and `found` after so many `looks`.
    """

    model: str
    sha256: str
    spec: ExperimentSpec
    n: int
    poisoned: int
    looks: list[int]
    scores: dict[str, dict[str, Any]]

    @property
    def least(self) -> list[str]:
        """The scores that waste least of a person's time, several where none wastes less."""
        looks = {name: worth["looks_until_90"] for name, worth in self.scores.items()}
        return [name for name, count in looks.items() if count == min(looks.values())]

    def wasted(self, name: str) -> int:
        """How many clean images a person looks at until 90% of the poison is found."""
        return int(self.scores[name]["looks_until_90"]) - -(-9 * self.poisoned // 10)


@cache
def reviewed(dataset: str) -> tuple[Reviewed, ...]:
    """The committed reviewer's curves of a data set's poisoned networks."""
    return tuple(
        Reviewed(
            line["model"],
            line["sha256"],
            spec_from_dict(line["spec"]),
            line["n"],
            line["n_poisoned"],
            line["looks"],
            line["scores"],
        )
        for line in lines_of(f"reviewing-{dataset}.jsonl")
    )


@dataclass(frozen=True, slots=True)
class Worked:
    """The worked example: how many clicks, what they found, and the network's rates before and after training anew without it."""

    clicks: int
    n: int
    poisoned: int
    removed: int
    recall: float
    before: dict[str, Any]
    after: dict[str, Any]


@cache
def worked(dataset: str) -> Worked | None:
    """The committed worked example of a data set, None if there is none."""
    for line in lines_of(f"worked-example-{dataset}.jsonl"):
        return Worked(
            line["clicks"],
            line["n"],
            line["n_poisoned"],
            line["n_removed"],
            line["recall"],
            line["before"],
            line["after"],
        )
    return None
