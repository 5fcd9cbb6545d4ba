"""What Neural Cleanse made of the measured networks: by kind of poison, and of those that have none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings.results import Cleansed, cleansed
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker, Trigger, Watermark

RATES = ("backdoor_success_rate", "clean_accuracy", "adversarial_accuracy")


@dataclass(frozen=True, slots=True)
class Unlearned:
    """What unlearning gave for one kind of poison, with the training that goes with it: adversarial if clean-label.

    `suspected` and `flagged` count the seeds in which the class with the back door was; `before` and `after` hold the
    mean of each of RATES over the seeds.
    """

    labels: PoisonLabels
    trigger: type[Trigger]
    seeds: int
    suspected: int
    flagged: int
    before: dict[str, float]
    after: dict[str, float]


def unlearned(dataset: str, epsilon: float) -> list[Unlearned]:
    """Each kind of poison that was measured, adversarial training at this ε."""
    kinds = ((labels, trigger) for labels in PoisonLabels for trigger in (Sticker, Watermark))
    found = ((kind, _of_kind(cleansed(dataset), *kind, epsilon)) for kind in kinds)
    return [_averaged(*kind, entries) for kind, entries in found if entries]


def _of_kind(
    entries: Sequence[Cleansed], labels: PoisonLabels, trigger: type[Trigger], epsilon: float
) -> list[Cleansed]:
    """The runs with this poison, standard training if dirty-label, adversarial at ε if clean-label."""
    trained_at = None if labels is PoisonLabels.DIRTY else epsilon
    return [
        entry
        for entry in entries
        if (poison := entry.spec.poison)
        and poison.labels is labels
        and isinstance(poison.trigger, trigger)
        and (entry.spec.training.attack and entry.spec.training.attack.epsilon) == trained_at
    ]


def _averaged(labels: PoisonLabels, trigger: type[Trigger], entries: list[Cleansed]) -> Unlearned:
    def means(when: str) -> dict[str, float]:
        return {name: float(np.mean([entry.numbers[when][name] for entry in entries])) for name in RATES}

    return Unlearned(
        labels,
        trigger,
        len(entries),
        sum(entry.numbers["suspect"] == entry.spec.target_class for entry in entries),
        sum(entry.spec.target_class in entry.numbers["flagged_classes"] for entry in entries),
        means("before"),
        means("after"),
    )


def controls(sha256: str, spec: ExperimentSpec) -> dict[str, list[Cleansed]]:
    """What a network is compared with: those without poison, by their training, and its own kind's other seeds."""
    every = cleansed(spec.dataset)
    clean = [entry for entry in every if not entry.spec.poison and entry.sha256 != sha256]
    return {
        "standard, no poison": [entry for entry in clean if not entry.spec.training.attack],
        "adversarial, no poison": [entry for entry in clean if entry.spec.training.attack],
        "this poison, other seeds": [
            entry
            for entry in every
            if spec.poison
            and entry.spec.poison == spec.poison
            and entry.spec.training == spec.training
            and entry.spec.seed != spec.seed
        ],
    }


def alarms(dataset: str) -> tuple[int, int]:
    """In how many of the networks without poison some class is flagged, and how many these are."""
    clean = [entry for entry in cleansed(dataset) if not entry.spec.poison]
    return sum(bool(entry.numbers["flagged_classes"]) for entry in clean), len(clean)
