"""Plotly figures: data in, go.Figure out."""

from tradeoff_core.figures.attacked import accuracy_by_epsilon, confusion, position_map
from tradeoff_core.figures.cause import (
    fading_in,
    feature_plane,
    landing,
    share_against_success,
    share_bars,
    share_by_epsilon,
)
from tradeoff_core.figures.certified import certified_regions
from tradeoff_core.figures.defenses import (
    before_and_after,
    cluster_scatter,
    found_against_chance,
    game_scores,
    index_control,
    mask_norms,
    roc,
    score_bins,
    score_histogram,
    unlearning,
)
from tradeoff_core.figures.maps import by_poison_rate, turning_map
from tradeoff_core.figures.paper import arrows
from tradeoff_core.figures.shared import as_csv, hover
from tradeoff_core.figures.tradeoff import (
    pareto_front,
    seesaw,
    tradeoff_by_epsilon,
    tradeoff_plane,
)
from tradeoff_core.figures.training import compared_curves, training_curves

__all__ = [
    "accuracy_by_epsilon",
    "arrows",
    "as_csv",
    "before_and_after",
    "by_poison_rate",
    "certified_regions",
    "cluster_scatter",
    "compared_curves",
    "confusion",
    "fading_in",
    "feature_plane",
    "found_against_chance",
    "game_scores",
    "hover",
    "index_control",
    "landing",
    "mask_norms",
    "pareto_front",
    "position_map",
    "roc",
    "score_bins",
    "score_histogram",
    "seesaw",
    "share_against_success",
    "share_bars",
    "share_by_epsilon",
    "tradeoff_by_epsilon",
    "tradeoff_plane",
    "training_curves",
    "turning_map",
    "unlearning",
]
