"""Train and measure what the pages on finding poison show, and write assets/results/detection-mnist-5k.jsonl.

python -m tradeoff_core.tools.defenses [--runs FOLDER] [--threads N] [--part K/M]

Three poison rates of dirty-label poison with standard training and of clean-label poison with adversarial
training, three seeds each; at the largest rate also what retraining gives after each defense removed what it
flags, and (standard training) after as many were removed at random. Then the levels of the game (game-mnist-5k.jsonl). Every run lies
in FOLDER and is resumed or skipped if it is there; `--part 1/2` and `--part 2/2` in two terminals share the
training, and what is finished is published at the end of each.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tradeoff_core import zoo
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.activation_clustering import Rule
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.defenses.models import Finding, Inspection, Method, inspect, without
from tradeoff_core.defenses.spectral_signatures import highest
from tradeoff_core.evaluation import predicted_classes
from tradeoff_core.experiments import poisoned_training_set, run_experiment
from tradeoff_core.paths import RESULTS, write_atomically
from tradeoff_core.poisoning import Poison, PoisonLabels
from tradeoff_core.presets import HALF, training_at
from tradeoff_core.specs import ExperimentSpec, spec_to_dict
from tradeoff_core.tools import share_of_work
from tradeoff_core.tools.curve import SEEDS
from tradeoff_core.triggers import Sticker

RATES = (0.05, 0.01, 0.005)  # of the data set, as main table 3 has them
GAME_STICKERS = (
    Sticker(),
    Sticker(size=2),
    Sticker(size=1),
    Sticker(opacity=0.4),
    Sticker(opacity=0.15),
)
INSPECTIONS = (
    Inspection(Method.SPECTRAL),
    Inspection(Method.SPECTRAL, centred=False),
    *(Inspection(Method.CLUSTERING, rule=rule) for rule in Rule),
)


def condition(labels: PoisonLabels, rate: float, seed: int) -> ExperimentSpec:
    """Dirty-label with standard training, or clean-label with adversarial training; `rate` of the data set."""
    if labels is PoisonLabels.DIRTY:
        return ExperimentSpec(width=HALF, poison=Poison(labels, rate), seed=seed)
    return ExperimentSpec(width=HALF, poison=Poison(labels, 10 * rate), training=training_at(0.3), seed=seed)


def conditions() -> list[ExperimentSpec]:
    """Every poison rate, both kinds of poison, three seeds."""
    return [condition(labels, rate, seed) for rate in RATES for labels in PoisonLabels for seed in SEEDS]


def game() -> list[ExperimentSpec]:
    """The game's levels: clean-label poison on half of class 7, ever harder to see, adversarial training."""
    return [
        ExperimentSpec(width=HALF, poison=Poison(trigger=sticker), training=training_at(0.3))
        for sticker in GAME_STICKERS
    ]


def inspected(spec: ExperimentSpec, runs: Path) -> Iterator[tuple[Inspection, Finding]]:
    """What each defense finds in the training set of a finished run."""
    network, training = zoo.load_network(zoo.find_model(str(runs / spec.id))), poisoned_training_set(spec)
    for inspection in INSPECTIONS:
        yield inspection, inspect(network, training, spec.target_class, inspection)


def at_random(detection: Detection, seed: int) -> Detection:
    """As many of the same examples removed, but drawn at random: what chance does."""
    scores = np.random.default_rng(seed).random(len(detection.index))
    removed = highest(scores, int(detection.removed.sum()))
    return Detection(detection.index, scores, removed, detection.poisoned)


def named(inspection: Inspection, finding: Finding) -> dict[str, Any]:
    """What tells an inspection from the others in a line of results."""
    clustering = inspection.method is Method.CLUSTERING
    return {
        "method": inspection.method.value,
        "layer": inspection.layer,
        "centred": None if clustering else inspection.centred,
        "rule": inspection.rule.value if clustering else None,
        "verdict": finding.verdict.reason if finding.verdict else None,
    }


