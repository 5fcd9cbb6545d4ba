"""The defenses applied to a trained model: what the commands print, the pages show and the tools store."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset, Split, load_dataset
from tradeoff_core.defenses import activation_clustering, spectral_signatures
from tradeoff_core.defenses.activation_clustering import Clusters, Reduction, Rule, Verdict
from tradeoff_core.defenses.detection import ClassFeatures, Detection, class_features, share_to_remove
from tradeoff_core.defenses.neural_cleanse import (
    Reversal,
    Triggers,
    Unlearning,
    rebuild_triggers,
    unlearn,
)
from tradeoff_core.evaluation.blindness import blindness
from tradeoff_core.evaluation.outcomes import backdoor_success, evaluate, fooled_by
from tradeoff_core.experiments.run import metrics
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.poison import PoisonedDataset

KNOWN, MEASURED = 400, 1000  # clean images that triggers are rebuilt on, and images that they are measured on
STEP_IMAGES, STEP_ATTACK_STEPS = 200, 10  # adversarial accuracy between unlearning's epochs, to keep it quick


class Method(StrEnum):
    """The defenses that look at the training set before it is used."""

    SPECTRAL = "spectral-signatures"
    CLUSTERING = "activation-clustering"


@dataclass(frozen=True, slots=True)
class Inspection:
    """How the training examples of one class are inspected.

    `remove_rate` is the share of the class that spectral signatures remove, None for the true share of poison
    as in Weng et al.; clustering removes what its `rule` says.
    """

    method: Method
    layer: str = "penultimate"
    remove_rate: float | None = None
    centred: bool = True
    rule: Rule = Rule.SIZE
    reduction: Reduction = Reduction.ICA
    dimensions: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What an inspection found; clusters and verdict are None for spectral signatures."""

    detection: Detection
    clusters: Clusters | None = None
    verdict: Verdict | None = None


def inspect(network: Network, training: PoisonedDataset, label: int, inspection: Inspection) -> Finding:
    """Inspect the training examples labelled `label`.

    Raises TradeoffError if they are fewer than ten, if the layer or the rate is impossible, and for a true
    share of a class without poison.
    """
    return inspect_features(class_features(network, training, label, inspection.layer), inspection)


def inspect_features(examples: ClassFeatures, inspection: Inspection) -> Finding:
    """Inspect examples whose features were read before, at the inspection's layer. Raises as `inspect` does."""
    if inspection.method is Method.CLUSTERING:
        return Finding(
            *activation_clustering.detect(
                examples,
                inspection.rule,
                dimensions=inspection.dimensions,
                reduction=inspection.reduction,
                seed=inspection.seed,
            )
        )
    rate = share_to_remove(examples, inspection.remove_rate)
    return Finding(spectral_signatures.detect(examples, rate, centred=inspection.centred))


def inspect_all(network: Network, training: PoisonedDataset, inspection: Inspection) -> Detection:
    """Inspect every class by itself, as one who does not know the target must; one verdict on all examples.

    Raises TradeoffError as `inspect` does; spectral signatures need a removal rate here.
    """
    if inspection.method is Method.SPECTRAL and inspection.remove_rate is None:
        raise TradeoffError("for all classes there is no true share to remove: give a removal rate")
    labels = np.unique(training.data.labels)
    parts = [inspect(network, training, int(label), inspection).detection for label in labels]
    return Detection(
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.removed for part in parts]),
        np.concatenate([part.poisoned for part in parts]),
    )


def without(spec: ExperimentSpec, indices: NDArray[np.int64]) -> ExperimentSpec:
    """The spec of the same training after removing these examples of its training set.

    Raises TradeoffError if there is nothing to remove.
    """
    if len(indices) == 0:
        raise TradeoffError("nothing is removed, so retraining would give the same network again")
    before = np.array(spec.removed or (), dtype=np.int64)
    total = len(load_dataset(spec.dataset, Split.TRAIN))
    total = total if spec.images is None else min(total, spec.images)
    kept = np.setdiff1d(np.arange(total), before)  # what the indices count in
    return replace(spec, removed=tuple(int(i) for i in np.union1d(before, kept[indices])))


