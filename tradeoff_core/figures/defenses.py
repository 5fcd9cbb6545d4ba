"""Figures of the backdoor defenses: what they score, what they find, and what removing or unlearning does."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from tradeoff_core.defenses.activation_clustering import Clusters
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.defenses.neural_cleanse import CONSISTENT, SUSPICIOUS
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    BACKDOOR,
    CLEAN,
    HIGHLIGHT,
    NEUTRAL,
    PERCENT,
    POISONED,
    laid_out,
)
from tradeoff_core.published import PublishedDetection
from tradeoff_core.results import Defended

BINS = 40


def score_bins(detection: Detection, bins: int = BINS) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges (bins + 1,) from 0 to the highest score, and the bin (N,) that each example falls into."""
    edges = np.linspace(0, max(float(detection.scores.max()), 1e-12), bins + 1)
    return edges, np.clip(np.digitize(detection.scores, edges) - 1, 0, bins - 1)


def score_histogram(detection: Detection, *, truth: bool, selected: Collection[int] = ()) -> go.Figure:
    """How many examples have which spectral score, and the line right of which they are removed.

    Poisoned and clean ones are stacked if `truth` is shown, else one colour. A bar's customdata is its bin;
    those `selected` are framed.
    """
    edges, bins = score_bins(detection)
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    kinds = (
        (
            ("clean", CLEAN, "", ~detection.poisoned),
            ("poisoned", POISONED, "/", detection.poisoned),
        )
        if truth
        else (("training examples", NEUTRAL, "", np.ones_like(detection.poisoned)),)
    )
    figure = go.Figure()
    for name, colour, pattern, chosen in kinds:
        figure.add_bar(
            x=middles,
            y=np.bincount(bins[chosen], minlength=BINS),
            width=width,
            name=name,
            marker={
                "color": colour,
                "pattern": {"shape": pattern, "size": 5},
                "line": {
                    "width": [3 if number in selected else 0 for number in range(BINS)],
                    "color": HIGHLIGHT,
                },
            },
            customdata=np.arange(BINS),
            hovertemplate="score %{x:.2f}: %{y} " + name + "<extra></extra>",
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
        )
    line = threshold(detection)
    figure.add_vline(x=line, line={"color": HIGHLIGHT, "width": 3, "dash": "dash"})
    figure.add_annotation(
        x=line,
        y=1.02,
        yref="paper",
        text="removed →",
        showarrow=False,
        xanchor="left" if line < 0.75 * edges[-1] else "right",
        yanchor="bottom",
        font={"color": HIGHLIGHT, "size": 15},
    )
    figure.update_xaxes(
        title="spectral score", range=[0, edges[-1] + width / 2], zeroline=False, fixedrange=True
    )
    figure.update_yaxes(title="training examples", fixedrange=True)
    laid_out(figure, 340, barmode="stack", bargap=0.05, selectdirection="h")
    return figure.update_layout(legend={"y": -0.25, "yanchor": "top"})


def threshold(detection: Detection) -> float:
    """The score between the lowest that is removed and the highest that is kept."""
    lowest = float(detection.scores[detection.removed].min())
    return (lowest + float(detection.scores[~detection.removed].max())) / 2


def roc(detection: Detection) -> go.Figure:
    """Detection rate against false positive rate at every threshold, the one in use, and chance."""
    false, found = detection.roc()
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="chance",
        line={"color": NEUTRAL, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=100 * false,
        y=100 * found,
        mode="lines",
        name="every threshold",
        line={"color": POISONED, "width": 3},
    )
    figure.add_scatter(
        x=[100 * detection.false_positive_rate.value],
        y=[100 * detection.detection_rate.value],
        mode="markers",
        name="now",
        marker={"size": 14, "color": HIGHLIGHT, "symbol": "diamond"},
        cliponaxis=False,
    )
    figure.update_xaxes(title="false positive rate: clean examples removed", **PERCENT)
    figure.update_yaxes(title="detection rate: poison removed", **PERCENT)
    return laid_out(figure, 340)


