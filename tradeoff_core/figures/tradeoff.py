"""Figures of the trade-off."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import numpy as np

from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    BACKDOOR,
    HIGHLIGHT,
    MAGNITUDE,
    NEUTRAL,
    PERCENT,
    PUBLISHED_SYMBOL,
    YOURS,
    hover,
    in_levels_of,
    laid_out,
    percent,
)
from tradeoff_core.findings.paper_tables import Published
from tradeoff_core.findings.results import Run

SYMBOLS = ("star", "diamond", "triangle-up", "cross", "hexagram", "pentagon", "triangle-down", "bowtie", "x")


def _seeds(runs: Sequence[Run]) -> str:
    count = len({run.seed for run in runs})
    return "one seed" if count == 1 else f"mean of {count} seeds"


def _add_seeds(
    figure: Figure,
    runs: Sequence[Run],
    metric: str,
    name: str,
    colour: str,
    symbol: str,
    selected: str | None,
) -> None:
    """The mean over seeds as a line, and every seed as a point whose customdata is the run's name."""
    epsilons = sorted({run.epsilon for run in runs})
    means = [np.mean([percent(getattr(run, metric)) for run in runs if run.epsilon == e]) for e in epsilons]
    figure.add_scatter(
        x=epsilons,
        y=means,
        mode="lines",
        name=f"{name}, {_seeds(runs)}",
        line={"color": colour, "width": 3},
        hoverinfo="skip",
    )
    marker = {
        "color": colour,
        "symbol": symbol,
        "size": 10,
        "line": {"width": [3 if run.name == selected else 0.5 for run in runs], "color": NEUTRAL},
    }
    told = [f"training ε {in_levels(run.epsilon)}, seed {run.seed}" for run in runs]
    figure.add_trace(
        _points(runs, metric, name, told, marker) | {"name": f"{name}, each seed", "showlegend": False}
    )


def _points(
    runs: Sequence[Run], metric: str, name: str, told: Sequence[str], marker: dict[str, object]
) -> dict[str, Any]:
    """A metric of every run at its training ε, to be clicked: customdata is the run's name."""
    return dict(
        type="scatter",
        x=[run.epsilon for run in runs],
        y=[percent(getattr(run, metric)) for run in runs],
        mode="markers",
        marker=marker,
        cliponaxis=False,
        customdata=[run.name for run in runs],
        hovertext=[
            f"{title}<br>{hover(name, getattr(run, metric))}" for title, run in zip(told, runs, strict=True)
        ],
        hoverinfo="text",
    )


@drawn_once
def tradeoff_by_epsilon(
    runs: Sequence[Run],
    published: Sequence[Published],
    attack: str,
    selected: str | None = None,
    yours: Sequence[Run] = (),
) -> Figure:
    """Adversarial accuracy and backdoor success against the training ε, with the paper's hollow markers.

    `yours` are a visitor's runs, and no part of the means.
    """
    figure = Figure()
    series = (
        ("adversarial_accuracy", "Adversarial accuracy", ADVERSARIAL, "circle"),
        ("backdoor_success_rate", "Backdoor success", BACKDOOR, "square"),
    )
    for metric, name, colour, symbol in series:
        _add_seeds(figure, runs, metric, name, colour, symbol, selected)
        if published:
            figure.add_scatter(
                x=[row.epsilon for row in published],
                y=[100 * getattr(row, metric) for row in published],
                mode="markers",
                name=f"{name}, published at its own ε",
                marker={"color": colour, "symbol": f"{symbol}-open", "size": 13, "line": {"width": 2}},
                hovertext=[
                    f"published: {row.name}<br>{name} {getattr(row, metric):.1%}" for row in published
                ],
                hoverinfo="text",
            )
        if yours:
            marker = {
                "color": colour,
                "symbol": "star-diamond",
                "size": 18,
                "line": {"width": [4 if run.name == selected else 2 for run in yours], "color": YOURS},
            }
            told = [f"yours: {run.spec.title}, seed {run.seed}" for run in yours]
            figure.add_trace(_points(yours, metric, name, told, marker) | {"name": f"{name}, yours"})
    epsilons = sorted({run.epsilon for run in (*runs, *yours)} | {row.epsilon for row in published})
    figure.update_xaxes(
        title="training ε (0 = standard training)",
        range=[-0.05 * epsilons[-1], 1.05 * epsilons[-1]],
        zeroline=False,
        **in_levels_of(epsilons),
    )
    figure.update_yaxes(title=f"% of test images<br>(adversarial: {attack})", **PERCENT)
    return laid_out(figure, 430)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points no other one beats: none has both a higher first and a lower second coordinate."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (-point[0], point[1])):
        if not front or y < front[-1][1]:
            front.append((x, y))
    return front[::-1]


