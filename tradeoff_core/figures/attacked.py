"""Figures of what attacks and triggers do to two networks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    BACKDOOR,
    MAGNITUDE,
    MODEL_A,
    MODEL_B,
    PERCENT,
    hover,
    in_levels_of,
    laid_out,
    percent,
)
from tradeoff_core.rates import Rate

MOST_NUMBERED = 12  # classes of a map whose cells have room for a number


@drawn_once
def accuracy_by_epsilon(
    curves: Sequence[tuple[str, Sequence[float], Sequence[Rate], float]],
    what: str,
    colours: Sequence[str] = (MODEL_A, MODEL_B),
) -> Figure:
    """A rate, `what`, against an attack's ε; each curve is (name, ε, rates, training ε)."""
    figure = Figure()
    for (name, epsilons, rates, trained), colour, dash in zip(
        curves, colours, ("solid", "dash"), strict=False
    ):
        low, high = zip(*(rate.interval for rate in rates), strict=True)
        figure.add_scatter(
            x=epsilons,
            y=[percent(rate) for rate in rates],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 3, "dash": dash},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [100 * (top - rate.value) for top, rate in zip(high, rates, strict=True)],
                "arrayminus": [100 * (rate.value - bottom) for bottom, rate in zip(low, rates, strict=True)],
                "thickness": 1,
            },
            hovertext=[
                f"ε {in_levels(e)}<br>{hover('Rate', rate)}" for e, rate in zip(epsilons, rates, strict=True)
            ],
            hoverinfo="text+name",
        )
        if trained:
            figure.add_vline(
                trained,
                {"color": colour, "dash": "dot", "width": 2},
                {
                    "text": "trained at",
                    "font": {"color": colour},
                    "textangle": -90,
                    "xanchor": "right",
                },
            )
    figure.update_xaxes(title="ε of the attack", zeroline=False, **in_levels_of(curves[0][1]))
    figure.update_yaxes(title=what, **PERCENT)
    return laid_out(figure, 360)


@drawn_once
def confusion(name: str, shares: NDArray[np.float64], target_class: int, names: Sequence[str]) -> Figure:
    """Where each true class goes once stamped: a map of (true, predicted) `shares` of the row, of a network called `name`."""
    classes = len(shares)
    figure = Figure(
        dict(
            type="heatmap",
            name=name,
            x=names,
            y=names,
            z=100 * shares,
            zmin=0,
            zmax=100,
            colorscale=MAGNITUDE,
            texttemplate="%{z:.0f}" if classes <= MOST_NUMBERED else None,
            textfont={"size": 10},
            hovertemplate="a true %{y} is called %{x}: %{z:.0f}%<extra></extra>",
            showscale=False,
        )
    )
    figure.add_shape(
        type="rect",
        x0=target_class - 0.5,
        x1=target_class + 0.5,
        y0=-0.5,
        y1=classes - 0.5,
        line={"color": BACKDOOR, "width": 3},
    )
    figure.update_xaxes(type="category", dtick=1, title="predicted once stamped", constrain="domain")
    figure.update_yaxes(type="category", dtick=1, autorange="reversed", title="true class")
    return laid_out(figure, 400 if classes <= MOST_NUMBERED else 560)


@drawn_once
def position_map(
    name: str, rates: NDArray[np.float64], trained: tuple[int, int], current: tuple[int, int]
) -> Figure:
    """Backdoor success of a network called `name` by the place of the sticker's top left corner; NaN where not measured."""
    tried = np.isfinite(rates)
    rows, columns = np.flatnonzero(tried.any(1)), np.flatnonzero(tried.any(0))
    figure = Figure(
        dict(
            type="heatmap",
            name=name,
            x=columns,
            y=rows,
            z=100 * rates[np.ix_(rows, columns)],
            zmin=0,
            zmax=100,
            colorscale=MAGNITUDE,
            colorbar={"title": "success", "ticksuffix": "%", "thickness": 12},
            hovertemplate="sticker at row %{y}, column %{x}: %{z:.0f}% success<extra></extra>",
        )
    )
    for (row, col), symbol, label in (
        (trained, "x-thin", "trained here"),
        (current, "circle-open", "now"),
    ):
        figure.add_scatter(
            x=[col],
            y=[row],
            mode="markers",
            marker={"symbol": symbol, "size": 14, "color": BACKDOOR, "line": {"width": 3, "color": BACKDOOR}},
            name=label,
            hoverinfo="name",
        )
    figure.update_xaxes(title="column", constrain="domain", zeroline=False)
    figure.update_yaxes(
        title="row", autorange="reversed", scaleanchor="x", constrain="domain", zeroline=False
    )
    return laid_out(figure, 400)
