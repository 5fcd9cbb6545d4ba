"""Measured results in assets/results/, as data."""

import io
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.files import read_lines, write_atomically, write_lines
from tradeoff_core.common.half import in_half
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.common.tables import csv_table
from tradeoff_core.datasets import UNREADABLE
from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict, spec_to_dict
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.rates import Mean, Rate, rate

if TYPE_CHECKING:  # who reads lines needs no defense
    from tradeoff_core.defenses.detection import Examples
    from tradeoff_core.defenses.neural_cleanse import Triggers

APP_FIGURES = RESULTS / "app-figures.json"  # how fast the app is
PEERS_SPEED = RESULTS / "peers-speed.json"  # how fast the core is beside other libraries
EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)  # of the shipped accuracies of digits,
LEVELS = tuple(level / 255 for level in (0, 1, 2, 4, 6, 8, 12, 16))  # and of photographs


def epsilons(channels: int) -> tuple[float, ...]:
    """The ε at which images with so many channels are attacked: grey ones are digits, the others photographs."""
    return EPSILONS if channels == 1 else LEVELS


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run of a sweep, and the name of the grid that asked for it.

    `second_accuracy` is adversarial accuracy under the spec's second evaluation; `certified_accuracy` is at its ε
    (at the first evaluation's if there is no second).
    """

    name: str
    spec: ExperimentSpec
    clean_accuracy: Rate
    adversarial_accuracy: Rate
    backdoor_success_rate: Rate
    condition: str = ""
    second_accuracy: Rate | None = None
    certified_accuracy: Rate | None = None

    @property
    def epsilon(self) -> float:
        """The training ε, 0 for standard training."""
        return self.spec.training.epsilon

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.spec.seed


def lines_of(name: str) -> list[dict[str, Any]]:
    """The lines of a file in assets/results/, none if there is no such file."""
    return read_lines(RESULTS / name)


def write_results(name: str, lines: Iterable[dict[str, Any]]) -> None:
    """Write lines of results to assets/results/, with null for NaN, which JSON does not know."""
    write_lines(
        RESULTS / name,
        ({key: None if value != value else value for key, value in line.items()} for line in lines),
    )


@cache
def sweep(name: str, dataset: str) -> tuple[Run, ...]:
    """The committed runs of a sweep on a data set, those that failed left out."""
    return tuple(_run(line) for line in lines_of(f"{name}-{dataset}.jsonl") if "metrics" in line)


def _run(line: dict[str, Any]) -> Run:
    first, second = line["metrics"], line.get("second_metrics")
    last = second or first
    return Run(
        line["run"],
        spec_from_dict(line["spec"]),
        rate(first, "clean_accuracy"),
        rate(first, "adversarial_accuracy"),
        rate(first, "backdoor_success_rate"),
        line.get("name", ""),
        rate(second, "adversarial_accuracy") if second else None,
        rate(last, "certified_accuracy") if "certified_accuracy" in last else None,
    )


def curve(dataset: str) -> tuple[Run, ...]:
    """The committed runs of a data set's trade-off curve, or standard and adversarial training of its tables.

    None unless standard training is among them.
    """
    ends = ("standard", "adversarial")
    runs = sweep("curve", dataset) or tuple(run for run in sweep("tables", dataset) if run.condition in ends)
    return runs if any(run.epsilon == 0 for run in runs) else ()


def as_csv(runs: tuple[Run, ...], yours: Collection[str] = ()) -> str:
    """The runs as a CSV table, a row each: rates in [0, 1], the whole recipe as JSON, and whether it is one of `yours`, by name."""
    rates = ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")
    columns = [
        "run",
        "yours",
        "training_epsilon",
        "epochs",
        "seed",
        *rates,
        "n",
        "backdoor_n",
        "attack",
        "recipe",
    ]
    rows = []
    for run in runs:
        measured = [getattr(run, name).value for name in rates]
        counts = [run.clean_accuracy.n, run.backdoor_success_rate.n]
        recipe = json.dumps(spec_to_dict(run.spec))
        made = [run.name, run.name in yours, run.epsilon, run.spec.epochs, run.seed]
        rows.append([*made, *measured, *counts, run.spec.evaluation, recipe])
    return csv_table(columns, rows)


def mean_rates(runs: tuple[Run, ...], epsilon: float) -> tuple[float, float]:
    """Mean adversarial accuracy and mean backdoor success over the seeds at one training ε."""
    chosen = [run for run in runs if run.epsilon == epsilon]
    return (
        fmean(run.adversarial_accuracy.value for run in chosen),
        fmean(run.backdoor_success_rate.value for run in chosen),
    )


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured once for a model of the zoo and holds as long as its weights are the same."""

    epsilons: tuple[float, ...]
    accuracies: dict[int, tuple[Rate, ...]]  # steps of l-inf PGD -> accuracy at each of the epsilons
    positions: NDArray[
        np.float64
    ]  # backdoor success by row and column of the sticker's corner; NaN if not tried
    position_n: int
    stride: int  # of the places tried

    @property
    def places(self) -> str:
        """Which places were tried, in words."""
        return "every place" if self.stride == 1 else f"every {self.stride} rows and columns"


@cache
def measurement(sha256: str) -> Measurement | None:
    """The shipped measurement of the weights with this checksum, None if there is none."""
    for line in lines_of("measurements.jsonl"):
        if line["sha256"] == sha256:
            return Measurement(
                tuple(line["epsilons"]),
                {
                    int(steps): tuple(Rate(line["n"] - fooled, line["n"]) for fooled in counts)
                    for steps, counts in line["fooled_by_steps"].items()
                },
                np.array(line["positions"], dtype=float),
                line["position_n"],
                line.get("stride", 1),
            )
    return None


@dataclass(frozen=True, slots=True)
class Defended:
    """What a defense found in one training set, and the rates before and after retraining without it.

    `method` is also "random": as many removed as by spectral signatures, but drawn. `numbers` are those of the
    command `detect`; `before` and `after` hold the three rates and the target class's recall, `after` is None
    where nothing was removed or the network was not retrained.
    """

    run: str
    spec: ExperimentSpec
    method: str
    rule: str | None
    centred: bool | None
    numbers: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any] | None

    @property
    def as_in_the_paper(self) -> bool:
        """Whether a sticker was searched for, with standard training if dirty-label, adversarial if clean-label."""
        poison, attack = self.spec.poison, self.spec.training.attack
        if poison is None or not isinstance(poison.trigger, Sticker):
            return False
        return (poison.labels is PoisonLabels.DIRTY) == (attack is None)