def cluster_scatter(
    clusters: Clusters, poisoned: NDArray[np.bool_], *, truth: bool, three: bool = False
) -> go.Figure:
    """The two clusters in the first two (or three) dimensions; a point's customdata is its place among all.

    A cluster has its symbol; the colour tells poisoned from clean if `truth` is shown, else the cluster.
    """
    figure = go.Figure()
    for number, (name, symbol, colour) in enumerate(
        (
            ("larger group" if clusters.share < 0.5 else "one group", "circle", NEUTRAL),
            ("smaller group" if clusters.share < 0.5 else "the other group", "diamond", HIGHLIGHT),
        )
    ):
        kinds = (
            (("clean", CLEAN, ~poisoned), ("poisoned", POISONED, poisoned))
            if truth
            else (("", colour, True),)
        )
        for kind, shade, chosen in kinds:
            where = np.flatnonzero((clusters.cluster == number) & chosen)
            if not len(where):
                continue
            marker = {"symbol": symbol, "color": shade, "size": 4 if three else 8, "opacity": 0.75}
            x, y, *rest = clusters.points[where].T
            options: dict[str, Any] = {
                "mode": "markers",
                "name": f"{name}, {kind}" if kind else name,
                "marker": marker,
                "customdata": where,
                "hovertemplate": f"{name} {kind}<extra></extra>",
            }
            if three:
                figure.add_scatter3d(x=x, y=y, z=rest[0], **options)
            else:
                figure.add_scatter(x=x, y=y, unselected={"marker": {"opacity": 0.25}}, **options)
    figure.update_scenes(
        xaxis_title="first component", yaxis_title="second component", zaxis_title="third component"
    )
    figure.update_xaxes(title="first component", zeroline=False)
    figure.update_yaxes(title="second component", zeroline=False)
    laid_out(figure, 480)
    return figure.update_layout(legend={"itemsizing": "constant"})


