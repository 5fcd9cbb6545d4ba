"""SPECTRE (Hayase, Kong, Somani, Oh, ICML 2021, arXiv 2104.11315): whiten by what the clean examples look like, then score.

Spectral signatures fail where poison is not what varies most. SPECTRE estimates the mean and the covariance of a class's
features robustly, so that poison has little part in them, whitens with them, and scores by quantum entropy (QUE), which weighs
every direction by how much it still varies. Of the top k directions the k is taken that leaves the most suspicious poison.

The robust estimate follows the filter of Diakonikolas et al. (ICML 2017), as the paper's code does, but not its tail bounds:
examples that stand out most along the quadratic form that varies most go, an equal part of the allowance a round, until that
form varies no more than it would among Gaussians. The code centres at the mean of all, this at the robust one. The paper
removes 1.5 times the expected poison; `detect` removes as many as it is asked to, as for spectral signatures.
"""

import numpy as np

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.defenses.detection import ClassFeatures, Detection, checked
from tradeoff_core.defenses.spectral_signatures import highest, removal_count, top_directions
from tradeoff_core.networks.inference import Floats

ALPHA = 4.0  # of QUE, the paper's
MOST_DIRECTIONS, CANDIDATES = (
    100,
    10,
)  # the largest k, and how many are tried: squares, as in the paper's code
EXAMPLES_PER_DIRECTION = 4  # fewer would say little of a covariance
TRIMMED, REMOVED = (
    2.0,
    1.5,
)  # times the expected poison: at most left out of the estimate, and of the choice of k
ROUNDS, MULTIPLICATIONS = 4, 8  # of the filter, and of the power method in each
SETTLED = 0.02  # a form that moves less than this is the one
FLAT = 1e-5  # of the widest direction's spread, below which one does not vary


def spectre_scores(features: Floats, share: float) -> Floats:
    """The QUE score (N,) of every row of features (N, D), where about a `share` in (0, 1) of them is poison.

    Of a share above a quarter half of the rows make the estimate: no robust one is right if the poison is the majority of
    those. Raises TradeoffError for features that hold NaN or do not vary, and for a share that comes to no row or to all.
    """
    features = checked(features)
    count, examples = removal_count(share, len(features)), len(features)
    points = _projected(features)  # (N, most)
    trimmed, removed = (min(round(times * count), examples // 2) for times in (TRIMMED, REMOVED))
    most = points.shape[1]
    best, chosen = -np.inf, points[:, 0]
    for k in np.unique(np.linspace(1, np.sqrt(most), CANDIDATES).round(9) ** 2 // 1).astype(int):
        scores = que_scores(_whitened(points[:, :k], robust(points[:, :k], trimmed)))
        clean = points[~highest(scores, removed)]
        left = float(que_scores(_whitened(points, clean)).mean())
        if left > best:
            best, chosen = left, scores
    return chosen


def que_scores(whitened: Floats, alpha: float = ALPHA) -> Floats:
    """x' Q x / tr(Q) for every row x of whitened points (N, k), Q = exp(α (Σ - 1) / (|Σ| - 1)) of their covariance Σ.

    At α = 0 it is the squared length over k, for a large α the squared projection on the direction that varies most.
    """
    covariance = np.atleast_2d(np.cov(whitened, rowvar=False, bias=True))
    values, vectors = np.linalg.eigh(covariance)
    above = values[-1] - 1
    powers = alpha * (values - 1) / above if above > FLAT else np.zeros_like(values)
    weights = np.exp(powers - powers.max())
    scores: Floats = (whitened @ vectors) ** 2 @ (weights / weights.sum())
    return scores


def robust(points: Floats, allowance: int) -> Floats:
    """The points (N, k) less at most `allowance` of them, whose mean and covariance are robust estimates."""
    kept, step = points, -(-allowance // ROUNDS)
    while (left := allowance - (len(points) - len(kept))) > 0:
        white = _whitened(kept, kept)
        form, variance = _most_varying_form(white)
        # what a sample of n gives of a Gaussian's 2 by luck, among k (k + 1) / 2 forms
        by_luck = np.sqrt(white.shape[1] * (white.shape[1] + 1) / 2 / len(white))
        if variance <= 2 * (1 + by_luck) ** 2:
            break
        values = ((white @ form) * white).sum(axis=1)
        distance = np.abs(values - np.median(values))
        kept = kept[~highest(distance, min(step, left))]
    return kept


def _most_varying_form(white: Floats) -> tuple[Floats, float]:
    """The quadratic form (k, k) of norm 1 whose values vary most over white points (N, k), and their variance.

    By the power method from the identity, whose values are the squared lengths.
    """
    form, variance = np.eye(white.shape[1], dtype=white.dtype), 0.0
    for _ in range(MULTIPLICATIONS):
        values = ((white @ form) * white).sum(axis=1)
        image = (white * (values - values.mean())[:, None]).T @ white / len(white)
        variance = float(np.linalg.norm(image) / np.linalg.norm(form))
        if variance == 0:  # all lie at one distance
            break
        before, form = form, image / np.linalg.norm(image)
        if np.linalg.norm(form - before) < SETTLED:
            break
    return form, variance


def _whitened(points: Floats, clean: Floats) -> Floats:
    """Points (N, k) with the mean taken off and the covariance divided out that `clean` (n, k) has."""
    mean = clean.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(clean, rowvar=False, bias=True)))
    spread = np.sqrt(values.clip(max(FLAT**2 * values[-1], np.finfo(float).tiny)))
    white: Floats = (points - mean) @ (vectors / spread).astype(points.dtype)
    return white


def _projected(features: Floats) -> Floats:
    """The centred features (N, D) on their top directions (N, most), those that vary."""
    most = min(MOST_DIRECTIONS, len(features) // EXAMPLES_PER_DIRECTION, min(features.shape) - 1)
    if most < 1:
        raise TradeoffError(f"features of shape {tuple(features.shape)} have no direction to choose")
    directions = top_directions(features, most)
    points: Floats = (features - features.mean(axis=0)) @ directions.T
    spread = points.std(axis=0)
    varying: Floats = points[:, spread > FLAT * spread[0]]
    return varying


def detect(examples: ClassFeatures, remove_rate: float) -> Detection:
    """Score the examples of a class, of which about that share is expected to be poison, and remove the share."""
    count = removal_count(remove_rate, len(examples.index))
    scores = spectre_scores(examples.features, remove_rate)
    return Detection(examples.index, scores, highest(scores, count), examples.poisoned)