@drawn_once
def tradeoff_plane(
    runs: Sequence[Run],
    published: Sequence[Published],
    attack: str,
    selected: str | None = None,
    others: Sequence[tuple[str, Sequence[Run], Sequence[Run]]] = (),
    yours: Sequence[Run] = (),
) -> Figure:
    """Backdoor success against adversarial accuracy, coloured by training ε, with the Pareto front of all runs.

    Each of `others` is (title, runs without the defense, runs with it): an arrow between their means. `yours` are a
    visitor's, and no part of the front.
    """
    figure = Figure()
    _add_front(figure, [*runs, *(run for _, _, defended in others for run in defended)])
    figure.add_scatter(
        x=[percent(run.adversarial_accuracy) for run in runs],
        y=[percent(run.backdoor_success_rate) for run in runs],
        mode="markers",
        name="measured",
        marker={
            "color": [run.epsilon for run in runs],
            "colorscale": MAGNITUDE,
            "size": 12,
            "colorbar": {"title": "training ε", "thickness": 12}
            | in_levels_of(sorted({run.epsilon for run in runs})),
            "line": {"width": [3 if run.name == selected else 1.5 for run in runs], "color": NEUTRAL},
        },
        cliponaxis=False,
        customdata=[run.name for run in runs],
        hovertext=[_told(f"training ε {in_levels(run.epsilon)}, seed {run.seed}", run) for run in runs],
        hoverinfo="text",
    )
    if published:
        _add_published(figure, published)
    for (title, baseline, defended), symbol in zip(
        others, cycle([*SYMBOLS, *(f"{name}-open" for name in SYMBOLS)])
    ):
        _add_condition(figure, title, baseline, defended, symbol, selected)
    if yours:
        _add_yours(figure, yours, selected)
    figure.update_xaxes(title=f"adversarial accuracy ({attack}) → better", **PERCENT)
    figure.update_yaxes(title="backdoor success → worse", **PERCENT)
    laid_out(figure, 430 + 29 * len(others))
    return figure.update_layout(legend={"maxheight": 29 * (len(others) + 5)})


def _add_front(figure: Figure, runs: Sequence[Run]) -> None:
    """The Pareto front of the runs as a line."""
    front = pareto_front([(percent(r.adversarial_accuracy), percent(r.backdoor_success_rate)) for r in runs])
    figure.add_scatter(
        x=[x for x, _ in front],
        y=[y for _, y in front],
        mode="lines",
        name="Pareto front: no run is better on both",
        line={"color": NEUTRAL, "shape": "vh", "dash": "dot"},
        hoverinfo="skip",
    )


def _add_published(figure: Figure, published: Sequence[Published]) -> None:
    """The paper's numbers in the plane."""
    figure.add_scatter(
        x=[100 * row.adversarial_accuracy for row in published],
        y=[100 * row.backdoor_success_rate for row in published],
        mode="markers",
        name="published at its own ε",
        cliponaxis=False,
        marker={"color": NEUTRAL, "symbol": PUBLISHED_SYMBOL, "size": 13, "line": {"width": 2}},
        hovertext=[f"published: {row.name}" for row in published],
        hoverinfo="text",
    )


def _add_yours(figure: Figure, yours: Sequence[Run], selected: str | None) -> None:
    """A visitor's runs in the plane."""
    figure.add_scatter(
        x=[percent(run.adversarial_accuracy) for run in yours],
        y=[percent(run.backdoor_success_rate) for run in yours],
        mode="markers+text",
        text=["yours"] * len(yours),
        textposition="top center",
        name="yours",
        cliponaxis=False,
        marker={
            "symbol": "star-diamond",
            "size": 20,
            "color": YOURS,
            "line": {"width": [3 if run.name == selected else 1 for run in yours], "color": NEUTRAL},
        },
        customdata=[run.name for run in yours],
        hovertext=[_told(f"yours: {run.spec.title}, seed {run.seed}", run) for run in yours],
        hoverinfo="text",
    )


def _told(name: str, run: Run) -> str:
    """A run's place in the plane as hover text."""
    adversarial = hover("Adversarial accuracy", run.adversarial_accuracy)
    return f"{name}<br>{adversarial}<br>{hover('Backdoor success', run.backdoor_success_rate)}"


def _add_condition(
    figure: Figure,
    title: str,
    baseline: Sequence[Run],
    defended: Sequence[Run],
    symbol: str,
    selected: str | None,
) -> None:
    """An arrow from the mean without a defense to the mean with it, and every seed with it as a point."""
    ends = [
        [np.mean([percent(getattr(run, metric)) for run in side]) for side in (baseline, defended)]
        for metric in ("adversarial_accuracy", "backdoor_success_rate")
    ]
    figure.add_scatter(
        x=ends[0],
        y=ends[1],
        mode="lines+markers",
        name=title,
        line={"color": NEUTRAL, "width": 2},
        marker={"symbol": "arrow", "angleref": "previous", "size": [0, 13], "color": NEUTRAL},
        legendgroup=title,
        showlegend=False,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[percent(run.adversarial_accuracy) for run in defended],
        y=[percent(run.backdoor_success_rate) for run in defended],
        mode="markers",
        name=title,
        legendgroup=title,
        cliponaxis=False,
        marker={
            "symbol": symbol,
            "size": 11,  # smaller than the curve's, because of markers that overlap a click takes the smallest
            "color": HIGHLIGHT,
            "line": {"width": [3 if run.name == selected else 1 for run in defended], "color": NEUTRAL},
        },
        customdata=[run.name for run in defended],
        hovertext=[_told(f"{title}, seed {run.seed}", run) for run in defended],
        hoverinfo="text",
    )
