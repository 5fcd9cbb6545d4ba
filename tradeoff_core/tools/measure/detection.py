"""What spectral signatures and activation clustering find: assets/results/detection-*.jsonl and game-*.jsonl.

A line for each inspection of a poisoned network's target class; with retraining also what training anew gives without what
each defense flags (supplement table 5), and for digits with standard training without as many drawn at random. A level of the
game is what both defenses remove. The zoo's networks for photographs keep the features that were read, in
assets/results/examples/.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tradeoff_core.common.devices import best_device
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.activation_clustering import Rule
from tradeoff_core.defenses.applied import Finding, Inspection, Method, inspect_features, without
from tradeoff_core.defenses.detection import Detection, Examples, read_examples
from tradeoff_core.defenses.finding import LATER, Evidence, can_be_asked, find
from tradeoff_core.defenses.spectral_signatures import highest
from tradeoff_core.experiments.run import poisoned_training_set, run_experiment
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec, spec_to_dict
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks.inference import Floats, predicted_classes
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.tools.measure.lines import Line, file_of, holds, update
from tradeoff_core.tools.measure.networks import in_the_zoo, is_digits, placed, specs_of

RANDOM = "random"  # the method of a line that tells what chance does
INSPECTIONS = (
    Inspection(Method.SPECTRAL),
    Inspection(Method.SPECTRAL, centred=False),
    *(Inspection(Method.CLUSTERING, rule=rule) for rule in Rule),
)


def examples_of(model: Model) -> Examples:
    """The training examples of the target class: as they are shipped, else read now, and kept if they are the zoo's photographs."""
    read = results.load_examples(model.sha256)
    if read is None:
        network = placed(model)
        layer = network.layers[-1]
        read = read_examples(network, poisoned_training_set(model.spec), model.spec.target_class, layer)
        if in_the_zoo(model) and not is_digits(model):
            results.save_examples(model.sha256, read)
    return read


def inspected(model: Model) -> Iterator[tuple[Inspection, Finding]]:
    """What each defense finds among the training examples of the target class."""
    seen = examples_of(model).seen
    for inspection in INSPECTIONS:
        yield inspection, inspect_features(seen, inspection)


def with_recall(model: Model) -> dict[str, Any]:
    """The card's rates, and the recall of the target class."""
    spec = model.spec
    test = load_dataset(spec.dataset, Split.TEST)
    of_target = test.take(np.flatnonzero(test.labels == spec.target_class))
    predicted = predicted_classes(zoo.load_network(model).to(best_device()), of_target.images)
    recall = float((predicted == spec.target_class).mean())
    return {**model.card.metrics, "target_recall": recall, "target_n": len(of_target)}


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


def lines(model: Model) -> list[Line]:
    """A line for each inspection, and for chance where retraining tells what it does."""
    before, made = with_recall(model), []
    for inspection, finding in inspected(model):
        known = named(inspection, finding)
        made.append(_line(model, known, finding.detection, before))
        if inspection == INSPECTIONS[0] and _has_chance(model):
            chance = at_random(finding.detection, model.spec.seed)
            made.append(_line(model, known | {"method": RANDOM}, chance, before))
    return made


def _line(model: Model, known: Line, detection: Detection, before: dict[str, Any]) -> Line:
    return {
        "run": model.spec.id,
        "sha256": model.sha256,
        **known,
        **detection.document(),
        "before": before,
        "after": None,
        "spec": spec_to_dict(model.spec),
    }


def at_random(detection: Detection, seed: int) -> Detection:
    """As many of the same examples removed, but drawn at random: what chance does."""
    scores = np.random.default_rng(seed).random(len(detection.index))
    removed = highest(scores, int(detection.removed.sum()))
    return Detection(detection.index, scores, removed, detection.poisoned)


def _has_chance(model: Model) -> bool:
    """After adversarial training spectral signatures are themselves no better than chance, so that needs no line of its own."""
    return is_digits(model) and model.spec.training.attack is None and is_retrained(model)


