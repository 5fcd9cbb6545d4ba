"""Plotly figures as the dictionaries that a browser gets.

plotly's own classes check every value whenever one is set, and copy all of them for each visitor: most of the time that
drawing a figure takes. The tests check every figure instead.
"""

from copy import deepcopy
from functools import lru_cache
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
from plotly.basedatatypes import BaseFigure

AXIS = {"x": "xaxis", "y": "yaxis"}


class Figure(BaseFigure):  # type: ignore[misc]  # plotly is untyped; whoever draws takes it for a figure of plotly's
    """Traces, layout and frames as plain dictionaries, with those of plotly's methods that this room calls.

    `panels` lie below each other and share their x axis, `spacing` apart, a share of the whole; `panel` counts them from
    1. `data`, `layout` and `frames` are plotly's own, which raise ValueError for what it does not know.
    """

    def __init__(self, *traces: dict[str, Any], panels: int = 0, spacing: float = 0.0) -> None:
        self._traces = [titled(trace) for trace in traces]
        self._frames: list[dict[str, Any]] = []
        self._layout: dict[str, Any] = {}
        self._panels = panels
        if panels:
            self._lay_out(spacing)

    def _lay_out(self, spacing: float) -> None:
        """The axes of the panels."""
        side = (1 - spacing * (self._panels - 1)) / self._panels
        starts = [place * (side + spacing) for place in range(self._panels)]
        for number, start in enumerate(reversed(starts), start=1):
            x, y = _axis("x", number), _axis("y", number)
            self._layout[x] = {"anchor": _short("y", number), "domain": [0.0, 1.0]}
            self._layout[y] = {"anchor": _short("x", number), "domain": [start, start + side]}
            if number < self._panels:
                self._layout[x] |= {"matches": _short("x", self._panels), "showticklabels": False}

    def add_trace(self, trace: dict[str, Any], panel: int = 1) -> None:
        """A trace of any type."""
        axes = {name: _short(name[0], panel) for name in ("xaxis", "yaxis")} if self._panels else {}
        self._traces.append(axes | titled(trace))

    def add_scatter(self, panel: int = 1, **options: Any) -> None:
        """Points or lines."""
        self.add_trace({"type": "scatter", **options}, panel)

    def add_scatter3d(self, **options: Any) -> None:
        """Points in space."""
        self.add_trace({"type": "scatter3d", **options})

    def add_bar(self, panel: int = 1, **options: Any) -> None:
        """Bars."""
        self.add_trace({"type": "bar", **options}, panel)

    def add_heatmap(self, panel: int = 1, **options: Any) -> None:
        """A map of cells."""
        self.add_trace({"type": "heatmap", **options}, panel)

    def add_frame(self, name: str, data: list[dict[str, Any]], layout: dict[str, Any] | None = None) -> None:
        """What the traces are once a slider stands at this name."""
        self._frames.append({"name": name, "data": data, **({"layout": layout} if layout else {})})

    def add_shape(self, panel: int = 1, **options: Any) -> None:
        """A line or a rectangle."""
        axes = {"xref": _short("x", panel), "yref": _short("y", panel)}
        self._layout.setdefault("shapes", []).append(axes | options)

    def add_vline(self, x: float, line: dict[str, Any], text: dict[str, Any] | None = None) -> None:
        """A line from the bottom to the top, and a text at its upper end."""
        ends: dict[str, Any] = {"xref": "x", "yref": "y domain"}
        self.add_shape(type="line", x0=x, x1=x, y0=0, y1=1, line=line, **ends)
        if text:
            self.add_annotation(x=x, y=1, showarrow=False, yanchor="top", **ends, **text)

    def add_hline(self, y: float, line: dict[str, Any]) -> None:
        """A line from the left to the right."""
        self.add_shape(type="line", x0=0, x1=1, y0=y, y1=y, line=line, xref="x domain", yref="y")

    def add_annotation(self, **options: Any) -> None:
        """A text."""
        self._layout.setdefault("annotations", []).append(options)

    def update_layout(self, **options: Any) -> "Figure":
        """Change what is named, as deep as it goes, and nothing else."""
        merge(self._layout, titled(options))
        return self

    def update_xaxes(self, panel: int | None = None, **options: Any) -> None:
        """Change the x axis of a panel, or of each."""
        self._update_axes("x", panel, options)

    def update_yaxes(self, panel: int | None = None, **options: Any) -> None:
        """Change the y axis of a panel, or of each."""
        self._update_axes("y", panel, options)

    def _update_axes(self, letter: str, panel: int | None, options: dict[str, Any]) -> None:
        for number in range(1, max(1, self._panels) + 1) if panel is None else (panel,):
            self.update_layout(**{_axis(letter, number): dict(options)})

    def titles(self, letter: str) -> dict[str, str]:
        """The titles of the x axes or of the y axes that have one, by the axes' names in the layout."""
        axes = (_axis(letter, number) for number in range(1, max(1, self._panels) + 1))
        found = {axis: self._layout.get(axis, {}).get("title", {}).get("text") for axis in axes}
        return {axis: text for axis, text in found.items() if text}

    @property
    def traces(self) -> int:
        """How many it has."""
        return len(self._traces)

    def top_of(self, panel: int) -> float:
        """Where a panel ends, a share of the figure's height."""
        return float(self._layout[_axis("y", panel)]["domain"][1])

    def to_dict(self) -> dict[str, Any]:
        """What is sent to a browser; nobody may change it."""
        layout = {"template": _template(pio.templates.default), **self._layout}
        sent: dict[str, Any] = {"data": self._traces, "layout": layout}
        return {**sent, "frames": self._frames} if self._frames else sent

    def to_json(self) -> str:
        """The same as text."""
        text: str = pio.to_json(self.to_dict(), validate=False)
        return text

    def for_print(self) -> "Figure":
        """The same, dark on white whatever the screen is, with no room for a tool bar."""
        figure = Figure(*self._traces)
        figure._frames, figure._layout = self._frames, deepcopy(self._layout)
        return figure.update_layout(
            template=_template("plotly_white"),
            font={"color": "#222222"},
            legend={"title": ""},
            margin={"l": 10, "r": 10, "t": 10, "b": 10},
        )

    @property
    def data(self) -> Any:
        """The traces as plotly's own."""
        return self._plotlys().data

    @property
    def layout(self) -> Any:
        """The layout as plotly's own."""
        return self._plotlys().layout

    @property
    def frames(self) -> Any:
        """The frames as plotly's own."""
        return self._plotlys().frames

    def _plotlys(self) -> go.Figure:
        # a copy: it takes the types out of what it is given for a moment, and another visitor's page may send it then
        return go.Figure(deepcopy(self.to_dict()))


def titled(options: dict[str, Any]) -> dict[str, Any]:
    """The options with each title as a dictionary: a browser takes no mere text."""
    return {
        name: {"text": value}
        if name == "title" and isinstance(value, str)
        else titled(value)
        if isinstance(value, dict)
        else value
        for name, value in options.items()
    }


def merge(into: dict[str, Any], options: dict[str, Any]) -> None:
    """Set options, those within options too."""
    for name, value in options.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


@lru_cache(maxsize=4)
def _template(name: str) -> dict[str, Any]:
    """The colours and lines of a theme; Streamlit's own is filled in by the browser, light or dark."""
    template: dict[str, Any] = pio.templates[name].to_plotly_json()
    return template


def _short(letter: str, number: int) -> str:
    return letter if number == 1 else f"{letter}{number}"


def _axis(letter: str, number: int) -> str:
    return AXIS[letter] if number == 1 else f"{AXIS[letter]}{number}"
