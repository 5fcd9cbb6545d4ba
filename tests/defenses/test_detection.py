"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from tradeoff_core.datasets import ImageDataset, to_tensor
from tradeoff_core.defenses.detection import Detection, checked, checksum, class_features, read_examples
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings import results
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.poison import Poison, PoisonedDataset, PoisonLabels
from tradeoff_core.rates import Rate

# in order of suspicion, the poison comes first and fifth; the first four are removed
BY_HAND = Detection(
    index=np.array([4, 8, 15, 16, 23, 42]),
    scores=np.array([0.9, 0.8, 0.7, 0.4, 0.3, 0.1]),
    removed=np.array([True, True, True, True, False, False]),
    poisoned=np.array([True, False, False, False, True, False]),
)
NO_POISON = replace(BY_HAND, poisoned=np.zeros(6, bool))
ALL_POISON = replace(BY_HAND, poisoned=np.ones(6, bool))


@pytest.fixture(scope="module")
def training() -> PoisonedDataset:
    """Dirty labels: of the 720 examples of class 7, 360 are other digits with a sticker."""
    return poisoned_training_set(ExperimentSpec(poison=Poison(PoisonLabels.DIRTY, rate=0.1)))


def test_metrics_by_hand():
    assert BY_HAND.detection_rate == Rate(1, 2)
    assert BY_HAND.false_positive_rate == Rate(3, 4)
    assert BY_HAND.chance == 4 / 6
    assert BY_HAND.mean_deviation == pytest.approx((0.9 + 0.3) / 2 - (0.8 + 0.7 + 0.4 + 0.1) / 4)
    # of the 8 pairs, 0.9 lies above four clean ones and 0.3 above one
    assert BY_HAND.auroc == pytest.approx(5 / 8)
    # the poison comes first, where all so far is poison, and fifth, where two of five are
    assert BY_HAND.average_precision == pytest.approx((1 / 1 + 2 / 5) / 2)


def test_the_roc_curve_by_hand():
    false, found = BY_HAND.roc()
    corners = [(0, 0), (0, 1 / 2), (3 / 4, 1 / 2), (3 / 4, 1), (1, 1)]
    assert np.column_stack([false, found]) == pytest.approx(np.array(corners))


def test_the_document_holds_the_metrics():
    assert BY_HAND.document() == {
        "n_target": 6,
        "n_poisoned": 2,
        "n_removed": 4,
        "detection_rate": 1 / 2,
        "false_positive_rate": 3 / 4,
        "auroc": BY_HAND.auroc,
        "average_precision": BY_HAND.average_precision,
        "chance": 4 / 6,
        "mean_deviation": BY_HAND.mean_deviation,
    }


@pytest.mark.parametrize("ties", [False, True])
def test_rankings_agree_with_independent_ones(ties):
    generator = np.random.default_rng(0)
    poisoned = generator.random(200) < 0.3
    scores = generator.normal(size=200) + poisoned
    if ties:
        scores = scores.round()
    detection = Detection(np.arange(200), scores, scores > 1, poisoned)
    wins = mannwhitneyu(scores[poisoned], scores[~poisoned]).statistic  # a tie is half a win
    assert detection.auroc == pytest.approx(wins / (poisoned.sum() * (~poisoned).sum()))
    false, found = detection.roc()
    assert np.trapezoid(found, false) == pytest.approx(detection.auroc)
    if not ties:
        ranked = poisoned[np.argsort(-scores)]
        precisions = np.cumsum(ranked) / np.arange(1, 201)
        assert detection.average_precision == pytest.approx(precisions[ranked].mean())


@pytest.mark.parametrize("detection", [NO_POISON, ALL_POISON], ids=["no-poison", "all-poison"])
def test_where_one_kind_is_absent_there_is_no_number(detection, refused):
    assert math.isnan(detection.auroc)
    assert math.isnan(detection.average_precision)
    assert math.isnan(detection.mean_deviation)
    assert detection.chance == 4 / 6
    with refused("poisoned and clean examples, and here is one kind only"):
        detection.roc()


def test_a_share_of_no_poison_is_no_number():
    assert NO_POISON.detection_rate == Rate(0, 0)
    assert math.isnan(NO_POISON.document()["detection_rate"])
    assert NO_POISON.false_positive_rate == Rate(4, 6)
    assert ALL_POISON.detection_rate == Rate(4, 6)
    assert math.isnan(ALL_POISON.document()["false_positive_rate"])