def is_retrained(model: Model) -> bool:
    """Whether it is trained anew without what defenses flag: of the grid's digits those with the most poison of its kind."""
    poison = model.spec.poison
    if poison is None or not is_digits(model):
        return True
    others = (spec.poison for spec in specs_of("defenses").values() if spec.poison)
    return poison.rate >= max(other.rate for other in others if other.labels is poison.labels)


def retrain(model: Model, runs: Path) -> None:
    """Fill in what training anew gives after each inspection, as in the paper: spectral signatures centred.

    A run each in the folder `runs`, which is resumed, or skipped if it is there. What is filled in stays.
    """
    if not unfilled(model):
        return
    for inspection, finding in inspected(model):
        detection, known = finding.detection, named(inspection, finding)
        wanted = [(known, detection)]
        if inspection == INSPECTIONS[0] and _has_chance(model):
            wanted.append((known | {"method": RANDOM}, at_random(detection, model.spec.seed)))
        for names, removing in wanted:
            if any(_is(line, names) for line in unfilled(model)):
                _fill_in(model, names, removing, runs)


def unfilled(model: Model) -> list[Line]:
    """The lines of a network that await retraining: something was removed, by a defense as the paper has it."""
    return [
        line
        for line in results.lines_of(file_of("detection", model))
        if holds(line, model) and line["after"] is None and line["n_removed"] and line["centred"] is not False
    ]


def _is(line: Line, known: Line) -> bool:
    return all(line[key] == known[key] for key in ("method", "centred", "rule"))


def _fill_in(model: Model, known: Line, detection: Detection, runs: Path) -> None:
    """Train without what was removed, and tell in the line what came of it."""
    spec = without(model.spec, detection.index[detection.removed])
    run_experiment(spec, runs / spec.id)
    # the very images that were removed: clustering may differ by one on another machine
    found = known | detection.document() | {"after": with_recall(zoo.find_model(str(runs / spec.id)))}
    update("detection", model, lambda line: _is(line, known), found)
    print("retrained", spec.id, file=sys.stderr, flush=True)


def is_a_level(model: Model) -> bool:
    """Whether the game has it: the digits of its grid, and the zoo's photographs with clean-label poison, trained adversarially."""
    if is_digits(model):
        return model.spec.id in specs_of("levels")
    poison, attack = model.spec.poison, model.spec.training.attack
    clean_label = poison is not None and poison.labels is PoisonLabels.CLEAN
    return clean_label and attack is not None and in_the_zoo(model)


def levels(model: Model) -> list[Line]:
    """The line of a level."""
    line = level_of_the_game(model.spec, with_recall(model), inspected(model))
    if is_digits(model):
        line |= {"later": later(model)}
    else:  # whose pictures may be others on another machine
        line |= {"checksum": examples_of(model).checksum}
    return [{"run": line.pop("run"), "sha256": model.sha256, **line}]


def later(model: Model) -> dict[str, list[int]]:
    """What the detectors that came later would remove of the target class, told as the others how much is poison.

    Of a network without its losses by epoch, as those of the zoo, loss isolation is left out.
    """
    spec = model.spec
    losses = RunFolder(model.folder).losses(spec.target_class, len(examples_of(model).seen.index))
    evidence = evidence_of(model, np.array(losses) if losses else None)
    asked = [one for one in LATER if can_be_asked(one, evidence)]
    return {finder.value: find(finder, evidence).removed.astype(int).tolist() for finder in asked}


def evidence_of(model: Model, losses: Floats | None) -> Evidence:
    """What detectors are given of the target class's training examples."""
    spec = model.spec
    return Evidence(
        placed(model),
        poisoned_training_set(spec),
        examples_of(model).seen,
        load_dataset(spec.dataset, Split.VALIDATION),
        losses,
        spec.seed,
    )


def level_of_the_game(
    spec: ExperimentSpec, rates: dict[str, Any], inspected: Iterable[tuple[Inspection, Finding]]
) -> Line:
    """What both defenses remove of the target class."""
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
