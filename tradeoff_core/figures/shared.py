"""What every figure shares: colours of the Okabe-Ito set that mean one thing each, axes, layout, the CSV."""

import re
from collections.abc import Iterator, Sequence
from math import ceil
from textwrap import wrap
from typing import Any

import numpy as np
from plotly.colors import get_colorscale

from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.common.tables import csv_table
from tradeoff_core.figures.plain import Figure
from tradeoff_core.rates import Rate

# what a colour means, everywhere in the app
MODEL_A, MODEL_B = "#0072B2", "#D55E00"  # blue, vermilion: the two models in the pickers
ADVERSARIAL, BACKDOOR = "#009E73", "#CC79A7"  # green, purple: the two metrics
CLEAN, POISONED = "#56B4E9", BACKDOOR  # sky blue: training examples, once the truth is shown
HIGHLIGHT = "#E69F00"  # orange: what a defense points at
NEUTRAL = "#8a8a8a"  # legible on white and on black: reference lines, hints, published values
WHITE = "#f7f7f7"  # the middle between two colours: no change, or luck
YOURS = "#F0E442"  # yellow: what the visitor trained
WIDEST = 46  # characters of a line under a figure
SMALL = 0.1  # ε up to here are told in levels of 255
APART = 0.2  # of an axis: two of its labels fit on a phone
PUBLISHED_SYMBOL = "diamond-open"

DASHES = ("solid", "dash", "longdash", "dashdot", "longdashdot")  # of lines beside each other
COLUMNS = ("trace", "x", "y", "z", "note")  # of a figure's table
MAGNITUDE = get_colorscale("Cividis")
PERCENT: dict[str, Any] = {"range": [-3, 103], "ticksuffix": "%", "dtick": 25, "zeroline": False}


def percent(rate: Rate) -> float:
    """A rate in percent, for an axis."""
    return 100 * rate.value


def hover(name: str, rate: Rate) -> str:
    """A rate as hover text, with its n and its 95% Wilson interval."""
    low, high = rate.interval
    return f"{name} {rate.value:.1%}<br>{rate.count:,} of {rate.n:,}, 95% interval {low:.1%}–{high:.1%}"


def in_levels_of(epsilons: Sequence[float]) -> dict[str, Any]:
    """The ticks of an axis of ε: plotly's own for digits; for photographs, whose ε are small, as n/255 where there is room."""
    if max(epsilons) > SMALL:
        return {}
    ticks: list[float] = []
    for epsilon in sorted(set(epsilons)):
        if not ticks or epsilon - ticks[-1] >= APART * max(epsilons):
            ticks.append(epsilon)
    return {"tickvals": ticks, "ticktext": [in_levels(epsilon) for epsilon in ticks]}


def laid_out(figure: Figure, height: int, **layout: object) -> Figure:
    """The figure with the app's margins, and its legend on top, below where the tool bar appears.

    A title under a figure is broken into lines that a phone has room for.
    """
    for axis, title in figure.titles("x").items():
        figure.update_layout(**{axis: {"title": {"text": "<br>".join(_lines(title))}}})
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={
            "orientation": "h",
            "yref": "container",
            "yanchor": "top",
            "y": 1,
            "x": 0,
            "title": {"text": " ", "side": "top"},
        },
        **layout,
    )
    return figure


def _lines(title: str) -> list[str]:
    """A title in as few lines as a phone has room for, each about as long."""
    return wrap(title, min(WIDEST, len(title) // ceil(len(title) / WIDEST) + 6))


def name_space(figure: Figure, titles: Sequence[str]) -> None:
    """Title the three axes of a figure in space."""
    scene = {f"{letter}axis": {"title": title} for letter, title in zip("xyz", titles, strict=True)}
    figure.update_layout(scene=scene)


def described(figure: Figure) -> str:
    """A figure in words, for whoever does not see it: what its axes and its lines, bars or cells are."""
    sent = figure.to_dict()
    titles = [sent["layout"].get(axis, {}).get("title", {}).get("text") for axis in ("yaxis", "xaxis")]
    names = dict.fromkeys(str(trace["name"]) for trace in sent["data"] if trace.get("name"))
    words = " against ".join(filter(None, titles)), ", ".join(names)
    return re.sub(r"<[^>]*>", " ", ": ".join(filter(None, words))) or "Figure"


def as_csv(figure: Figure) -> str:
    """What a figure shows as a CSV table: trace, x, y, z of maps, and what the figure says of a point on hovering."""
    return csv_table(COLUMNS, points_of(figure))


def points_of(figure: Figure) -> Iterator[list[Any]]:
    """A figure's points or cells: the values of COLUMNS."""
    for number, trace in enumerate(figure.data):
        name = (trace.name or f"{trace.type} {number + 1}").replace("<br>", " ")
        if trace.type == "heatmap":
            cells = np.asarray(trace.z)
            rows, columns = (
                range(length) if axis is None else axis
                for length, axis in zip(cells.shape, (trace.y, trace.x), strict=True)
            )
            yield from ([name, columns[x], rows[y], z, ""] for (y, x), z in np.ndenumerate(cells))
        elif trace.type == "scatter3d":
            yield from ([name, *point, ""] for point in zip(trace.x, trace.y, trace.z, strict=True))
        else:
            notes = trace.hovertext if isinstance(trace.hovertext, tuple | list) else [""] * len(trace.x)
            for x, y, note in zip(trace.x, trace.y, notes, strict=True):
                if x is not None:
                    yield [name, x, y, "", str(note or "").replace("<br>", "; ")]
