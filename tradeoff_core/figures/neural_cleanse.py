"""Figures of Neural Cleanse: the size of each class's trigger, the index it is judged by, and what unlearning does."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.defenses.neural_cleanse import CONSISTENT, SUSPICIOUS
from tradeoff_core.figures.defenses import SHOWN_RATES, name_rows
from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import HIGHLIGHT, NEUTRAL, PERCENT, laid_out


@drawn_once
def mask_norms(norms: NDArray[np.float64], index: NDArray[np.float64], classes: Sequence[str]) -> Figure:
    """The size of each class's rebuilt mask with its anomaly index, and the line under which one is flagged."""
    flagged = index >= SUSPICIOUS
    middle = float(np.median(norms))
    limit = middle - SUSPICIOUS * CONSISTENT * float(np.median(np.abs(norms - middle)))
    many = len(classes) > 10  # whose names stand upright
    figure = Figure()
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


@drawn_once
def index_control(rows: Sequence[tuple[str, Sequence[Sequence[float]]]], classes: Sequence[str]) -> Figure:
    """Anomaly indices as dots, a row a kind of network, of (name, indices of each network's classes).

    A network's highest index, by which it is judged, is drawn large.
    """
    figure = Figure()
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
    name_rows(figure, [name for name, _ in rows])
    return laid_out(figure, 120 + 60 * len(rows))


@drawn_once
def unlearning(steps: Sequence[dict[str, Any]]) -> Figure:
    """Backdoor success, clean and adversarial accuracy after each epoch of unlearning; epoch 0 is before."""
    figure = Figure()
    for key, name, colour, symbol in SHOWN_RATES[:3]:
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