@cache
def defended(dataset: str) -> tuple[Defended, ...]:
    """The committed inspections of a data set."""
    return tuple(
        Defended(
            line["run"],
            spec_from_dict(line["spec"]),
            line["method"],
            line["rule"],
            line["centred"],
            line,
            line["before"],
            line["after"],
        )
        for line in lines_of(f"detection-{dataset}.jsonl")
    )


@dataclass(frozen=True, slots=True)
class Cleansed:
    """What Neural Cleanse made of one network; `numbers` are those of the command `cleanse`.

    A control's triggers were rebuilt but nothing was unlearned: its `numbers` lack before, after and steps.
    """

    run: str
    sha256: str
    spec: ExperimentSpec
    numbers: dict[str, Any]


@cache
def cleansed(dataset: str) -> tuple[Cleansed, ...]:
    """The committed runs of Neural Cleanse on a data set's networks."""
    return tuple(
        Cleansed(line["run"], line["sha256"], spec_from_dict(line["spec"]), line)
        for line in lines_of(f"neural-cleanse-{dataset}.jsonl")
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """What was measured on one network's attributions and features; see tradeoff_core.explanations.sticker_share.

    `shares` holds for each method the mean share of the attribution for the target class that lies on the sticker's
    pixels, before and after it is there; empty for a watermark, which covers everything, as is `covered`, the share of
    the image that the sticker covers. `landing` counts adversarial examples by the class that they end in.
    """

    model: str
    sha256: str
    spec: ExperimentSpec
    success: Rate
    n: int
    covered: float | None
    shares: dict[str, tuple[Mean, Mean]]
    fading: dict[str, Any]
    attack: str
    landing: NDArray[np.int64]
    separation: dict[str, float | None]


@cache
def causes(dataset: str) -> tuple[Cause, ...]:
    """The committed measurements of a data set's networks."""
    return tuple(
        Cause(
            line["model"],
            line["sha256"],
            spec_from_dict(line["spec"]),
            Rate(round(line["backdoor_success_rate"] * line["backdoor_n"]), line["backdoor_n"]),
            line["n"],
            line.get("covered"),
            {
                name: (_mean(found["clean"]), _mean(found["stamped"]))
                for name, found in line.get("share", {}).items()
            },
            line["fading"],
            line["landing"]["attack"],
            np.array(line["landing"]["counts"]),
            line["separation"],
        )
        for line in lines_of(f"cause-{dataset}.jsonl")
    )


def _mean(found: dict[str, Any]) -> Mean:
    return Mean(found["mean"], found["half"], found["n"], found["missing"])


def save_triggers(sha256: str, triggers: "Triggers") -> None:
    """Keep the triggers that were rebuilt from the weights with this checksum, to the precision of a picture."""
    archive = io.BytesIO()
    np.savez_compressed(
        archive,
        masks=in_half(triggers.masks).numpy(),
        patterns=in_half(triggers.patterns).numpy(),
        success=triggers.success,
        frames=triggers.frames,
    )
    write_atomically(RESULTS / "triggers" / f"{sha256[:16]}.npz", archive.getvalue())


def load_triggers(sha256: str) -> "Triggers | None":
    """The shipped triggers of the weights with this checksum, None if there are none that can be read."""
    import torch

    from tradeoff_core.defenses.neural_cleanse import Triggers

    try:
        with np.load(RESULTS / "triggers" / f"{sha256[:16]}.npz", allow_pickle=False) as archive:
            return Triggers(
                torch.from_numpy(archive["masks"].astype(np.float32)),
                torch.from_numpy(archive["patterns"].astype(np.float32)),
                archive["success"],
                archive["frames"],
            )
    except (*UNREADABLE, KeyError):
        return None


def save_examples(sha256: str, examples: "Examples") -> None:
    """Keep what the network with this checksum makes of a class's training examples; features as float16 if that holds."""
    import torch

    archive, seen = io.BytesIO(), examples.seen
    np.savez_compressed(
        archive,
        label=seen.label,
        layer=examples.layer,
        index=seen.index.astype(np.int32),
        features=in_half(torch.from_numpy(seen.features)).numpy(),
        poisoned=seen.poisoned,
        predicted=examples.predicted.astype(np.int16),
        checksum=examples.checksum,
    )
    write_atomically(RESULTS / "examples" / f"{sha256[:16]}.npz", archive.getvalue())


def load_examples(sha256: str) -> "Examples | None":
    """The shipped examples of the network with this checksum, None if there are none that can be read."""
    from tradeoff_core.defenses.detection import ClassFeatures, Examples

    try:
        with np.load(RESULTS / "examples" / f"{sha256[:16]}.npz", allow_pickle=False) as archive:
            seen = ClassFeatures(
                int(archive["label"]),
                archive["index"].astype(np.int64),
                archive["features"].astype(np.float32),
                archive["poisoned"],
            )
            predicted = archive["predicted"].astype(np.int64)
            return Examples(seen, str(archive["layer"]), predicted, int(archive["checksum"]))
    except (*UNREADABLE, KeyError):
        return None
