"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from art.defences.detector.poison import SpectralSignatureDefense

from tradeoff_core.defenses.detection import ClassFeatures, Detection
from tradeoff_core.defenses.spectral_signatures import (
    detect,
    highest,
    removal_count,
    spectral_scores,
    top_directions,
)


def with_spike(
    examples: int = 500, columns: int = 64, share: float = 0.1, length: float = 8.0, seed: int = 0
) -> ClassFeatures:
    """Gaussian features; a share of the examples, scattered among the others, is shifted in one direction."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(examples, columns))
    direction = generator.normal(size=columns)
    poisoned = np.zeros(examples, bool)
    poisoned[generator.choice(examples, round(share * examples), replace=False)] = True
    features[poisoned] += length * direction / np.linalg.norm(direction)
    return ClassFeatures(7, 3 * np.arange(examples), features, poisoned)


def with_singular_values(
    rows: int, columns: int, values: list[float], *, constant: bool, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D) that once centred have these singular values, and the scores (N,) that follow."""
    generator = np.random.default_rng(seed)
    left = generator.normal(size=(rows, len(values)))
    left = np.linalg.qr(left - left.mean(axis=0))[0]  # orthonormal, and every column sums to 0
    right = generator.normal(size=(columns, len(values)))
    if constant:
        right[1] = 0  # the second feature does not vary
    right = np.linalg.qr(right)[0]
    features = left * values @ right.T + generator.normal(size=columns)
    return features, np.abs(left[:, 0]) * values[0]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_15_a_planted_spike_is_found(seed):
    examples = with_spike(seed=seed)
    detection = detect(examples, 0.1)
    assert detection.auroc > 0.999
    assert detection.average_precision > 0.99
    assert detection.detection_rate.value > 0.95
    assert detection.mean_deviation == pytest.approx(0.9 * 8 - np.sqrt(2 / np.pi), abs=0.6)
    assert detection.chance == 0.1
    assert np.array_equal(detection.index, examples.index)
    assert np.array_equal(detection.poisoned, examples.poisoned)


def test_15_shuffled_labels_give_chance():
    examples = with_spike(examples=1000)
    detection = detect(examples, 0.1)
    generator = np.random.default_rng(0)
    shuffled = [
        Detection(
            detection.index, detection.scores, detection.removed, generator.permutation(detection.poisoned)
        )
        for _ in range(20)
    ]
    # one AUROC of 100 among 1,000 spreads by 0.030, the mean of 20 by 0.007; 2,000 draws of 10% by 0.007
    assert np.mean([control.auroc for control in shuffled]) == pytest.approx(0.5, abs=0.021)
    assert np.mean([control.detection_rate.value for control in shuffled]) == pytest.approx(0.1, abs=0.021)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_15_scores_do_not_move_with_all_features(dtype, tolerance):
    features = with_spike().features.astype(dtype)
    moved = features + 10 * np.random.default_rng(1).normal(size=features.shape[1]).astype(dtype)
    scores, after = spectral_scores(features), spectral_scores(moved)
    assert scores.dtype == dtype
    assert np.abs(after - scores).max() < tolerance * scores.max()
    uncentred, after = spectral_scores(features, centred=False), spectral_scores(moved, centred=False)
    assert np.abs(after - uncentred).max() > 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("constant", [False, True], ids=["all-vary", "constant-column"])
@pytest.mark.parametrize(("rows", "columns"), [(200, 50), (30, 200), (12, 11), (1000, 16)])
@pytest.mark.parametrize("ratio", [1.05, 3.0])
def test_15_scores_agree_with_a_full_decomposition(ratio, rows, columns, constant, dtype):
    values = [40 * ratio, 40, 38, 20, 20, 10, 1, 0.1]
    features, by_construction = with_singular_values(rows, columns, values, constant=constant)
    if constant:
        assert np.ptp(features[:, 1]) < 1e-12
    scores = spectral_scores(features.astype(dtype))
    centred = features - features.mean(axis=0)
    direction = np.linalg.svd(centred, full_matrices=False)[2][0]
    largest = by_construction.max()
    assert np.abs(scores - np.abs(centred @ direction)).max() < 1e-4 * largest
    assert np.abs(scores - by_construction).max() < 1e-4 * largest


def test_the_top_directions_are_those_of_a_full_decomposition():
    features, _ = with_singular_values(120, 40, [50, 40, 30, 20, 10, 5], constant=False)
    directions = top_directions(features, 3)
    full = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)[2][:3]
    assert np.abs(directions @ full.T) == pytest.approx(np.eye(3), abs=1e-6)  # the same, largest first
    assert (directions[np.arange(3), np.abs(directions).argmax(axis=1)] > 0).all()
    assert top_directions(-features, 3) == pytest.approx(directions, abs=1e-9)  # and so is their sign


