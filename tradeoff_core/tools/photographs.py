"""Measure the defenses on the zoo's networks for photographs, and write what the pages show of that.

TRADEOFF_DATA=... python -m tradeoff_core.tools.photographs [--threads N] [--retrain RUNS] [MODEL ...]

For every poisoned one: the features of its target class's training examples (assets/results/examples/), what spectral
signatures and activation clustering find there (detection-*.jsonl), a level of the game if it was trained adversarially
on clean-label poison (game-*.jsonl). For every one, Neural Cleanse (neural-cleanse-*.jsonl and triggers/). What is there
for a network's weights is kept. With --retrain also what training anew gives without the images that each defense
flags (supplement table 5), a run in the folder RUNS each, which is resumed or skipped if it is there.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tradeoff_core import datasets, results, zoo
from tradeoff_core.defenses.detection import Examples, read_examples
from tradeoff_core.defenses.models import cleanse, inspect_features, without
from tradeoff_core.experiments import poisoned_training_set, run_experiment
from tradeoff_core.poisoning import PoisonLabels
from tradeoff_core.specs import spec_to_dict
from tradeoff_core.tools import parser_of
from tradeoff_core.tools.defenses import INSPECTIONS, level_of_the_game, named, with_recall, write
from tradeoff_core.zoo import Model

Line = dict[str, Any]


def photographs() -> list[Model]:
    """The zoo's own networks for photographs whose data set is on this machine."""
    models = [zoo.find_model(name) for name in zoo.model_ids()]
    return [
        model
        for model in models
        if model.spec.dataset != "mnist-5k"
        and not model.trained_elsewhere
        and datasets.available(model.spec.dataset)
    ]


def examples_of(model: Model) -> Examples:
    """The training examples of the target class, as they are shipped, or read now and stored."""
    read = results.load_examples(model.sha256)
    if read is None:
        network = zoo.load_network(model)
        layer = network.layers[-1]
        read = read_examples(network, poisoned_training_set(model.spec), model.spec.target_class, layer)
        results.save_examples(model.sha256, read)
    return read


def detections(model: Model) -> list[Line]:
    """A line for each inspection."""
    examples, before = examples_of(model), with_recall(model)
    lines = []
    for inspection in INSPECTIONS:
        finding = inspect_features(examples.seen, inspection)
        lines.append(
            {
                **named(inspection, finding),
                **finding.detection.document(),
                "before": before,
                "after": None,
            }
        )
    return lines


def retrain(model: Model, runs: Path) -> None:
    """Fill in what training anew gives after each inspection, as in the paper: spectral signatures centred."""
    name, seen = f"detection-{model.spec.dataset}.jsonl", examples_of(model).seen
    for inspection in INSPECTIONS:
        finding = inspect_features(seen, inspection)
        detection, known = finding.detection, named(inspection, finding)
        if not inspection.centred or not detection.removed.any():
            continue
        spec = without(model.spec, detection.index[detection.removed])
        run_experiment(spec, runs / spec.id)
        # the very images that were removed: clustering may differ by one on another machine
        found = known | detection.document() | {"after": with_recall(zoo.find_model(str(runs / spec.id)))}
        lines = results.lines_of(name)
        for line in lines:
            if line["sha256"] == model.sha256 and all(
                line[key] == known[key] for key in ("method", "centred", "rule")
            ):
                line |= found
        write(name, lines)
        print("retrained", spec.id, file=sys.stderr, flush=True)


def level(model: Model) -> list[Line]:
    """A level of the game, of a network that was trained adversarially on clean-label poison."""
    poison, attack = model.spec.poison, model.spec.training.attack
    if poison is None or poison.labels is not PoisonLabels.CLEAN or attack is None:
        return []
    examples = examples_of(model)
    found = ((inspection, inspect_features(examples.seen, inspection)) for inspection in INSPECTIONS)
    return [level_of_the_game(model.spec, with_recall(model), found) | {"checksum": examples.checksum}]


def cleansed(model: Model) -> list[Line]:
    """A line of Neural Cleanse; the triggers are stored."""
    cleansing = cleanse(zoo.load_network(model, folded=False), model.spec)
    results.save_triggers(model.sha256, cleansing.triggers)
    return [cleansing.document()]


def add(name: str, model: Model, measure: Callable[[Model], list[Line]]) -> None:
    """Put a network's lines into a file of results, unless they are there; those of weights that are gone go too."""
    name = f"{name}-{model.spec.dataset}.jsonl"
    lines = results.lines_of(name)
    if any(line["sha256"] == model.sha256 for line in lines):
        return
    current = {zoo.find_model(name).sha256 for name in zoo.model_ids()}
    kept = [line for line in lines if line["sha256"] in current and line["run"] != model.spec.id]
    known = {"run": model.spec.id, "sha256": model.sha256}
    made = [known | line | {"spec": spec_to_dict(model.spec)} for line in measure(model)]
    if made:
        write(name, [*kept, *made])
        print(name, model.id, file=sys.stderr, flush=True)


def main() -> None:
    """Measure what has no line yet, the quick things first."""
    parser = parser_of(__doc__)
    parser.add_argument("--retrain", type=Path, metavar="RUNS")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    chosen = [model for model in photographs() if not arguments.models or model.id in arguments.models]
    for model in chosen:
        if model.spec.poison:
            add("detection", model, detections)
            add("game", model, level)
    for model in chosen:
        add("neural-cleanse", model, cleansed)
        if arguments.retrain and model.spec.poison:
            retrain(model, arguments.retrain)


if __name__ == "__main__":
    main()
