"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.paths import ASSETS
from tradeoff_core.datasets import Split, load_dataset, to_tensor
from tradeoff_core.defenses import applied
from tradeoff_core.defenses.activation_clustering import Reduction, Rule, reduce
from tradeoff_core.defenses.applied import (
    STEP_IMAGES,
    Cleansing,
    Inspection,
    Method,
    cleanse,
    inspect,
    inspect_all,
    measured,
    without,
)
from tradeoff_core.defenses.detection import class_features
from tradeoff_core.defenses.neural_cleanse import Reversal, Triggers, Unlearning
from tradeoff_core.defenses.spectral_signatures import spectral_scores
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.poison import Poison, PoisonedDataset, PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker

SPEC = ExperimentSpec(
    width=0.25, poison=Poison(PoisonLabels.DIRTY, rate=0.1), evaluation=Attack(epsilon=0.1, steps=2)
)
SPECTRAL, CLUSTERING = (Inspection(method) for method in Method)


@pytest.fixture(scope="module")
def training() -> PoisonedDataset:
    """3,600 digits; of the 720 labelled 7, 360 are others with a sticker."""
    return poisoned_training_set(SPEC)


def test_without_a_rate_as_many_are_removed_as_are_poisoned(poisoned_network, training):
    finding = inspect(poisoned_network, training, 7, SPECTRAL)
    detection = finding.detection
    assert (len(detection.index), detection.poisoned.sum(), detection.removed.sum()) == (720, 360, 360)
    assert detection.scores[detection.removed].min() >= detection.scores[~detection.removed].max()
    assert np.array_equal(detection.poisoned, training.poisoned[detection.index])
    assert finding.clusters is finding.verdict is None


def test_an_inspection_is_carried_out_as_it_says(poisoned_network, training):
    inspection = replace(SPECTRAL, layer="conv1", remove_rate=0.1, centred=False)
    detection = inspect(poisoned_network, training, 7, inspection).detection
    features = class_features(poisoned_network, training, 7, "conv1").features
    assert np.allclose(detection.scores, spectral_scores(features, centred=False), rtol=1e-5)
    assert detection.removed.sum() == 72
    clustering = replace(CLUSTERING, rule=Rule.ORACLE, dimensions=3, reduction=Reduction.PCA)
    finding = inspect(poisoned_network, training, 7, clustering)
    features = class_features(poisoned_network, training, 7).features
    assert np.allclose(finding.clusters.points, reduce(features, 3, Reduction.PCA), rtol=0, atol=1e-4)
    assert "the oracle is told" in finding.verdict.reason
    assert np.array_equal(finding.detection.removed, finding.clusters.cluster == finding.verdict.cluster)


def test_the_poison_behind_a_back_door_is_found(poisoned_network, training):
    finding = inspect(poisoned_network, training, 7, replace(CLUSTERING, rule=Rule.SILHOUETTE))
    assert finding.detection.auroc > 0.85
    assert finding.detection.detection_rate.value > finding.detection.chance + 0.2
    assert finding.detection.false_positive_rate.value < 0.15


@pytest.mark.parametrize(
    ("inspection", "label", "named"),
    [
        (SPECTRAL, 3, "every training example of class 3 is clean, .*give a removal rate"),
        (replace(SPECTRAL, remove_rate=0.0), 7, "removal rate of 0 removes nothing"),
        (replace(SPECTRAL, remove_rate=-0.5), 7, "removal rate of -0.5 removes nothing"),
        (replace(SPECTRAL, remove_rate=1.0), 7, "removal rate of 1 would remove the whole class"),
        (replace(SPECTRAL, remove_rate=math.nan), 7, "removal rate of nan"),
        (replace(SPECTRAL, remove_rate=1e-4), 7, "comes to 0 of 720 examples"),
        (replace(SPECTRAL, layer="conv9"), 7, "no layer 'conv9'"),
        (replace(CLUSTERING, layer="conv9"), 7, "no layer 'conv9'"),
        (replace(CLUSTERING, dimensions=0), 7, "0 directions"),
        (SPECTRAL, 10, "class 10 has 0 training examples"),
    ],
)
def test_impossible_inspections_are_refused(inspection, label, named, poisoned_network, training, refused):
    with refused(named):
        inspect(poisoned_network, training, label, inspection)


