"""QUE by hand and by scipy's matrix exponential, the robust estimate by a mixture whose covariance is known."""

import numpy as np
import pytest
from pace import least_seconds
from scipy.linalg import expm
from sklearn.metrics import roc_auc_score

from tradeoff_core.defenses.detection import ClassFeatures
from tradeoff_core.defenses.spectral_signatures import spectral_scores
from tradeoff_core.defenses.spectre import detect, que_scores, robust, spectre_scores


def mixture(
    examples: int = 1500, columns: int = 40, share: float = 0.05, length: float = 4.0, seed: int = 0
) -> ClassFeatures:
    """Gaussians with spreads from 20 to 1; a share, scattered among the others, is shifted where the spread is 1.

    The shift is the 30th of the directions by variance: the top one has nothing to do with it.
    """
    generator = np.random.default_rng(seed)
    spreads = np.geomspace(20, 1, columns)
    features = generator.normal(size=(examples, columns)) * spreads
    poisoned = np.zeros(examples, bool)
    poisoned[generator.choice(examples, round(share * examples), replace=False)] = True
    features[poisoned, 30] += length * spreads[30] * 2
    turned = np.linalg.qr(generator.normal(size=(columns, columns)))[0]
    return ClassFeatures(7, 3 * np.arange(examples), features @ turned.T, poisoned)


def test_que_of_four_points_is_that_worked_out_by_hand():
    points = np.array([[np.sqrt(6), 0], [-np.sqrt(6), 0], [0, np.sqrt(2)], [0, -np.sqrt(2)]])
    # covariance diag(3, 1), so Q = exp(4 diag(2, 0) / 2) = diag(e^4, 1)
    e4 = np.exp(4)
    assert que_scores(points) == pytest.approx(np.array([6 * e4, 6 * e4, 2, 2]) / (e4 + 1))
    assert que_scores(points, alpha=0) == pytest.approx([3, 3, 1, 1])


@pytest.mark.parametrize("alpha", [0.5, 4.0, 30.0])
def test_que_is_that_of_the_matrix_exponential(alpha):
    generator = np.random.default_rng(1)
    points = generator.normal(size=(25, 6)) @ generator.normal(size=(6, 6)) + 1
    covariance = np.cov(points.T, bias=True)
    weight = expm(alpha * (covariance - np.eye(6)) / (np.linalg.norm(covariance, 2) - 1))
    expected = np.einsum("ni,ij,nj->n", points, weight, points) / np.trace(weight)
    assert que_scores(points, alpha) == pytest.approx(expected, rel=1e-9)


def test_the_robust_estimate_is_that_of_the_clean_examples():
    generator = np.random.default_rng(0)
    clean = generator.multivariate_normal([1, -2, 0], [[4, 1, 0], [1, 2, 0], [0, 0, 1]], 3000)
    poison = generator.normal(size=(300, 3)) * 0.1 + [1, -2, 8]
    points = np.concatenate([poison, clean])
    kept = robust(points, 600)
    assert len(points) - 600 <= len(kept) <= len(clean)
    assert np.abs(np.cov(points.T) - np.cov(clean.T)).max() > 4  # of what was given
    assert np.abs(np.cov(kept.T) - np.cov(clean.T)).max() < 0.4
    assert np.abs(kept.mean(axis=0) - clean.mean(axis=0)).max() < 0.1


def test_nothing_is_taken_from_gaussians_and_never_more_than_allowed():
    points = np.random.default_rng(0).normal(size=(4000, 5))
    assert len(robust(points, 400)) == 4000
    heavy = np.random.default_rng(0).standard_t(2, size=(1000, 5))
    assert len(robust(heavy, 90)) == 910


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_poison_that_is_not_what_varies_most_is_found_by_spectre_alone(seed):
    examples = mixture(seed=seed)
    scores = spectre_scores(examples.features, 0.05)
    assert scores.shape == (1500,)
    assert roc_auc_score(examples.poisoned, scores) > 0.99
    assert roc_auc_score(examples.poisoned, spectral_scores(examples.features)) < 0.65


def test_scores_do_not_depend_on_unit_or_origin():
    features = mixture(examples=400).features
    scores = spectre_scores(features, 0.05)
    assert spectre_scores(0.01 * features - 5, 0.05) == pytest.approx(scores, rel=1e-4)
    assert np.array_equal(spectre_scores(features, 0.05), scores)


def test_features_with_fewer_directions_than_columns_are_scored():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(200, 3)) @ generator.normal(size=(3, 30))
    features[:10] += 20 * generator.normal(size=(3,)) @ generator.normal(size=(3, 30))
    assert np.isfinite(spectre_scores(features.astype(np.float32), 0.05)).all()


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_as_many_are_removed_as_asked(rate):
    examples = mixture(examples=400)
    detection = detect(examples, rate)
    assert detection.removed.sum() == round(rate * 400)
    assert detection.chance == pytest.approx(rate)
    assert detection.scores[detection.removed].min() >= detection.scores[~detection.removed].max()
    assert np.array_equal(detection.index, examples.index)
    assert np.array_equal(detection.poisoned, examples.poisoned)


@pytest.mark.parametrize(
    ("features", "share", "named"),
    [
        (np.ones((20, 5)), 0.1, "the same for every example"),
        (np.where(np.eye(20, 5), np.nan, 1.0), 0.1, "5 of 5 features hold NaN"),
        (np.eye(20, 5), 1.0, "removal rate of 1 would remove the whole class"),
        (np.eye(20, 5), 0.001, "comes to 0 of 20 examples"),
        (np.arange(20.0)[:, None], 0.1, r"features of shape \(20, 1\) have no direction to choose"),
    ],
)
def test_what_cannot_be_scored_is_refused(features, share, named, refused):
    with refused(named):
        spectre_scores(features, share)


def test_five_thousand_examples_take_less_than_two_seconds():
    generator = np.random.default_rng(0)
    features = (generator.normal(size=(5000, 512)) * np.geomspace(10, 0.1, 512)).astype(np.float32)
    features[:250] += 3 * generator.normal(size=512).astype(np.float32)
    spectre_scores(features[:100], 0.05)  # scipy is imported
    assert least_seconds(lambda: spectre_scores(features, 0.05), tries=4) < 2
