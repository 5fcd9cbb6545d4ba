"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import math
from dataclasses import replace

import numpy as np
import pytest
from art.defences.detector.poison.activation_defence import cluster_activations, reduce_dimensionality
from art.defences.detector.poison.clustering_analyzer import ClusteringAnalyzer
from sklearn.cluster import KMeans
from sklearn.decomposition import FastICA

from tradeoff_core.defenses.activation_clustering import (
    Clusters,
    Reduction,
    Rule,
    cluster,
    detect,
    judge,
    reduce,
)
from tradeoff_core.defenses.detection import ClassFeatures

reductions = pytest.mark.parametrize("reduction", Reduction)
seeds = pytest.mark.parametrize("seed", [0, 1, 2])


def planted(share: float = 0.3, distance: float = 12.0, seed: int = 0, examples: int = 300) -> ClassFeatures:
    """Two Gaussian clouds in 40 dimensions, that far apart, scattered among each other; the smaller is poison."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(examples, 40)) + generator.normal(size=40)
    poisoned = np.zeros(examples, bool)
    poisoned[generator.choice(examples, round(share * examples), replace=False)] = True
    direction = generator.normal(size=40)
    features[poisoned] += distance * direction / np.linalg.norm(direction)
    return ClassFeatures(7, 2 * np.arange(examples), features, poisoned)


def of_sizes(larger: int, smaller: int, silhouette: float = 0.5) -> Clusters:
    split = np.repeat([0, 1], [larger, smaller])
    return Clusters(np.zeros((larger + smaller, 2)), split, split - 0.5, silhouette)


@pytest.mark.parametrize("rule", Rule)
@reductions
@seeds
def test_16_planted_clusters_are_recovered(seed, reduction, rule):
    examples = planted(seed=seed)
    detection, clusters, verdict = detect(examples, rule, reduction=reduction)
    assert np.array_equal(clusters.cluster == 1, examples.poisoned)
    assert np.array_equal(detection.removed, examples.poisoned)
    assert np.array_equal(detection.index, examples.index)
    assert verdict.cluster == 1
    assert detection.auroc == 1
    assert clusters.share == pytest.approx(0.3)
    assert clusters.points.shape == (300, 2)


@pytest.mark.parametrize("share", [0.3, 0.5])  # of two halves, neither is the smaller
@reductions
@seeds
def test_16_in_any_order_of_the_examples(seed, reduction, share):
    examples = planted(share)
    order = np.random.default_rng(seed).permutation(300)
    shuffled = ClassFeatures(7, examples.index[order], examples.features[order], examples.poisoned[order])
    detection, clusters, verdict = detect(examples, Rule.SILHOUETTE, reduction=reduction)
    after, reordered, same = detect(shuffled, Rule.SILHOUETTE, reduction=reduction)
    assert np.array_equal(reordered.cluster, clusters.cluster[order])
    assert np.array_equal(after.removed, detection.removed[order])
    assert reordered.silhouette == pytest.approx(clusters.silhouette, abs=1e-3)
    assert verdict.cluster == same.cluster == (1 if share < 0.5 else None)
    assert len({*examples.poisoned[clusters.cluster == 0]}) == 1  # the two clouds, apart


@pytest.mark.parametrize("rule", [Rule.SIZE, Rule.SILHOUETTE])
@reductions
def test_16_no_rule_but_the_oracle_is_told_which_is_poisoned(reduction, rule):
    examples = planted()
    told = detect(examples, rule, reduction=reduction)
    for poisoned in (~examples.poisoned, np.zeros(300, bool), np.random.default_rng(0).random(300) < 0.5):
        detection, clusters, verdict = detect(replace(examples, poisoned=poisoned), rule, reduction=reduction)
        assert np.array_equal(detection.removed, told[0].removed)
        assert np.array_equal(detection.scores, told[0].scores)
        assert np.array_equal(clusters.cluster, told[1].cluster)
        assert verdict == told[2]


def test_16_the_oracle_is_told():
    examples = planted()
    detection, clusters, verdict = detect(replace(examples, poisoned=~examples.poisoned), Rule.ORACLE)
    assert verdict.cluster == 0
    assert np.array_equal(detection.removed, ~examples.poisoned)
    assert detection.auroc == 1  # the scores turn with the verdict
    assert np.array_equal(detection.scores, -clusters.scores)
    detection, _, verdict = detect(replace(examples, poisoned=np.zeros(300, bool)), Rule.ORACLE)
    assert verdict.cluster is None
    assert not detection.removed.any()
    assert verdict.reason == "the oracle knows that nothing here is poisoned"


def test_a_large_class_has_a_silhouette_however_few_lie_apart():
    points = np.random.default_rng(0).normal(size=(3000, 2))
    for outlier in range(5):  # most of which the sample misses
        moved = points.copy()
        moved[outlier] = 1000
        clusters = cluster(moved)
        assert clusters.cluster.sum() == 1
        assert clusters.silhouette > 0.9


def test_a_split_by_hand():
    points = np.array([[10.0], [0], [1], [2]])
    clusters = cluster(points)
    assert clusters.cluster.tolist() == [1, 0, 0, 0]
    # centres at 1 and 10: how much farther the larger one's is than the smaller one's
    assert clusters.scores.tolist() == [9, 1 - 10, 0 - 9, 1 - 8]
    # (b - a) / max(a, b) of each, and 0 of the one that is alone (Rousseeuw 1987)
    assert clusters.silhouette == pytest.approx(((10 - 1.5) / 10 + (9 - 1) / 9 + (8 - 1.5) / 8 + 0) / 4)
    assert clusters.share == 0.25
    assert clusters.points is points


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_of_two_halves_the_order_does_not_decide_which_is_which(order):
    points = np.array([[0.0], [1], [10], [11]])
    assert cluster(points[order]).cluster.tolist() == np.array([0, 0, 1, 1])[order].tolist()


def test_the_size_rule_says_its_numbers():
    verdict = judge(of_sizes(80, 20), Rule.SIZE, np.zeros(100, bool))
    assert verdict.cluster == 1
    assert "holds 20.0% of the class, under 35%" in verdict.reason
    verdict = judge(of_sizes(60, 40), Rule.SIZE, np.zeros(100, bool))
    assert verdict.cluster is None
    assert "holds 40.0%, not under 35%" in verdict.reason


@pytest.mark.parametrize(("smaller", "called"), [(34, 1), (35, None), (36, None), (1, 1), (50, None)])
def test_a_cluster_is_small_below_35_percent(smaller, called):
    assert judge(of_sizes(100 - smaller, smaller), Rule.SIZE, np.zeros(100, bool)).cluster == called


@pytest.mark.parametrize(("silhouette", "called"), [(0.42, 1), (0.10, 1), (0.09, None), (-0.2, None)])
def test_the_silhouette_rule_says_its_numbers(silhouette, called):
    verdict = judge(of_sizes(51, 49, silhouette), Rule.SILHOUETTE, np.zeros(100, bool))
    assert verdict.cluster == called
    sides = "at least" if called else "under"
    assert f"silhouette {silhouette:.3f}, {sides} 0.10" in verdict.reason


def test_of_two_equal_groups_the_silhouette_rule_calls_neither_poison():
    verdict = judge(of_sizes(50, 50, 0.42), Rule.SILHOUETTE, np.zeros(100, bool))
    assert verdict.cluster is None
    assert "silhouette 0.420, at least 0.10" in verdict.reason
    assert "equally large" in verdict.reason


def test_the_oracle_takes_the_cluster_with_most_poison_and_says_how_much():
    poisoned = np.zeros(100, bool)
    poisoned[[3, 80, 81, 82]] = True  # one in the larger cluster, three in the smaller
    verdict = judge(of_sizes(80, 20), Rule.ORACLE, poisoned)
    assert verdict.cluster == 1
    assert "3 of the 4 poisoned" in verdict.reason
    poisoned[:40] = True
    assert judge(of_sizes(80, 20), Rule.ORACLE, poisoned).cluster == 0


def test_one_cloud_separates_badly():
    detection, clusters, verdict = detect(planted(distance=0.0), Rule.SIZE, reduction=Reduction.PCA)
    assert clusters.silhouette < 0.5
    assert verdict.cluster is None
    assert not detection.removed.any()
    assert math.isclose(detection.auroc, 0.5, abs_tol=0.15)  # 90 among 300: spreads by 0.04


@pytest.mark.parametrize("dimensions", [2, 3])
def test_principal_components_are_those_of_the_toolbox(dimensions):
    features = planted().features
    ours = reduce(features, dimensions, Reduction.PCA)
    theirs = reduce_dimensionality(features, dimensions, "PCA")
    signs = np.sign((ours * theirs).sum(axis=0))
    assert np.allclose(ours * signs, theirs, rtol=0, atol=0.02 * np.abs(theirs).max())  # theirs is randomised
    assert np.allclose(ours[:, 0] * signs[0], theirs[:, 0], rtol=0, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.parametrize(("share", "removed"), [(0.1, 30), (0.3, 90)])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_clusters_and_verdict_are_those_of_the_toolbox(dimensions, share, removed):
    # by principal components: on independent ones its k-means, which starts once, often cuts a cloud in half;
    # and its report breaks where no cluster is small
    examples = planted(share)
    detection, clusters, _ = detect(examples, Rule.SIZE, dimensions=dimensions, reduction=Reduction.PCA)
    (theirs,), _ = cluster_activations([examples.features], 2, dimensions, "PCA")
    small = np.bincount(theirs).argmin()
    assert np.array_equal(clusters.cluster == 1, theirs == small)
    clean, _, _ = ClusteringAnalyzer().analyze_by_relative_size([theirs], size_threshold=0.35)
    assert np.array_equal(detection.removed, clean[0] == 0)
    assert detection.removed.sum() == removed


@pytest.mark.filterwarnings("ignore:FastICA did not converge")  # the noise within a cloud has no axes
@pytest.mark.parametrize("share", [0.1, 0.3])
@pytest.mark.parametrize("dimensions", [2, 3])
@seeds
def test_independent_components_after_whitening_are_those_of_the_features_themselves(seed, dimensions, share):
    features = planted(share, seed=seed).features
    ours = reduce(features, dimensions, Reduction.ICA)
    whole = FastICA(dimensions, whiten="unit-variance", random_state=0, max_iter=1000, tol=0.005)
    theirs = whole.fit_transform(features)
    assert ours.std(axis=0) == pytest.approx(np.ones(dimensions), abs=0.01)
    split = KMeans(2, n_init=10, random_state=0).fit_predict(theirs)
    small = np.bincount(split).argmin()
    assert np.array_equal(cluster(ours).cluster == 1, split == small)
    # the component that tells the clouds apart is the same one, whatever its place and its sign
    telling = np.abs(np.corrcoef(ours.T, theirs.T)[:dimensions, dimensions:]).max(axis=1)
    assert telling.max() > 0.999


def test_the_same_seed_gives_the_same_points():
    features = planted().features
    assert np.array_equal(reduce(features, seed=3), reduce(features, seed=3))


@reductions
def test_features_are_left_as_they_were(reduction):
    examples = planted()
    before = examples.features.copy()
    detect(examples, reduction=reduction)
    assert np.array_equal(examples.features, before)


def test_components_that_do_not_vary_are_refused_by_ica_only(refused):
    generator = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        features = np.outer(generator.normal(size=50), generator.normal(size=8)).astype(dtype)
        with refused("vary in fewer than 2 directions: lower the dimensions or use pca"):
            reduce(features)
        assert reduce(features, reduction=Reduction.PCA).std(axis=0)[1] < 1e-6


@reductions
@pytest.mark.parametrize(
    ("features", "named"),
    [
        (np.full((20, 5), 2.0), "the same for every example"),
        (np.where(np.eye(20, 5), math.inf, 1.0), "5 of 5 features hold NaN or infinite"),
        (np.eye(9, 5), "at least 10 rows"),
        (np.eye(20, 2), r"2 directions of features of shape \(20, 2\): choose 1 to 1"),
    ],
)
def test_features_on_which_it_cannot_work_are_refused(features, named, reduction, refused):
    examples = ClassFeatures(0, np.arange(len(features)), features, np.zeros(len(features), bool))
    with refused(named):
        detect(examples, reduction=reduction)
