"""What is proved: around each digit, and of a whole test set against perturbations and against poison."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.certification.regions import LARGEST, Regions
from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    DASHES,
    MODEL_A,
    MODEL_B,
    NEUTRAL,
    PERCENT,
    hover,
    laid_out,
)
from tradeoff_core.findings.certificates import Certificate
from tradeoff_core.models.compared import Compared

ROW, HEAD = 21, 62  # pixels: a digit's bar, and the legend over a model's bars


@drawn_once
def certified_regions(models: Sequence[tuple[Compared, Regions | None]], digits: Sequence[str]) -> Figure:
    """A panel for model A and one for B with their regions, and in it a bar a digit from ε 0 to the end of the axis.

    Solid where it is certified, hatched where nobody knows, grey from the cross of an attack on. `digits` name the
    images, each differently. A model without regions has no panel.
    """
    panels = [
        (one, colour, regions)
        for (one, regions), colour in zip(models, (MODEL_A, MODEL_B), strict=True)
        if regions is not None
    ]
    plot, foot = ROW * len(digits), 50
    height = len(panels) * (plot + HEAD) + foot
    between = HEAD / (height - HEAD - foot) if len(panels) > 1 else 0  # a share of what the margins leave
    figure = Figure(panels=len(panels), spacing=between)
    broken = np.concatenate([regions.broken for _, _, regions in panels])
    end = min(LARGEST, 0.05 * np.ceil(max(0.05, broken.max()) / 0.05 + 0.2))
    for row, (one, colour, regions) in enumerate(panels, start=1):
        _panel(figure, row, colour, one.letter, regions, digits, end)
        legend = {
            "title": {
                "text": f"<span style='color: {colour}'>■</span> <b>{one.name}</b>",
                "side": "top",
                "font": {"color": NEUTRAL, "size": 14},
            },
            "font": {"color": NEUTRAL, "size": 13},  # a theme knows the first legend only
            "orientation": "h",
            "x": 0,
            "yanchor": "bottom",
            "y": figure.top_of(row),
        }
        figure.update_layout(**{_legend(row): legend})
    figure.update_xaxes(range=[0, 1.01 * end], zeroline=False, fixedrange=True)
    figure.update_xaxes(title="ε of the perturbation (l∞)", panel=len(panels))
    figure.update_yaxes(autorange="reversed", type="category", fixedrange=True, showgrid=False, title="digit")
    margin = {"l": 10, "r": 10, "t": HEAD, "b": foot}
    return figure.update_layout(height=height, margin=margin, barmode="overlay", bargap=0.25)


def _legend(row: int) -> str:
    """What plotly calls the legend of a panel."""
    return "legend" if row == 1 else f"legend{row}"


def _panel(
    figure: Figure, row: int, colour: str, letter: str, regions: Regions, digits: Sequence[str], end: float
) -> None:
    """The bars of one model, its crosses, and its own legend."""
    legend = {"legend": _legend(row)}
    broken = np.minimum(regions.broken, end)
    text = [
        f"a true {digit}, on {letter}<br>certified up to ε {proved:.4f}<br>"
        + (f"an attack breaks it at {epsilon:g}" if np.isfinite(epsilon) else f"no attack up to {LARGEST:g}")
        for digit, proved, epsilon in zip(digits, regions.certified, regions.broken, strict=True)
    ]
    shown = {"hovertext": text, "hoverinfo": "text", **legend}
    _grey_beyond(figure, row, broken, end)
    hatched = {"shape": "/", "fillmode": "replace", "fgcolor": colour, "size": 7, "solidity": 0.25}
    figure.add_bar(
        x=broken,
        y=digits,
        name=f"{letter}: nobody knows",
        legendrank=2,
        orientation="h",
        marker={"color": colour, "pattern": hatched, "line": {"color": colour, "width": 1}},
        panel=row,
        **shown,
    )
    figure.add_bar(
        x=regions.certified,
        y=digits,
        name=f"{letter}: certified",
        legendrank=1,
        orientation="h",
        marker={"color": colour, "line": {"color": colour, "width": 1}},
        panel=row,
        **shown,
    )
    found = np.isfinite(regions.broken)
    figure.add_scatter(
        x=regions.broken[found],
        y=[digit for digit, there in zip(digits, found, strict=True) if there],
        name=f"{letter}: an attack breaks it",
        legendrank=3,
        mode="markers",
        marker={"symbol": "x", "size": 9, "color": colour},
        cliponaxis=False,
        hoverinfo="skip",
        panel=row,
        **legend,
    )


def _grey_beyond(figure: Figure, row: int, broken: NDArray[np.float64], end: float) -> None:
    """A grey bar for each image from the ε (N,) where an attack breaks it to the end of the axis."""
    for place, epsilon in enumerate(broken):
        figure.add_shape(
            type="rect",
            x0=epsilon,
            x1=end,
            y0=place - 0.375,
            y1=place + 0.375,
            fillcolor=NEUTRAL,
            opacity=0.25,
            line={"width": 0},
            layer="below",
            panel=row,
        )


@drawn_once
def certificates(found: Sequence[Certificate], axis: str, names: Mapping[str, str]) -> Figure:
    """Certified accuracy against what is certified, a line for each, from `names` or by its own."""
    figure = Figure()
    for number, one in enumerate(found):
        name = names.get(one.name, one.name)
        figure.add_scatter(
            x=list(one.at),
            y=[100 * rate.value for rate in one.accuracy],
            mode="lines",
            name=name,
            line={
                "color": ADVERSARIAL if number == 0 else NEUTRAL,
                "width": 3,
                "dash": DASHES[number % len(DASHES)],
            },
            hovertext=[
                f"{name}, {at:g}<br>" + hover("certified accuracy", rate)
                for at, rate in zip(one.at, one.accuracy, strict=True)
            ],
            hoverinfo="text",
            showlegend=True,
        )
    figure.update_xaxes(title=axis, zeroline=False)
    figure.update_yaxes(title="certified accuracy", **PERCENT)
    return laid_out(figure, 340)