def found_against_chance(
    entries: Sequence[Defended], published: Sequence[PublishedDetection] = ()
) -> go.Figure:
    """Detection rate against chance, a point a run; on the diagonal the defense guesses."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="chance",
        line={"color": NEUTRAL, "dash": "dot"},
        hoverinfo="skip",
    )
    for labels, name, colour, symbol in (
        ("dirty-label", "dirty-label, standard training", HIGHLIGHT, "square"),
        ("clean-label", "clean-label, adversarial training", POISONED, "circle"),
    ):
        mine = [entry for entry in entries if entry.spec.poison and entry.spec.poison.labels == labels]
        theirs = [row for row in published if row.labels == labels]
        figure.add_scatter(
            x=[100 * entry.numbers["chance"] for entry in mine],
            y=[100 * entry.numbers["detection_rate"] for entry in mine],
            mode="markers",
            name=name,
            marker={"color": colour, "symbol": symbol, "size": 11, "opacity": 0.8},
            cliponaxis=False,
            hovertext=[
                f"{entry.numbers['n_poisoned']} of {entry.numbers['n_target']} poisoned, seed {entry.spec.seed}<br>"
                f"found {entry.numbers['detection_rate']:.1%}, chance {entry.numbers['chance']:.1%}"
                for entry in mine
            ],
            hoverinfo="text",
        )
        if theirs:
            figure.add_scatter(
                x=[100 * row.chance for row in theirs],
                y=[100 * row.detection_rate for row in theirs],
                mode="markers",
                name=f"{labels}, published",
                marker={"color": colour, "symbol": f"{symbol}-open", "size": 14, "line": {"width": 2}},
                cliponaxis=False,
                hovertext=[
                    f"published, CIFAR-10: {row.poison_rate_dataset:.1%} of the data poisoned<br>"
                    f"found {row.detection_rate:.1%}, chance {row.chance:.1%}"
                    for row in theirs
                ],
                hoverinfo="text",
            )
    figure.update_xaxes(title="chance: share of the class that is removed", **PERCENT)
    figure.update_yaxes(title="detection rate: share of the poison removed", **PERCENT)
    return laid_out(figure, 400)


def _name_rows(figure: go.Figure, names: Sequence[str]) -> None:
    """Rows instead of a y axis: the first at 0, the next at -1, and so on."""
    figure.update_yaxes(
        tickvals=[-at for at in range(len(names))],
        ticktext=list(names),
        range=[-len(names) + 0.5, 0.5],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )


METRICS = (  # key of the rates before and after, name, colour, symbol
    ("backdoor_success_rate", "backdoor success", BACKDOOR, "square"),
    ("clean_accuracy", "clean accuracy", NEUTRAL, "diamond"),
    ("adversarial_accuracy", "adversarial accuracy", ADVERSARIAL, "circle"),
    ("target_recall", "target class's recall", HIGHLIGHT, "triangle-up"),
)


def before_and_after(rows: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> go.Figure:
    """The rates of retrained networks: a row a way of removing, of (name, rates of each seed), first on top."""
    figure = go.Figure()
    for place, (key, name, colour, symbol) in enumerate(METRICS):
        shift = 0.27 - 0.18 * place
        for mean in (False, True):
            points = [
                (value, -at + shift)
                for at, (_, seeds) in enumerate(rows)
                for value in (
                    [np.mean([100 * rates[key] for rates in seeds])]
                    if mean
                    else [100 * rates[key] for rates in seeds]
                )
            ]
            figure.add_scatter(
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="markers",
                name=f"{name}, mean" if mean else f"{name}, each seed",
                legendgroup=key,
                showlegend=mean,
                marker={
                    "symbol": symbol,
                    "color": colour,
                    "size": 13 if mean else 6,
                    "opacity": 1 if mean else 0.5,
                },
                hovertemplate=f"{name}: %{{x:.1f}}%" + (" (mean)" if mean else "") + "<extra></extra>",
                cliponaxis=False,
            )
    for at in range(1, len(rows)):
        figure.add_hline(y=-at + 0.5, line={"color": NEUTRAL, "width": 0.5})
    figure.update_xaxes(title="% of test images", **PERCENT)
    _name_rows(figure, [name for name, _ in rows])
    return laid_out(figure, 110 + 68 * len(rows))


def mask_norms(norms: NDArray[np.float64], index: NDArray[np.float64], classes: Sequence[str]) -> go.Figure:
    """The size of each class's rebuilt mask with its anomaly index, and the line under which one is flagged."""
    flagged = index >= SUSPICIOUS
    middle = float(np.median(norms))
    limit = middle - SUSPICIOUS * CONSISTENT * float(np.median(np.abs(norms - middle)))
    many = len(classes) > 10  # whose names stand upright
    figure = go.Figure()
    figure.add_bar(
        x=list(classes),
        y=norms,
        text=[f"{round(value, 1) + 0:.1f}" for value in index],  # no -0.0
        textposition="auto",  # above a bar that is too small
        insidetextanchor="start",
        insidetextfont={"color": "white"},
        textangle=-90 if many else 0,
        cliponaxis=False,
        marker={
            "color": [HIGHLIGHT if flag else NEUTRAL for flag in flagged],
            "pattern": {"shape": ["/" if flag else "" for flag in flagged], "size": 5},
        },
        hovertemplate="class %{x}: mask of %{y:.1f} pixels, anomaly index %{text}<extra></extra>",
        name="size of the mask, with its anomaly index",
        showlegend=False,
    )
    lines = [
        ("the median class", middle, NEUTRAL, "dot"),
        ("flagged below (index 2)", limit, HIGHLIGHT, "dash"),
    ]
    for name, height, colour, dash in lines:
        if height > 0:
            figure.add_scatter(
                x=[classes[0], classes[-1]],
                y=[height, height],
                mode="lines",
                name=name,
                line={"color": colour, "dash": dash, "width": 2},
                hoverinfo="name+y",
            )
    figure.update_xaxes(title="class whose trigger was rebuilt", type="category", fixedrange=True)
    figure.update_yaxes(title="pixels its mask covers (l1 norm)", rangemode="tozero", fixedrange=True)
    figure.update_layout(bargap=0.08 if many else 0.2)
    return laid_out(figure, 440 if many else 340)