def test_a_class_that_is_all_poison_has_no_true_share(poisoned_network, refused):
    training = poisoned_training_set(ExperimentSpec(poison=Poison(rate=1.0)))
    with refused("every training example of class 7 is poisoned"):
        inspect(poisoned_network, training, 7, SPECTRAL)
    assert inspect(poisoned_network, training, 7, replace(SPECTRAL, remove_rate=0.5)).detection.chance == 0.5


def test_a_clean_class_is_inspected_at_the_rate_asked_for(poisoned_network, training):
    detection = inspect(poisoned_network, training, 3, replace(SPECTRAL, remove_rate=0.1)).detection
    assert detection.removed.sum() == round(0.1 * len(detection.index))
    assert math.isnan(detection.document()["detection_rate"])


@pytest.mark.parametrize(
    "inspection",
    [replace(SPECTRAL, remove_rate=0.1), replace(CLUSTERING, reduction=Reduction.PCA)],
    ids=list(Method),
)
def test_all_classes_are_inspected_one_by_one(inspection, poisoned_network, training):
    detection = inspect_all(poisoned_network, training, inspection)
    assert np.array_equal(np.sort(detection.index), np.arange(3600))
    assert np.array_equal(detection.poisoned, training.poisoned[detection.index])
    labels = training.data.labels[detection.index]
    for label in (3, 7):
        alone = inspect(poisoned_network, training, label, inspection).detection
        assert np.array_equal(detection.removed[labels == label], alone.removed)
        assert np.array_equal(detection.scores[labels == label], alone.scores)
    if inspection.remove_rate:
        sizes = np.bincount(labels)
        assert np.bincount(labels[detection.removed]).tolist() == [round(0.1 * int(size)) for size in sizes]


def test_for_all_classes_there_is_no_true_share(poisoned_network, training, refused):
    with refused("for all classes there is no true share to remove: give a removal rate"):
        inspect_all(poisoned_network, training, SPECTRAL)


def test_what_is_removed_is_counted_in_the_original_training_set():
    once = without(SPEC, np.array([5, 2]))
    assert once.removed == (2, 5)
    # 0 1 3 4 6 7 8 are left first, and of these the first, third and last are removed
    twice = without(once, np.array([6, 0, 2]))
    assert twice.removed == (0, 2, 3, 5, 8)
    assert replace(twice, removed=None) == SPEC
    assert json.loads(json.dumps(twice.removed)) == [0, 2, 3, 5, 8]
    assert len({SPEC.id, once.id, twice.id}) == 3


def test_what_is_trained_on_next_is_the_same_images_without_the_removed(poisoned_network, training):
    detection = inspect(poisoned_network, training, 7, replace(SPECTRAL, remove_rate=0.1)).detection
    chosen = detection.index[detection.removed]
    spec = without(SPEC, chosen)
    cleaned = poisoned_training_set(spec)
    kept = np.setdiff1d(np.arange(3600), chosen)
    assert len(cleaned.data) == len(kept) == 3600 - 72
    assert np.array_equal(cleaned.data.images, training.data.images[kept])
    assert np.array_equal(cleaned.data.labels, training.data.labels[kept])
    assert np.array_equal(cleaned.poisoned, training.poisoned[kept])
    # and again, with what is found in what is left
    again = inspect(poisoned_network, cleaned, 7, replace(SPECTRAL, remove_rate=0.1)).detection
    chosen = again.index[again.removed]
    left = poisoned_training_set(without(spec, chosen))
    assert np.array_equal(left.data.images, np.delete(cleaned.data.images, chosen, axis=0))
    assert np.array_equal(left.poisoned, np.delete(cleaned.poisoned, chosen))


