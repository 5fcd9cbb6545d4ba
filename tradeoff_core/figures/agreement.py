"""Every published number against ours, and how many of the paper's rows have ours beside them."""

from collections.abc import Sequence
from typing import Any

from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    BACKDOOR,
    CLEAN,
    HIGHLIGHT,
    NEUTRAL,
    PERCENT,
    laid_out,
)
from tradeoff_core.findings.agreement import Covered, Kind, Pair
from tradeoff_core.findings.paper_tables import DATASETS, METRICS, TABLES

SYMBOLS = {"mnist": "circle", "cifar10": "square", "imagenet": "diamond"}  # by the paper's data set
COLOURS = {
    Kind.BACKDOOR: BACKDOOR,
    Kind.UNLEARNED: BACKDOOR,
    Kind.ADVERSARIAL: ADVERSARIAL,
    Kind.CLEAN: CLEAN,
    Kind.FOUND: HIGHLIGHT,
}


@drawn_once
def published_against_ours(pairs: Sequence[Pair], picked: str | None = None) -> Figure:
    """A point for each number: published to the right, the mean of our seeds up; on the line they are alike.

    A point carries the name of its row; those of the `picked` row are ringed.
    """
    figure = Figure()
    figure.add_scatter(
        x=[0, 100],
        y=[0, 100],
        mode="lines",
        name="alike",
        line={"color": NEUTRAL, "dash": "dot"},
        hoverinfo="skip",
    )
    for kind in Kind:
        some = [pair for pair in pairs if pair.kind is kind]
        if not some:
            continue
        hollow = "-open" if kind is Kind.UNLEARNED else ""
        figure.add_scatter(
            x=[100 * pair.published for pair in some],
            y=[100 * pair.mean for pair in some],
            mode="markers",
            name=kind,
            customdata=[pair.row for pair in some],
            marker={
                "symbol": [SYMBOLS[pair.dataset] + hollow for pair in some],
                "size": 10,
                "color": COLOURS[kind],
                "opacity": 0.8,
                "line": {"width": 2 if hollow else 0.5, "color": COLOURS[kind] if hollow else "white"},
            },
            hovertext=[_told(pair) for pair in some],
            hoverinfo="text",
            cliponaxis=False,
        )
    _ring(figure, [pair for pair in pairs if pair.row == picked])
    figure.update_xaxes(title="published", **PERCENT)
    figure.update_yaxes(title="here", **PERCENT)
    return laid_out(figure, 560)


def _ring(figure: Figure, pairs: Sequence[Pair]) -> None:
    if pairs:
        figure.add_scatter(
            x=[100 * pair.published for pair in pairs],
            y=[100 * pair.mean for pair in pairs],
            mode="markers",
            name="of the row below",
            marker={"symbol": "circle-open", "size": 20, "color": NEUTRAL, "line": {"width": 3}},
            hoverinfo="skip",
            cliponaxis=False,
        )


def _told(pair: Pair) -> str:
    seeds = len(pair.ours)
    return (
        f"{DATASETS[pair.dataset]}: {pair.condition}<br>{TABLES[pair.table].title.partition(':')[0]}<br>"
        f"{METRICS[pair.metric]}: published {pair.published:.1%}, here {pair.mean:.1%}"
        + (f" (mean of {seeds} seeds)" if seeds > 1 else "")
    )


@drawn_once
def coverage_bars(covered: Sequence[Covered]) -> Figure:
    """A bar for each data set of the paper: how many of its published rows have ours beside them."""
    figure = Figure()
    names = [DATASETS[one.dataset] for one in covered]
    parts: tuple[tuple[str, list[int], dict[str, Any]], ...] = (
        ("ours beside it", [one.here for one in covered], {"color": ADVERSARIAL}),
        (
            "not measured yet",
            [one.later for one in covered],
            {"color": NEUTRAL, "pattern": _pattern("/")},
        ),
        (
            "not to be had",
            [one.never for one in covered],
            {"color": HIGHLIGHT, "pattern": _pattern("x")},
        ),
    )
    for name, counts, marker in parts:
        if not any(counts):
            continue
        figure.add_bar(
            x=counts,
            y=names,
            orientation="h",
            name=name,
            marker=marker,
            text=[str(count) if count else "" for count in counts],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "black"},
            hovertext=[
                f"{title}: {count} of {one.published} rows, {name}"
                for title, count, one in zip(names, counts, covered, strict=True)
            ],
            hoverinfo="text",
        )
    figure.update_xaxes(title="published rows", zeroline=False)
    figure.update_yaxes(autorange="reversed")
    return laid_out(figure, 300, barmode="stack")


def _pattern(shape: str) -> dict[str, Any]:
    """Strokes on a bar's colour, light enough for a number to be read."""
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "white", "fgopacity": 0.5, "size": 10}
