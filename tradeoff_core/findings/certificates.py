"""The two certificates of digits, as data: interval bounds over ε, a vote of networks over poisoned training images."""

from dataclasses import dataclass
from functools import cache

from tradeoff_core.findings.results import lines_of
from tradeoff_core.rates import Rate


@dataclass(frozen=True, slots=True)
class Certificate:
    """Certified accuracy at each of `at`: ε, or numbers of poisoned training images. `name` is a model, or how many networks vote."""

    name: str
    at: tuple[float, ...]
    accuracy: tuple[Rate, ...]


@cache
def over_epsilon(dataset: str) -> tuple[Certificate, ...]:
    """What interval bounds prove of each network that was trained by them."""
    return tuple(
        Certificate(
            line["model"],
            tuple(line["epsilons"]),
            tuple(Rate(count, line["n"]) for count in line["certified"]),
        )
        for line in lines_of(f"bounds-{dataset}.jsonl")
    )


@cache
def over_poison(dataset: str) -> tuple[Certificate, ...]:
    """What deep partition aggregation proves, from no poisoned image on, for each number of networks."""
    return tuple(
        Certificate(
            f"{line['parts']} networks",
            tuple(range(len(line["certified"]))),
            tuple(Rate(count, line["n"]) for count in line["certified"]),
        )
        for line in lines_of(f"partition-{dataset}.jsonl")
    )
