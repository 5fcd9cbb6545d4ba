"""Plotly figures: data in, a plain Figure out."""

from tradeoff_core.figures.agreement import coverage_bars, published_against_ours
from tradeoff_core.figures.attacked import accuracy_by_epsilon, confusion, position_map
from tradeoff_core.figures.cause import (
    fading_in,
    feature_plane,
    landing,
    share_against_success,
    share_bars,
    share_by_epsilon,
)
from tradeoff_core.figures.certified import certificates, certified_regions
from tradeoff_core.figures.compared import rates_compared
from tradeoff_core.figures.defenses import (
    before_and_after,
    cluster_scatter,
    found_against_chance,
    game_scores,
    roc,
    score_bins,
    score_histogram,
)
from tradeoff_core.figures.finders import detectors, found_by_poison, reopening
from tradeoff_core.figures.inspection import reviewers_curve
from tradeoff_core.figures.maps import by_poison_rate, turning_map
from tradeoff_core.figures.neural_cleanse import index_control, mask_norms, unlearning
from tradeoff_core.figures.paper import arrows
from tradeoff_core.figures.poisons import where_it_holds
from tradeoff_core.figures.shared import COLUMNS, as_csv, described, hover, points_of
from tradeoff_core.figures.tradeoff import (
    pareto_front,
    tradeoff_by_epsilon,
    tradeoff_plane,
)
from tradeoff_core.figures.training import compared_curves, training_curves

__all__ = [
    "COLUMNS",
    "accuracy_by_epsilon",
    "arrows",
    "as_csv",
    "before_and_after",
    "by_poison_rate",
    "certificates",
    "certified_regions",
    "cluster_scatter",
    "compared_curves",
    "confusion",
    "coverage_bars",
    "described",
    "detectors",
    "fading_in",
    "feature_plane",
    "found_against_chance",
    "found_by_poison",
    "game_scores",
    "hover",
    "index_control",
    "landing",
    "mask_norms",
    "pareto_front",
    "points_of",
    "position_map",
    "published_against_ours",
    "rates_compared",
    "reopening",
    "reviewers_curve",
    "roc",
    "score_bins",
    "score_histogram",
    "share_against_success",
    "share_bars",
    "share_by_epsilon",
    "tradeoff_by_epsilon",
    "tradeoff_plane",
    "training_curves",
    "turning_map",
    "unlearning",
    "where_it_holds",
]