def level_of_the_game(
    spec: ExperimentSpec, rates: dict[str, Any], inspected: Iterable[tuple[Inspection, Finding]]
) -> dict[str, Any]:
    """A line of the game: what both defenses remove of the target class."""
    found = {
        (inspection.method, inspection.rule): finding
        for inspection, finding in inspected
        if inspection.centred
    }
    spectral = found[Method.SPECTRAL, Rule.SIZE].detection
    clustering = found[Method.CLUSTERING, Rule.SILHOUETTE]
    return {
        "run": spec.id,
        "index": spectral.index.tolist(),
        "poisoned": spectral.poisoned.astype(int).tolist(),
        "spectral": spectral.removed.astype(int).tolist(),
        "clustering": clustering.detection.removed.astype(int).tolist(),
        "verdict": clustering.verdict.reason if clustering.verdict else None,
        "metrics": rates,
        "spec": spec_to_dict(spec),
    }


def entries(spec: ExperimentSpec, runs: Path) -> Iterator[tuple[dict[str, Any], Detection, bool]]:
    """For every defense and for chance: what names it, its detection, and whether to retrain."""
    largest = spec in [condition(labels, RATES[0], seed) for labels in PoisonLabels for seed in SEEDS]
    for inspection, finding in inspected(spec, runs):
        name, detection = named(inspection, finding), finding.detection
        yield name, detection, largest and inspection.centred and bool(detection.removed.any())
        if inspection == INSPECTIONS[0] and largest and spec.training.attack is None:
            # after adversarial training spectral signatures are themselves no better than chance
            yield name | {"method": "random"}, at_random(detection, spec.seed), True


def with_recall(model: zoo.Model) -> dict[str, Any]:
    """The card's rates, and the recall of the target class."""
    spec = model.spec
    test = load_dataset(spec.dataset, Split.TEST)
    of_target = test.take(np.flatnonzero(test.labels == spec.target_class))
    predicted = predicted_classes(zoo.load_network(model), of_target.images)
    recall = float((predicted == spec.target_class).mean())
    return {**model.card["metrics"], "target_recall": recall, "target_n": len(of_target)}


def measured(folder: Path) -> dict[str, Any] | None:
    """A finished run's rates and the target class's recall, None if it is not finished."""
    return with_recall(zoo.find_model(str(folder))) if (folder / "result.json").exists() else None


def publish(runs: Path) -> None:
    """Write a line for every defense on every finished condition, and one for every finished level."""
    lines = []
    for spec in conditions():
        before = measured(runs / spec.id)
        if before is None:
            continue
        for name, detection, retrain in entries(spec, runs):
            again = without(spec, detection.index[detection.removed]) if retrain else None
            lines.append(
                {
                    "run": spec.id,
                    **name,
                    **detection.document(),
                    "before": before,
                    "after": measured(runs / again.id) if again else None,
                    "spec": spec_to_dict(spec),
                }
            )
    write("detection-mnist-5k.jsonl", lines)
    levels = []
    for spec in game():
        rates = measured(runs / spec.id)
        if rates is None:
            continue
        levels.append(level_of_the_game(spec, rates, inspected(spec, runs)))
    write("game-mnist-5k.jsonl", levels)


def write(name: str, lines: Sequence[dict[str, Any]]) -> None:
    """Write lines of results to assets/results/."""
    text = "".join(json.dumps(_finite(line)) + "\n" for line in lines)
    write_atomically(RESULTS / name, text.encode())


def _finite(line: dict[str, Any]) -> dict[str, Any]:
    """The line with null for NaN, which JSON does not know."""
    return {key: None if value != value else value for key, value in line.items()}


def main() -> None:
    """Train what is missing, then publish what is there."""
    runs, mine = share_of_work(__doc__)

    def train(spec: ExperimentSpec) -> None:
        result = run_experiment(spec, runs / spec.id)
        print(json.dumps(result), file=sys.stderr, flush=True)

    for spec in conditions()[mine]:
        train(spec)
        for _, detection, retrain in entries(spec, runs):
            if retrain:
                train(without(spec, detection.index[detection.removed]))
    for spec in game()[mine]:
        train(spec)
    publish(runs)


if __name__ == "__main__":
    main()
