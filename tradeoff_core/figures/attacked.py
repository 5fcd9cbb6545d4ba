"""Figures of what attacks and triggers do to two networks."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from tradeoff_core.attacks import in_levels
from tradeoff_core.evaluation import Rate
from tradeoff_core.figures.shared import (
    BACKDOOR,
    MODEL_A,
    MODEL_B,
    PERCENT,
    hover,
    in_levels_of,
    laid_out,
    percent,
)

MOST_NUMBERED = 12  # classes of a map whose cells have room for a number


def accuracy_by_epsilon(
    curves: Sequence[tuple[str, Sequence[float], Sequence[Rate], float]],
    what: str,
    colours: Sequence[str] = (MODEL_A, MODEL_B),
) -> go.Figure:
    """A rate, `what`, against an attack's ε; each curve is (name, ε, rates, training ε)."""
    figure = go.Figure()
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
                x=trained,
                line={"color": colour, "dash": "dot", "width": 2},
                annotation={
                    "text": "trained at",
                    "font": {"color": colour},
                    "textangle": -90,
                    "xanchor": "right",
                },
                annotation_position="top left",
            )
    figure.update_xaxes(title="ε of the attack", zeroline=False, **in_levels_of(curves[0][1]))
    figure.update_yaxes(title=what, **PERCENT)
    return laid_out(figure, 360)


def confusion(
    shares: Sequence[tuple[str, NDArray[np.float64]]], target_class: int, names: Sequence[str]
) -> go.Figure:
    """Where each true class goes once stamped: per model a map of (true, predicted) shares of the row."""
    figure = make_subplots(
        1,
        len(shares),
        subplot_titles=[name for name, _ in shares],
        horizontal_spacing=0.06,
        shared_yaxes=True,
    )
    classes = len(shares[0][1])
    for column, (name, matrix) in enumerate(shares, start=1):
        figure.add_heatmap(
            name=name,
            x=names,
            y=names,
            z=100 * matrix,
            zmin=0,
            zmax=100,
            colorscale="Cividis",
            texttemplate="%{z:.0f}" if classes <= MOST_NUMBERED else None,
            textfont={"size": 10},
            hovertemplate="a true %{y} is called %{x}: %{z:.0f}%<extra></extra>",
            showscale=False,
            row=1,
            col=column,
        )
        figure.add_shape(
            type="rect",
            x0=target_class - 0.5,
            x1=target_class + 0.5,
            y0=-0.5,
            y1=classes - 0.5,
            line={"color": BACKDOOR, "width": 3},
            row=1,
            col=column,
        )
    figure.update_xaxes(type="category", dtick=1, title="predicted once stamped", constrain="domain")
    figure.update_yaxes(type="category", dtick=1, autorange="reversed")
    figure.update_yaxes(title="true class", col=1)
    return laid_out(figure, 400 if classes <= MOST_NUMBERED else 560)


def position_map(
    maps: Sequence[tuple[str, NDArray[np.float64]]], trained: tuple[int, int], current: tuple[int, int]
) -> go.Figure:
    """Backdoor success by the place of the sticker's top left corner; NaN where it was not measured."""
    figure = make_subplots(
        1, len(maps), subplot_titles=[name for name, _ in maps], horizontal_spacing=0.06, shared_yaxes=True
    )
    for column, (name, rates) in enumerate(maps, start=1):
        tried = np.isfinite(rates)
        rows, columns = np.flatnonzero(tried.any(1)), np.flatnonzero(tried.any(0))
        figure.add_heatmap(
            name=name,
            x=columns,
            y=rows,
            z=100 * rates[np.ix_(rows, columns)],
            zmin=0,
            zmax=100,
            colorscale="Cividis",
            colorbar={"title": "success", "ticksuffix": "%", "thickness": 12},
            showscale=column == len(maps),
            hovertemplate="sticker at row %{y}, column %{x}: %{z:.0f}% success<extra></extra>",
            row=1,
            col=column,
        )
        for (row, col), symbol, label in (
            (trained, "x-thin", "trained here"),
            (current, "circle-open", "now"),
        ):
            figure.add_scatter(
                x=[col],
                y=[row],
                mode="markers",
                marker={
                    "symbol": symbol,
                    "size": 14,
                    "color": BACKDOOR,
                    "line": {"width": 3, "color": BACKDOOR},
                },
                name=label,
                showlegend=column == 1,
                hoverinfo="name",
                row=1,
                col=column,
            )
    figure.update_xaxes(title="column", constrain="domain")
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title="row", col=1)
    laid_out(figure, 430)
    return figure.update_layout(legend={"yanchor": "top", "y": -0.2})
