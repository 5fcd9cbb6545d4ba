"""Activation clustering (Chen et al., SafeAI 2019): poisoned and clean examples of a class form two clusters.

Reduce the features of a class to a few dimensions, split them in two by k-means, then decide which cluster is
poison, if any. Chen et al. give two rules that need not be told: poison is the cluster that is unusually small,
or the split is one that separates well. Weng et al. take the cluster of an example known to be poisoned: an
oracle, here for comparison only.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.defenses.detection import ClassFeatures, Detection
from tradeoff_core.defenses.spectral_signatures import top_directions
from tradeoff_core.networks.inference import Floats

SMALL = 0.35  # a cluster below this share of the class is unusually small (adversarial-robustness-toolbox's value)
SEPARATED = 0.10  # a silhouette from here on means two groups, not one cut in half (Chen et al.)
SAMPLE = 2000  # examples that the silhouette is measured on: all pairs of a large class would take too long


class Reduction(StrEnum):
    """How features become few: independent components (the papers' choice) or principal ones."""

    ICA = "fastica"
    PCA = "pca"


class Rule(StrEnum):
    """Who decides which cluster is poison. The oracle is told the truth, as the code of Weng et al. is."""

    SIZE = "size"
    SILHOUETTE = "silhouette"
    ORACLE = "oracle"


@dataclass(frozen=True, slots=True)
class Clusters:
    """Two clusters of N examples: 0 the larger, 1 the smaller.

    `points` (N, d) is what was clustered, `cluster` (N,) where each went, `scores` (N,) how much nearer an
    example is to the smaller cluster's centre than to the larger one's, `silhouette` in [-1, 1] how well the
    two are separated.
    """

    points: Floats
    cluster: NDArray[np.int64]
    scores: Floats
    silhouette: float

    @property
    def share(self) -> float:
        """The smaller cluster's share of all."""
        return float(self.cluster.mean())


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which cluster a rule calls poison, None for neither, and why, in one sentence."""

    cluster: int | None
    reason: str


def reduce(
    features: Floats, dimensions: int = 2, reduction: Reduction = Reduction.ICA, seed: int = 0
) -> Floats:
    """Features (N, D) -> (N, dimensions): principal components, or FastICA on them after whitening.

    The same as FastICA on the features themselves, which whitens them by their principal components, but at the
    price of a few of them. Raises TradeoffError for features that hold NaN or have fewer directions.
    """
    directions = top_directions(features, dimensions)
    points: Floats = (features - features.mean(axis=0)) @ directions.T
    if reduction is Reduction.PCA:
        return points
    from sklearn.decomposition import FastICA

    spread = points.std(axis=0)
    if (spread < 1e-6 * spread.max()).any():
        raise TradeoffError(
            f"the features vary in fewer than {dimensions} directions: lower the dimensions or use pca"
        )
    unmix = FastICA(whiten=False, random_state=seed, max_iter=1000, tol=0.005)
    independent: Floats = unmix.fit_transform(points / spread)
    return independent


def cluster(points: Floats, seed: int = 0) -> Clusters:
    """Split points (N, d) in two by k-means, whatever their order."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # on so little data threads only wait for each other
        means = KMeans(2, n_init=10, random_state=seed).fit(points)
    labels, centres = means.labels_.astype(np.int64), means.cluster_centers_
    sizes = np.bincount(labels, minlength=2)
    if sizes[1] > sizes[0] or (sizes[1] == sizes[0] and tuple(centres[1]) < tuple(centres[0])):
        labels, centres = 1 - labels, centres[::-1]
    to_large, to_small = (np.linalg.norm(points - centre, axis=1) for centre in centres)
    sample = np.random.RandomState(seed).permutation(len(points))[:SAMPLE]
    if len(np.unique(labels[sample])) == 1:  # a tiny cluster was missed
        sample = np.append(sample[:-1], np.flatnonzero(labels)[0])
    silhouette = silhouette_score(points[sample], labels[sample])
    return Clusters(points, labels, to_large - to_small, float(silhouette))


def judge(clusters: Clusters, rule: Rule, poisoned: NDArray[np.bool_]) -> Verdict:
    """Which of the clusters the rule calls poison; only the oracle looks at `poisoned` (N,)."""
    share, silhouette = clusters.share, clusters.silhouette
    if rule is Rule.SIZE:
        if share < SMALL:
            return Verdict(
                1, f"one cluster holds {share:.1%} of the class, under {SMALL:.0%}: it is called poison"
            )
        return Verdict(
            None, f"the smaller cluster holds {share:.1%}, not under {SMALL:.0%}: both are called clean"
        )
    if rule is Rule.SILHOUETTE:
        if silhouette < SEPARATED:
            return Verdict(
                None, f"silhouette {silhouette:.3f}, under {SEPARATED:.2f}: both clusters are called clean"
            )
        if share == 0.5:
            return Verdict(
                None,
                f"silhouette {silhouette:.3f}, at least {SEPARATED:.2f}, so there are two groups; "
                "but they are equally large, and the rule cannot say which is poison",
            )
        return Verdict(
            1,
            f"silhouette {silhouette:.3f}, at least {SEPARATED:.2f}: the smaller cluster, {clusters.cluster.sum():,} of "
            f"{len(clusters.cluster):,}, is called poison",
        )
    if not poisoned.any():
        return Verdict(None, "the oracle knows that nothing here is poisoned")
    held = np.bincount(clusters.cluster[poisoned], minlength=2)
    fullest = int(held.argmax())
    return Verdict(
        fullest,
        f"the oracle is told that this cluster holds {held[fullest]:,} of the {held.sum():,} poisoned",
    )


def detect(
    examples: ClassFeatures,
    rule: Rule = Rule.SIZE,
    *,
    dimensions: int = 2,
    reduction: Reduction = Reduction.ICA,
    seed: int = 0,
) -> tuple[Detection, Clusters, Verdict]:
    """Cluster the examples of a class and remove the cluster that the rule calls poison."""
    clusters = cluster(reduce(examples.features, dimensions, reduction, seed), seed)
    verdict = judge(clusters, rule, examples.poisoned)
    scores = -clusters.scores if verdict.cluster == 0 else clusters.scores
    return (
        Detection(examples.index, scores, clusters.cluster == verdict.cluster, examples.poisoned),
        clusters,
        verdict,
    )