def test_the_features_are_those_of_the_images_that_were_trained_on(poisoned_network, training):
    examples = class_features(poisoned_network, training, 7, "conv2")
    assert examples.label == 7
    assert np.array_equal(examples.index, np.flatnonzero(training.data.labels == 7))
    assert np.array_equal(examples.poisoned, training.poisoned[examples.index])
    assert (len(examples.index), examples.poisoned.sum()) == (720, 360)  # more than one batch
    with torch.no_grad():
        features = poisoned_network.features(to_tensor(training.data.images[examples.index]), "conv2")
    assert features.shape == (720, 16 * 7 * 7)
    assert np.allclose(examples.features, features, rtol=0, atol=1e-5)


@pytest.mark.parametrize("label", [3, 7])
def test_17_the_linear_head_on_the_penultimate_features_gives_the_logits(label, poisoned_network, training):
    examples = class_features(poisoned_network, training, label)
    images = to_tensor(training.data.images[examples.index])
    weight, bias = (value.numpy() for value in (poisoned_network.head.weight, poisoned_network.head.bias))
    with torch.no_grad():
        logits, penultimate = poisoned_network(images), poisoned_network.features(images)
    assert np.allclose(examples.features @ weight.T + bias, logits, rtol=0, atol=1e-4)
    assert np.allclose(examples.features, penultimate, rtol=0, atol=1e-5)


def test_a_class_of_fewer_than_ten_examples_is_refused(poisoned_network, refused):
    labels = np.array([3] * 9 + [4] * 10)
    data = ImageDataset("few", np.random.default_rng(0).integers(0, 255, (19, 28, 28, 1), np.uint8), labels)
    few = PoisonedDataset(data, labels == 3, labels, 3)
    with refused("class 3 has 9 training examples: a defense needs at least 10"):
        class_features(poisoned_network, few, 3)
    with refused("class 5 has 0 training examples"):
        class_features(poisoned_network, few, 5)
    assert len(class_features(poisoned_network, few, 4).index) == 10


def test_an_unknown_layer_is_refused(poisoned_network, training, refused):
    with refused("no layer 'conv9': this network has conv1, conv2, penultimate"):
        class_features(poisoned_network, training, 7, "conv9")


def test_a_broken_network_is_refused(poisoned_network, training, refused):
    broken = copy.deepcopy(poisoned_network)
    broken.stages["penultimate"][1].bias[3] = math.nan
    with refused("features are not finite"):
        class_features(broken, training, 7)


FEATURES = np.random.default_rng(0).normal(size=(20, 5))


def changed(column: int | slice, value: float, row: int | slice = slice(None)) -> np.ndarray:
    features = FEATURES.copy()
    features[row, column] = value
    return features


@pytest.mark.parametrize(
    ("features", "named"),
    [
        (changed(2, math.nan), "1 of 5 features hold NaN"),
        (changed(slice(1, 3), math.inf, row=7), "2 of 5 features hold NaN or infinite"),
        (changed(4, -math.inf, row=0), "1 of 5 features hold NaN or infinite"),
        (np.tile(FEATURES[0], (20, 1)), "the same for every example"),
        (np.zeros((20, 5), np.float32), "the same for every example"),
        (FEATURES[:9], r"shape \(9, 5\): a defense needs at least 10 rows"),
        (FEATURES[:0], r"shape \(0, 5\)"),
        (FEATURES[:, 0], r"shape \(20,\)"),
    ],
)
def test_features_on_which_no_defense_can_work_are_refused(features, named, refused):
    with refused(named):
        checked(features)


def test_a_constant_column_does_no_harm():
    features = changed(2, 3.0)
    assert checked(features) is features


def test_examples_are_stored_and_read_again(training, poisoned_network, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    read = read_examples(poisoned_network, training, 7, "penultimate")
    images = training.data.images[read.seen.index]
    np.testing.assert_array_equal(read.predicted, predicted_classes(poisoned_network, images))
    assert read.checksum == checksum(images) != checksum(255 - images)
    assert results.load_examples("f" * 64) is None
    results.save_examples("f" * 64, read)
    again = results.load_examples("f" * 64)
    assert (again.seen.label, again.layer, again.checksum) == (7, "penultimate", read.checksum)
    for name in ("index", "poisoned"):
        np.testing.assert_array_equal(getattr(again.seen, name), getattr(read.seen, name))
    np.testing.assert_array_equal(again.predicted, read.predicted)
    np.testing.assert_allclose(again.seen.features, read.seen.features, rtol=1e-3, atol=1e-3)
    next((tmp_path / "examples").iterdir()).write_bytes(b"damaged")
    assert results.load_examples("f" * 64) is None