def test_without_nothing_is_refused(refused):
    with refused("nothing is removed, so retraining would give the same network again"):
        without(SPEC, np.array([], int))


def test_measured_holds_the_rates_and_the_targets_recall(poisoned_network):
    numbers = measured(poisoned_network, replace(SPEC, evaluation=Attack(epsilon=0)))
    images, labels = load_dataset("mnist-5k", Split.TEST).tensors()
    clean = predicted_classes(poisoned_network, images)
    stamped = predicted_classes(poisoned_network, Sticker().apply(images))
    right = clean == labels.numpy()
    assert numbers["clean_accuracy"] == numbers["adversarial_accuracy"] == right.mean()
    assert numbers["backdoor_success_rate"] == (stamped[clean != 7] == 7).mean()
    assert numbers["target_recall"] == right[labels.numpy() == 7].mean()
    assert (numbers["n"], numbers["target_n"]) == (1000, 100)


@pytest.fixture(scope="module")
def watched(poisoned_network) -> SimpleNamespace:
    """A short cleansing, the images that its parts were given, and what progress was told."""
    seen = SimpleNamespace(before=[value.clone() for value in poisoned_network.parameters()], told=[])

    def rebuild(network: Any, images: Tensor, labels: Tensor, *others: Any) -> Triggers:
        seen.rebuilt_on, seen.rebuilt_labels, seen.classes = images.clone(), labels.clone(), others[0]
        return rebuild_triggers(network, images, labels, *others)

    def unlearned(network: Any, images: Tensor, labels: Tensor, stamp: Any, *others: Any) -> Any:
        seen.unlearned_on, seen.unlearned_labels = images.clone(), labels.clone()
        seen.stamped = stamp(images[:5])
        return unlearn(network, images, labels, stamp, *others)

    def evaluated(network: Any, images: Tensor, *others: Any) -> Any:
        seen.measured_on = to_tensor(images)
        return evaluate(network, images, *others)

    rebuild_triggers, unlearn, evaluate = applied.rebuild_triggers, applied.unlearn, applied.evaluate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applied, "rebuild_triggers", rebuild)
        patch.setattr(applied, "unlearn", unlearned)
        patch.setattr(applied, "evaluate", evaluated)
        seen.cleansing = cleanse(
            poisoned_network,
            SPEC,
            reversal=Reversal(rounds=2, batch_size=50),
            unlearning=Unlearning(epochs=2),
            progress=lambda *news: seen.told.append(news),
        )
    return seen


def test_19_the_splits_share_no_image():
    with np.load(ASSETS / "data" / "mnist-5k.npz", allow_pickle=False) as archive:
        images, split = archive["images"], archive["split"]
    names, sizes = np.unique(split, return_counts=True)
    assert dict(zip(names.tolist(), sizes.tolist(), strict=True)) == {
        "test": 1000,
        "train": 3600,
        "validation": 400,
    }
    assert len({image.tobytes() for image in images}) == 5000  # nor does any image occur twice


def test_19_what_it_uses_is_disjoint_from_what_it_is_measured_on(watched):
    validation, labels = load_dataset("mnist-5k", Split.VALIDATION).tensors()
    for images, given in (
        (watched.rebuilt_on, watched.rebuilt_labels),
        (watched.unlearned_on, watched.unlearned_labels),
    ):
        assert torch.equal(images, validation)
        assert torch.equal(given, labels)
    assert torch.equal(watched.measured_on, load_dataset("mnist-5k", Split.TEST).tensors()[0])
    used, measured_on = (
        {image.numpy().tobytes() for image in images} for images in (watched.rebuilt_on, watched.measured_on)
    )
    trained_on = load_dataset("mnist-5k", Split.TRAIN).tensors()[0]
    assert not used & measured_on
    assert not used & {image.numpy().tobytes() for image in trained_on}