def index_control(rows: Sequence[tuple[str, Sequence[Sequence[float]]]], classes: Sequence[str]) -> go.Figure:
    """Anomaly indices as dots, a row a kind of network, of (name, indices of each network's classes).

    A network's highest index, by which it is judged, is drawn large.
    """
    figure = go.Figure()
    for highest in (False, True):
        points = [
            (value, -at, classes[label])
            for at, (_, networks) in enumerate(rows)
            for network in networks
            for label, value in enumerate(network)
            if (value == max(network)) is highest
        ]
        figure.add_scatter(
            x=[x for x, _, _ in points],
            y=[y for _, y, _ in points],
            text=[f"class {label}" for _, _, label in points],
            mode="markers",
            name="a network's highest" if highest else "its other classes",
            marker={
                "color": HIGHLIGHT if highest else NEUTRAL,
                "symbol": "diamond" if highest else "circle",
                "size": 13 if highest else 6,
                "opacity": 0.8 if highest else 0.4,
            },
            hovertemplate="%{text}: anomaly index %{x:.1f}<extra></extra>",
        )
    figure.add_vline(x=SUSPICIOUS, line={"color": HIGHLIGHT, "dash": "dash", "width": 2})
    figure.update_xaxes(title="anomaly index (flagged from 2 on)", zeroline=False)
    _name_rows(figure, [name for name, _ in rows])
    return laid_out(figure, 120 + 60 * len(rows))


def unlearning(steps: Sequence[dict[str, Any]]) -> go.Figure:
    """Backdoor success, clean and adversarial accuracy after each epoch of unlearning; epoch 0 is before."""
    figure = go.Figure()
    for key, name, colour, symbol in METRICS[:3]:
        figure.add_scatter(
            x=[step["epoch"] for step in steps],
            y=[100 * step[key] for step in steps],
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 3},
            marker={"symbol": symbol, "size": 9},
            cliponaxis=False,
            hovertemplate=f"epoch %{{x}}: {name} %{{y:.1f}}%<extra></extra>",
        )
    figure.update_xaxes(title="epochs of unlearning (0 = before)", zeroline=False, dtick=1)
    figure.update_yaxes(title="% of test images", **PERCENT)
    return laid_out(figure, 360)


def game_scores(levels: Sequence[str], right: dict[str, Sequence[float]], of: int) -> go.Figure:
    """About how many images each player was right, by level; "Chance" is a line."""
    figure = go.Figure()
    looks = {
        "You": (HIGHLIGHT, ""),
        "Spectral signatures": (NEUTRAL, ""),
        "Activation clustering": (NEUTRAL, "/"),
    }
    for name, values in right.items():
        if name in looks:
            colour, pattern = looks[name]
            figure.add_bar(
                x=list(levels),
                y=list(values),
                name=name,
                marker={"color": colour, "pattern": {"shape": pattern, "size": 5}},
            )
        else:
            figure.add_scatter(
                x=list(levels),
                y=list(values),
                name=name,
                mode="markers",
                marker={"symbol": "line-ew", "size": 110, "line": {"width": 3, "color": BACKDOOR}},
            )
    figure.update_xaxes(type="category", title="level and its sticker", fixedrange=True)
    figure.update_yaxes(title=f"right about, of {of}", range=[0, 1.1 * of], dtick=of / 4, fixedrange=True)
    return laid_out(figure, 320)
