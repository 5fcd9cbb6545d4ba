"""Measured results in assets/results/, and the paper's published ones, as data."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from tradeoff_core.evaluation import Rate
from tradeoff_core.experiments import ExperimentSpec, spec_from_dict
from tradeoff_core.paths import RESULTS


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run of a curve, or one published row (seed None, no counts: n is 0)."""

    epsilon: float
    seed: int | None
    clean_accuracy: Rate
    adversarial_accuracy: Rate
    backdoor_success_rate: Rate
    spec: ExperimentSpec
    name: str


def _lines(name: str) -> list[dict[str, Any]]:
    path = RESULTS / name
    return [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []


@cache
def curve(dataset: str) -> tuple[Run, ...]:
    """The committed runs of a data set's trade-off curve."""
    runs = []
    for line in _lines(f"curve-{dataset}.jsonl"):
        spec, metrics = spec_from_dict(line["spec"]), line["metrics"]

        def rate(name: str, n: str = "n", metrics: dict[str, Any] = metrics) -> Rate:
            return Rate(round(metrics[name] * metrics[n]), metrics[n])

        runs.append(
            Run(
                spec.training.epsilon,
                spec.seed,
                rate("clean_accuracy"),
                rate("adversarial_accuracy"),
                rate("backdoor_success_rate", "backdoor_n"),
                spec,
                line["run"],
            )
        )
    return tuple(runs)
