"""What the detectors found of the poison in measured networks, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict
from tradeoff_core.findings.results import Run, lines_of


@dataclass(frozen=True, slots=True)
class Found:
    """What a detector says of a network's target class, or, with `when` "test", of test images clean and stamped.

    Of `n` examples `n_poisoned` are poisoned (at test time: stamped). `chance` is what removing as many at random finds.
    """

    run: str
    sha256: str
    spec: ExperimentSpec
    finder: str
    when: str
    n: int
    n_poisoned: int
    detection_rate: float
    chance: float
    auroc: float


@cache
def found(dataset: str) -> tuple[Found, ...]:
    """The committed lines of a data set's networks."""
    return tuple(
        Found(
            line["run"],
            line["sha256"],
            spec_from_dict(line["spec"]),
            *(
                line[name]
                for name in ("finder", "when", "n", "n_poisoned", "detection_rate", "chance", "auroc")
            ),
        )
        for line in lines_of(f"finding-{dataset}.jsonl")
    )


def of_network(dataset: str, sha256: str, when: str = "training") -> tuple[Found, ...]:
    """What each detector found in the network with these weights."""
    return tuple(one for one in found(dataset) if one.sha256 == sha256 and one.when == when)


def of_sweep(runs: Sequence[Run], dataset: str) -> dict[tuple[str, str], Found]:
    """What was found in the networks of a sweep's runs, by the poison's name and the detector's, the lowest seed's."""
    by_run = {run.name: run for run in sorted(runs, key=lambda run: -run.seed)}
    lines = [one for one in found(dataset) if one.when == "training" and one.run in by_run]
    ordered = sorted(lines, key=lambda one: -by_run[one.run].seed)
    return {(by_run[one.run].condition, one.finder): one for one in ordered}
