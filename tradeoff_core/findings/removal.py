"""What the removals left of the measured back doors, and how few poisoned images brought them back, as data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict
from tradeoff_core.findings.paper_tables import RATES
from tradeoff_core.findings.results import lines_of
from tradeoff_core.rates import Rate, rate


@dataclass(frozen=True, slots=True)
class Removed:
    """One removal from one network: each of RATES before and after, the clean images used, and the seconds it took.

    Of ABL `isolated` training examples were unlearned, of which `isolated_poisoned` are poison; None for the others.
    """

    model: str
    sha256: str
    spec: ExperimentSpec
    method: str
    images: int
    before: dict[str, Rate]
    after: dict[str, Rate]
    seconds: float
    isolated: int | None
    isolated_poisoned: int | None


@dataclass(frozen=True, slots=True)
class Reopened:
    """Backdoor success and clean accuracy of one network after tuning on `counts` poisoned images, and success before it.

    `method` is how it was cleansed before, "none" if it was not; `trigger` is the kind that the images wear.
    """

    model: str
    sha256: str
    spec: ExperimentSpec
    method: str
    trigger: str
    counts: tuple[int, ...]
    before: Rate
    success: tuple[Rate, ...]
    clean: tuple[Rate, ...]

    @property
    def is_control(self) -> bool:
        """Whether it was never poisoned."""
        return self.spec.poison is None

    def needed(self, success: float = 0.5) -> int | None:
        """The fewest poisoned images of those tried that bring backdoor success to this share; None if none does."""
        reached = (
            count for count, one in zip(self.counts, self.success, strict=True) if one.value >= success
        )
        return next(reached, None)


@cache
def removals(dataset: str) -> tuple[Removed, ...]:
    """The committed removals from a data set's networks."""
    return tuple(
        Removed(
            line["model"],
            line["sha256"],
            spec_from_dict(line["spec"]),
            line["method"],
            line["images"],
            {name: rate(line["before"], name) for name in RATES},
            {name: rate(line["after"], name) for name in RATES},
            line["seconds"],
            line.get("isolated"),
            line.get("isolated_poisoned"),
        )
        for line in lines_of(f"removal-{dataset}.jsonl")
    )


@cache
def reopenings(dataset: str) -> tuple[Reopened, ...]:
    """The committed reopening curves of a data set's networks."""
    return tuple(
        Reopened(
            line["model"],
            line["sha256"],
            spec_from_dict(line["spec"]),
            line["method"],
            line["trigger"],
            tuple(line["poisoned"]),
            Rate(*line["success_before"]),
            _rates(line["success"]),
            _rates(line["clean"]),
        )
        for line in lines_of(f"reopening-{dataset}.jsonl")
    )


def _rates(pairs: Sequence[Sequence[int]]) -> tuple[Rate, ...]:
    return tuple(Rate(count, n) for count, n in pairs)
