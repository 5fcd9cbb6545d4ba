"""Figures of the backdoor defenses: what they score, what they find, and what removing or unlearning does."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.defenses.activation_clustering import Clusters
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    BACKDOOR,
    CLEAN,
    HIGHLIGHT,
    NEUTRAL,
    PERCENT,
    POISONED,
    laid_out,
    name_space,
)
from tradeoff_core.findings.paper_tables import PublishedDetection
from tradeoff_core.findings.results import Defended

BINS = 40


def score_bins(detection: Detection, bins: int = BINS) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges (bins + 1,) from 0 to the highest score, and the bin (N,) that each example falls into."""
    edges = np.linspace(0, max(float(detection.scores.max()), 1e-12), bins + 1)
    return edges, np.clip(np.digitize(detection.scores, edges) - 1, 0, bins - 1)


@drawn_once
def score_histogram(
    detection: Detection, *, truth: bool, selected: Collection[int] = (), drag: str = "zoom"
) -> Figure:
    """How many examples have which spectral score, and the line right of which they are removed.

    Poisoned and clean ones are stacked if `truth` is shown, else one colour. A bar's customdata is its bin;
    those `selected` are framed; `drag` is what dragging over it does.
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
    figure = Figure()
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
    laid_out(figure, 340, barmode="stack", bargap=0.05, selectdirection="h", dragmode=drag)
    return figure.update_layout(legend={"y": -0.25, "yanchor": "top"})


def threshold(detection: Detection) -> float:
    """The score between the lowest that is removed and the highest that is kept."""
    lowest = float(detection.scores[detection.removed].min())
    return (lowest + float(detection.scores[~detection.removed].max())) / 2


@drawn_once
def roc(detection: Detection) -> Figure:
    """Detection rate against false positive rate at every threshold, the one in use, and chance."""
    false, found = detection.roc()
    figure = Figure()
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


@drawn_once
def cluster_scatter(
    clusters: Clusters, poisoned: NDArray[np.bool_], *, truth: bool, three: bool = False, drag: str = "zoom"
) -> Figure:
    """The two clusters in the first two (or three) dimensions; a point's customdata is its place among all.

    A cluster has its symbol; the colour tells poisoned from clean if `truth` is shown, else the cluster. `drag` is what
    dragging over it in two dimensions does.
    """
    figure = Figure()
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
    if three:
        name_space(figure, ["first component", "second component", "third component"])
    figure.update_xaxes(title="first component", zeroline=False)
    figure.update_yaxes(title="second component", zeroline=False)
    laid_out(figure, 480, **({} if three else {"dragmode": drag}))
    return figure.update_layout(legend={"itemsizing": "constant"})


@drawn_once
def found_against_chance(entries: Sequence[Defended], published: Sequence[PublishedDetection] = ()) -> Figure:
    """Detection rate against chance, a point a run; on the diagonal the defense guesses."""
    figure = Figure()
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


def name_rows(figure: Figure, names: Sequence[str]) -> None:
    """Rows instead of a y axis: the first at 0, the next at -1, and so on."""
    figure.update_yaxes(
        tickvals=[-at for at in range(len(names))],
        ticktext=list(names),
        range=[-len(names) + 0.5, 0.5],
        showgrid=False,
        zeroline=False,
        fixedrange=True,
    )


SHOWN_RATES = (  # key of the rates before and after, name, colour, symbol
    ("backdoor_success_rate", "backdoor success", BACKDOOR, "square"),
    ("clean_accuracy", "clean accuracy", NEUTRAL, "diamond"),
    ("adversarial_accuracy", "adversarial accuracy", ADVERSARIAL, "circle"),
    ("target_recall", "target class's recall", HIGHLIGHT, "triangle-up"),
)


@drawn_once
def before_and_after(rows: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> Figure:
    """The rates of retrained networks: a row a way of removing, of (name, rates of each seed), first on top."""
    figure = Figure()
    for place, (key, name, colour, symbol) in enumerate(SHOWN_RATES):
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
    name_rows(figure, [name for name, _ in rows])
    return laid_out(figure, 110 + 68 * max(3, len(rows)))  # its legend has four lines on a phone


@drawn_once
def game_scores(levels: Sequence[str], right: dict[str, Sequence[float]], of: int) -> Figure:
    """About how many images each player was right, by level; "Chance" is a line."""
    figure = Figure()
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
    figure.update_xaxes(type="category", title="level and its trigger", fixedrange=True)
    figure.update_yaxes(title=f"right about, of {of}", range=[0, 1.1 * of], dtick=of / 4, fixedrange=True)
    return laid_out(figure, 320)
