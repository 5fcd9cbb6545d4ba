"""Where the finding holds and where it turns: backdoor success by the poison rate, the sticker, the watermark."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from plotly.colors import sample_colorscale

from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    HIGHLIGHT,
    MAGNITUDE,
    NEUTRAL,
    PERCENT,
    YOURS,
    hover,
    laid_out,
    percent,
)
from tradeoff_core.findings.results import Run

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")


@drawn_once
def by_poison_rate(runs: Sequence[Run]) -> Figure:
    """Backdoor success against the training ε, a line for each share of the target class that is poisoned."""
    rates = sorted({_poison_rate(run) for run in runs})
    colours = sample_colorscale("Viridis", np.linspace(0.25, 0.85, len(rates)))
    figure = Figure()
    for rate, colour, symbol in zip(rates, colours, SYMBOLS, strict=False):
        chosen = [run for run in runs if _poison_rate(run) == rate]
        epsilons = sorted({run.epsilon for run in chosen})
        name = f"{rate:.0%} of the class"
        figure.add_scatter(
            x=epsilons,
            y=[
                np.mean([percent(run.backdoor_success_rate) for run in chosen if run.epsilon == epsilon])
                for epsilon in epsilons
            ],
            mode="lines",
            name=name,
            line={"color": colour, "width": 3},
            legendgroup=name,
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=[run.epsilon for run in chosen],
            y=[percent(run.backdoor_success_rate) for run in chosen],
            mode="markers",
            name=name,
            legendgroup=name,
            marker={"color": colour, "symbol": symbol, "size": 9, "line": {"width": 0.5, "color": NEUTRAL}},
            cliponaxis=False,
            customdata=[run.name for run in chosen],
            hovertext=[
                f"{name}, training ε {in_levels(run.epsilon)}, seed {run.seed}<br>"
                + hover("Backdoor success", run.backdoor_success_rate)
                for run in chosen
            ],
            hoverinfo="text",
        )
    figure.update_xaxes(title="training ε (0 = standard training)", zeroline=False)
    figure.update_yaxes(title="backdoor success", **PERCENT)
    return laid_out(figure, 400)


def _poison_rate(run: Run) -> float:
    return run.spec.poison.rate if run.spec.poison else 0.0


@drawn_once
def turning_map(
    runs: Sequence[Run],
    of: Callable[[Run], float],
    title: str,
    *,
    budget: bool = False,
    scale: float | None = None,
) -> Figure:
    """Backdoor success by the training ε and by a property `of` the trigger; empty where it is not measured yet.

    With `budget`, a line parts the triggers that a perturbation of the training ε can erase from the others; dashed, with
    `scale`, those up to it from those above.
    """
    epsilons, values = sorted({run.epsilon for run in runs}), sorted({of(run) for run in runs})
    at = {(of(run), run.epsilon): run for run in runs}
    cells = [[at.get((value, epsilon)) for epsilon in epsilons] for value in values]
    figure = Figure(
        dict(
            type="heatmap",
            x=[f"{epsilon:g}" for epsilon in epsilons],
            y=[f"{value:g}" for value in values],
            z=[[percent(run.backdoor_success_rate) if run else None for run in row] for row in cells],
            zmin=0,
            zmax=100,
            colorscale=MAGNITUDE,
            texttemplate="%{z:.0f}%",
            textfont={"size": 15},
            hovertext=[
                [
                    f"training ε {in_levels(run.epsilon)}<br>"
                    + hover("Backdoor success", run.backdoor_success_rate)
                    if run
                    else "not measured yet"
                    for run in row
                ]
                for row in cells
            ],
            hoverinfo="text",
            xgap=2,
            ygap=2,
            colorbar={"ticksuffix": "%", "thickness": 12, "title": "success"},
        )
    )
    if budget:
        for column, epsilon in enumerate(epsilons):
            _line_above(figure, values, epsilon, (column, column), {"color": HIGHLIGHT, "width": 4})
    if scale is not None:
        dashed = {"color": YOURS, "width": 3, "dash": "dash"}
        _line_above(figure, values, scale, (0, len(epsilons) - 1), dashed)
    figure.update_xaxes(title="training ε", type="category")
    figure.update_yaxes(title=title, type="category")
    return laid_out(figure, 380)


def _line_above(
    figure: Figure, values: Sequence[float], reached: float, columns: tuple[int, int], line: dict[str, Any]
) -> None:
    """A line over these columns of a map, above the rows whose value is at most `reached`."""
    height = sum(value <= reached for value in values) - 0.5
    first, last = columns
    figure.add_shape(type="line", x0=first - 0.5, x1=last + 0.5, y0=height, y1=height, line=line)