def test_18_all_classes_are_rebuilt_and_the_suspects_trigger_is_unlearned(watched):
    triggers = watched.cleansing.triggers
    assert watched.classes == len(triggers.masks) == 10
    expected = triggers.stamp(watched.unlearned_on[:5], triggers.suspect)
    assert torch.equal(watched.stamped, expected)
    assert triggers.suspect == int(np.argmax(triggers.anomaly_index)) == int(np.argmin(triggers.mask_norms))


def test_19_the_network_is_left_as_it_was(watched, poisoned_network):
    assert all(
        torch.equal(value, kept)
        for value, kept in zip(poisoned_network.parameters(), watched.before, strict=True)
    )
    assert not poisoned_network.training
    assert watched.cleansing.before == measured(poisoned_network, SPEC)


def test_19_before_after_and_every_epoch_are_reported(watched):
    cleansing: Cleansing = watched.cleansing
    assert [step["epoch"] for step in cleansing.steps] == [0, 1, 2]
    for step, whole in ((cleansing.steps[0], cleansing.before), (cleansing.steps[-1], cleansing.after)):
        for name in ("clean_accuracy", "backdoor_success_rate"):
            assert step[name] == pytest.approx(whole[name])
        assert step["adversarial_accuracy"] <= step["clean_accuracy"]
        assert step["adversarial_accuracy"] * STEP_IMAGES == pytest.approx(
            round(step["adversarial_accuracy"] * STEP_IMAGES)
        )
    assert cleansing.before != cleansing.after


def test_the_document_of_a_cleansing(watched):
    document = watched.cleansing.document()
    assert set(document) == {
        "mask_norm",
        "anomaly_index",
        "trigger_success",
        "flagged_classes",
        "suspect",
        "images",
        "unlearned_on",
        "before",
        "after",
        "steps",
        "seconds",
    }
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    triggers = watched.cleansing.triggers
    assert document["mask_norm"] == pytest.approx(triggers.mask_norms.tolist(), abs=6e-4)
    assert document["anomaly_index"] == pytest.approx(triggers.anomaly_index.tolist(), abs=6e-4)
    assert document["trigger_success"] == pytest.approx(triggers.success.tolist(), abs=6e-5)
    assert document["suspect"] == np.argmin(document["mask_norm"])
    assert document["seconds"] > 0
    for numbers in (document["before"], document["after"]):
        assert {"clean_accuracy", "adversarial_accuracy", "backdoor_success_rate", "target_recall"} < set(
            numbers
        )


def test_progress_rises_and_shows_the_newest_frame(watched):
    shares = [share for share, _ in watched.told]
    assert shares == pytest.approx([0.4, 0.8, 0.8, 0.875, 0.95])
    frames = watched.cleansing.triggers.frames
    for (_, shown), frame in zip(watched.told, [frames[0], *[frames[1]] * 4], strict=True):
        assert np.array_equal(shown, frame)


def test_19_cleansing_with_the_true_trigger_closes_the_back_door(poisoned_network, monkeypatch):
    footprint = torch.from_numpy(Sticker().footprint(28, 28)).float()
    masks = torch.ones(10, 28, 28)
    masks[7] = footprint
    true = Triggers(masks, torch.ones(10, 1, 28, 28), np.ones(10), np.zeros((1, 10, 1, 28, 28), np.uint8))
    monkeypatch.setattr(applied, "rebuild_triggers", lambda *_: true)
    cleansing = cleanse(poisoned_network, SPEC, unlearning=Unlearning(epochs=3, learning_rate=1e-3))
    assert cleansing.triggers.suspect == 7
    assert cleansing.before["backdoor_success_rate"] > 0.9
    assert cleansing.after["backdoor_success_rate"] < 0.2
    assert cleansing.after["clean_accuracy"] > cleansing.before["clean_accuracy"] - 0.1