def test_features_are_left_as_they_were():
    features = with_spike().features
    before = features.copy()
    spectral_scores(features)
    assert np.array_equal(features, before)


@pytest.mark.parametrize("share", [0.1, 0.0], ids=["poisoned", "clean"])
@pytest.mark.parametrize(("rate", "count"), [(0.1, 50), (0.104, 52), (0.5, 250), (0.002, 1), (0.998, 499)])
def test_15_the_number_removed_is_the_number_asked_for(rate, count, share):
    detection = detect(with_spike(share=share), rate)
    assert detection.removed.sum() == count
    assert detection.scores[detection.removed].min() >= detection.scores[~detection.removed].max()


def test_15_the_number_removed_is_exact_where_scores_tie():
    features = np.tile([[3.0, 0, 0], [-3.0, 0, 0]], (20, 1)) + np.ones(3)  # all at the same distance
    detection = detect(ClassFeatures(0, np.arange(40), features, np.zeros(40, bool)), 0.25)
    assert detection.scores == pytest.approx(np.full(40, 3.0))
    assert detection.removed.sum() == 10


def test_of_equal_scores_the_first_is_removed():
    scores = np.array([1.0, 3, 2, 3, 3, 0])
    assert highest(scores, 2).tolist() == [False, True, False, True, False, False]
    assert highest(scores, 4).tolist() == [False, True, True, True, True, False]
    assert highest(np.arange(500) % 7.0, 3).nonzero()[0].tolist() == [6, 13, 20]


@pytest.mark.parametrize(
    ("rate", "named"),
    [
        (0, "removal rate of 0 removes nothing: choose above 0 and below 1"),
        (-0.1, "removal rate of -0.1 removes nothing"),
        (math.nan, "removal rate of nan removes nothing"),
        (1, "removal rate of 1 would remove the whole class"),
        (1.5, "removal rate of 1.5 would remove the whole class"),
        (0.004, "removal rate of 0.004 comes to 0 of 100 examples"),
        (0.996, "removal rate of 0.996 comes to 100 of 100 examples"),
    ],
)
def test_impossible_removal_rates_are_refused(rate, named, refused):
    with refused(named):
        removal_count(rate, 100)
    with refused(named):
        detect(with_spike(examples=100), rate)


@pytest.mark.parametrize(
    ("features", "named"),
    [
        (np.full((20, 5), 2.0), "the same for every example"),
        (np.where(np.eye(20, 5), math.nan, 1.0), "5 of 5 features hold NaN"),
        (np.eye(9, 5), "at least 10 rows"),
    ],
)
def test_features_on_which_it_cannot_work_are_refused(features, named, refused):
    with refused(named):
        spectral_scores(features)
    with refused(named):
        spectral_scores(features, centred=False)


@pytest.mark.parametrize("count", [0, 5, 6])
def test_more_directions_than_there_are_are_refused(count, refused):
    with refused(rf"{count} directions of features of shape \(20, 5\): choose 1 to 4"):
        top_directions(np.random.default_rng(0).normal(size=(20, 5)), count)


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_values_that_overflow_when_squared_are_refused(size, refused):
    features = size * np.random.default_rng(0).normal(size=(20, 5))
    with refused("too large or too small"), np.errstate(all="ignore"):
        spectral_scores(features.astype(np.float32))


def by_art(features: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The scores and the verdict of adversarial-robustness-toolbox; the classifier only hands out features."""
    labels = np.zeros(len(features), int)
    classifier = SimpleNamespace(
        layer_names=["penultimate"], nb_classes=1, get_activations=lambda images, **_: images
    )
    defense = SpectralSignatureDefense(
        classifier, features, labels, expected_pp_poison=rate, eps_multiplier=1.0
    )
    _, kept = defense.detect_poison()
    return SpectralSignatureDefense.spectral_signature_scores(features)[:, 0], np.array(kept) == 0


@pytest.mark.parametrize("rate", [0.1, 0.25])
@pytest.mark.parametrize("origin", [0.0, 1.0, -5.0])
def test_uncentred_scores_and_verdicts_are_those_of_the_toolbox(origin, rate):
    examples = with_spike(examples=300)
    examples.features[:] += origin  # the toolbox scores uncentred features, on a vector found from centred
    detection = detect(examples, rate, centred=False)
    scores, removed = by_art(examples.features, rate)
    assert np.allclose(detection.scores, scores, rtol=0, atol=1e-6 * scores.max())
    assert np.array_equal(detection.removed, removed)
    assert removed.sum() == round(300 * rate)