def measured(network: Network, spec: ExperimentSpec) -> dict[str, Any]:
    """The three rates on at most MEASURED test images under the spec's trigger and attack, and the target class's recall.

    `warnings` are as `experiments.run.measure` has them.
    """
    test = load_dataset(spec.dataset, Split.TEST).spread(MEASURED)
    outcomes = evaluate(network, test.images, test.targets, spec.trigger, spec.evaluation)
    recall, doubts = (
        outcomes.recall(spec.target_class),
        blindness(network, test.images, test.targets).warnings(),
    )
    return (
        metrics(outcomes, spec, spec.evaluation)
        | {"target_recall": recall.value, "target_n": recall.n}
        | ({"warnings": doubts} if doubts else {})
    )


@dataclass(frozen=True, slots=True)
class Cleansing:
    """Rebuilt triggers, and the network before, during and after the suspect's was unlearned.

    `steps` has an entry an epoch; its adversarial accuracy is under a weaker attack on fewer images. `images` and
    `unlearned_on` are how many clean images the triggers were rebuilt and unlearned on.
    """

    triggers: Triggers
    images: int
    unlearned_on: int
    before: dict[str, Any]
    after: dict[str, Any]
    steps: list[dict[str, Any]]
    seconds: float  # of rebuilding

    def document(self) -> dict[str, Any]:
        """The numbers as the command `cleanse` prints them."""
        return {
            **self.triggers.document(),
            "images": self.images,
            "unlearned_on": self.unlearned_on,
            "before": self.before,
            "after": self.after,
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
        }


def cleanse(
    network: Network,
    spec: ExperimentSpec,
    *,
    reversal: Reversal | None = None,
    unlearning: Unlearning | None = None,
    seed: int = 0,
    progress: Callable[[float, NDArray[np.uint8]], None] | None = None,
) -> Cleansing:
    """Rebuild every class's trigger on validation images, unlearn the suspect's, measure on test images.

    Triggers are rebuilt on at most KNOWN of the former, evenly spaced, and measured on at most MEASURED of the latter;
    unlearning takes the whole validation split.

    The suspect is the class with the highest anomaly index, flagged or not. `progress` is told the share that is
    done and the newest frame of the triggers (K, C, H, W).
    """
    data = load_dataset(spec.dataset, Split.VALIDATION)
    few = data.spread(KNOWN)
    unlearning = unlearning or Unlearning()
    started = time.perf_counter()

    def rebuilding(share: float, frame: NDArray[np.uint8]) -> None:
        if progress:
            progress(0.8 * share, frame)

    triggers = rebuild_triggers(network, *few.tensors(), len(data.classes), reversal, seed, rebuilding)
    seconds = time.perf_counter() - started
    test = load_dataset(spec.dataset, Split.TEST).spread(MEASURED)
    steps: list[dict[str, Any]] = []

    def note(epoch: int, current: Network) -> None:
        steps.append({"epoch": epoch, **_rates_at_a_step(current, spec, test)})
        if progress:
            progress(0.8 + 0.15 * epoch / unlearning.epochs, triggers.frames[-1])

    cleansed = unlearn(
        network,
        *data.tensors(),
        lambda inputs: triggers.stamp(inputs, triggers.suspect),
        unlearning,
        seed,
        note,
    )
    return Cleansing(
        triggers, len(few), len(data), measured(network, spec), measured(cleansed, spec), steps, seconds
    )


def _rates_at_a_step(network: Network, spec: ExperimentSpec, test: ImageDataset) -> dict[str, float]:
    """The three rates on test images, adversarial accuracy under a short attack on few of them."""
    attack = spec.evaluation
    short = Attack(attack.norm, attack.epsilon, STEP_ATTACK_STEPS, patch=attack.patch)
    clean = predicted_classes(network, test.images)
    stamped = predicted_classes(network, test.images, spec.trigger)
    return {
        "clean_accuracy": float((clean == test.labels).mean()),
        "adversarial_accuracy": float(
            1 - fooled_by(network, *test.spread(STEP_IMAGES).tensors(), short).mean()
        ),
        "backdoor_success_rate": backdoor_success(clean, stamped, spec.target_class).value,
    }
