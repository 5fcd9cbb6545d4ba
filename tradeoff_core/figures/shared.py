"""What every figure shares: colours of the Okabe-Ito set that mean one thing each, axes, layout, the CSV."""

import csv
import io
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from tradeoff_core.attacks import in_levels
from tradeoff_core.evaluation import Rate

# what a colour means, everywhere in the app
MODEL_A, MODEL_B = "#0072B2", "#D55E00"  # blue, vermilion: the two models in the pickers
ADVERSARIAL, BACKDOOR = "#009E73", "#CC79A7"  # green, purple: the two metrics
CLEAN, POISONED = "#56B4E9", BACKDOOR  # sky blue: training examples, once the truth is shown
HIGHLIGHT = "#E69F00"  # orange: what a defense points at
NEUTRAL = "#8a8a8a"  # legible on white and on black: reference lines, hints, published values
YOURS = "#F0E442"  # yellow: what the visitor trained
SMALL = 0.1  # ε up to here are told in levels of 255
PUBLISHED_SYMBOL = "diamond-open"

PERCENT = {"range": [-3, 103], "ticksuffix": "%", "dtick": 25, "zeroline": False}


def percent(rate: Rate) -> float:
    """A rate in percent, for an axis."""
    return 100 * rate.value


def hover(name: str, rate: Rate) -> str:
    """A rate as hover text, with its n and its 95% Wilson interval."""
    low, high = rate.interval
    return f"{name} {rate.value:.1%}<br>{rate.count:,} of {rate.n:,}, 95% interval {low:.1%}–{high:.1%}"


def in_levels_of(epsilons: Sequence[float]) -> dict[str, object]:
    """The ticks of an axis of ε: plotly's own for digits; for photographs, whose ε are small, each one as n/255."""
    if max(epsilons) > SMALL:
        return {}
    return {"tickvals": list(epsilons), "ticktext": [in_levels(epsilon) for epsilon in epsilons]}


def laid_out(figure: go.Figure, height: int, **layout: object) -> go.Figure:
    """The figure with the app's margins, and its legend on top, below where the tool bar appears."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={
            "orientation": "h",
            "yanchor": "bottom",
            "y": 1.02,
            "x": 0,
            "title": {"text": " ", "side": "top"},
        },
        **layout,
    )
    return figure


def as_csv(figure: go.Figure) -> str:
    """What a figure shows as a CSV table: trace, x, y, z of maps, and what the figure says of a point on hovering."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["trace", "x", "y", "z", "note"])
    for number, trace in enumerate(figure.data):
        name = trace.name or f"{trace.type} {number + 1}"
        if trace.type == "heatmap":
            cells = np.asarray(trace.z)
            rows, columns = (
                range(length) if axis is None else axis
                for length, axis in zip(cells.shape, (trace.y, trace.x), strict=True)
            )
            writer.writerows([name, columns[x], rows[y], z, ""] for (y, x), z in np.ndenumerate(cells))
        elif trace.type == "scatter3d":
            writer.writerows([name, *point, ""] for point in zip(trace.x, trace.y, trace.z, strict=True))
        else:
            notes = trace.hovertext if isinstance(trace.hovertext, tuple | list) else [""] * len(trace.x)
            writer.writerows(
                [name, x, y, "", str(note or "").replace("<br>", "; ")]
                for x, y, note in zip(trace.x, trace.y, notes, strict=True)
                if x is not None
            )
    return table.getvalue()
