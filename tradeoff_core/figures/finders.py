"""Every detector beside every other, and how few poisoned images open a cleansed back door again."""

from collections.abc import Mapping, Sequence

from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    BACKDOOR,
    HIGHLIGHT,
    MODEL_A,
    MODEL_B,
    NEUTRAL,
    PERCENT,
    WHITE,
    hover,
    laid_out,
)
from tradeoff_core.findings.detectors import Found
from tradeoff_core.findings.removal import Reopened

ROW = 34  # pixels of a detector
COLOURS = (NEUTRAL, MODEL_A, ADVERSARIAL, BACKDOOR, MODEL_B, HIGHLIGHT)
SYMBOLS = ("circle-open", "square", "diamond", "triangle-up", "x", "star")


@drawn_once
def detectors(found: Sequence[Found], names: Mapping[str, str]) -> Figure:
    """The share of the poison that each detector finds, by its name in words, from the top; dotted: chance."""
    ordered = sorted(found, key=lambda one: one.detection_rate)
    figure = Figure()
    figure.add_bar(
        x=[100 * one.detection_rate for one in ordered],
        y=[names[one.finder] for one in ordered],
        orientation="h",
        marker={"color": HIGHLIGHT},
        text=[f"{one.detection_rate:.0%}" for one in ordered],
        hovertext=[
            f"{names[one.finder]}: found {one.detection_rate:.1%} of the {one.n_poisoned:,} poisoned images<br>"
            f"({one.n:,} in the class; chance {one.chance:.1%}), AUROC {one.auroc:.3f}"
            for one in ordered
        ],
        hoverinfo="text",
        showlegend=False,
    )
    if ordered:
        chance = 100 * ordered[0].chance
        figure.add_vline(chance, {"color": NEUTRAL, "dash": "dot", "width": 3})
        figure.add_annotation(
            x=chance, y=1, xref="x", yref="y domain", yanchor="bottom", showarrow=False, text="chance"
        )
    figure.update_xaxes(title="poisoned images found", **PERCENT | {"range": [0, 103]})
    return laid_out(figure, 110 + ROW * max(1, len(ordered)))


@drawn_once
def reopening(curves: Sequence[Reopened], names: Mapping[str, str]) -> Figure:
    """Backdoor success after tuning on so many poisoned images, a line for each way in which the network was cleansed."""
    figure = Figure()
    for number, curve in enumerate(curves):
        name = names[curve.method]
        figure.add_scatter(
            x=[str(count) for count in curve.counts],
            y=[100 * rate.value for rate in curve.success],
            mode="lines+markers",
            name=name,
            line={"color": COLOURS[number % len(COLOURS)], "width": 2.5},
            marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "size": 9},
            cliponaxis=False,
            hovertext=[
                f"{name}, {count} poisoned images<br>" + hover("Backdoor success", rate)
                for count, rate in zip(curve.counts, curve.success, strict=True)
            ],
            hoverinfo="text",
        )
    figure.update_xaxes(title="poisoned images in the tuning", type="category")
    figure.update_yaxes(title="backdoor success", **PERCENT)
    return laid_out(figure, 380)


@drawn_once
def found_by_poison(
    found: Mapping[tuple[str, str], Found], poisons: Sequence[str], names: Mapping[str, str]
) -> Figure:
    """AUROC of every detector (columns, by `names`) over every poison (rows); 0.5 is luck, empty is not measured."""
    cells = [[found.get((poison, finder)) for finder in names] for poison in poisons]
    figure = Figure(
        dict(
            type="heatmap",
            x=[name.partition(" (")[0] for name in names.values()],
            y=list(poisons),
            z=[[cell.auroc if cell else None for cell in row] for row in cells],
            zmin=0,
            zmax=1,
            colorscale=[[0, ADVERSARIAL], [0.5, WHITE], [1, HIGHLIGHT]],
            texttemplate="%{z:.2f}",
            textfont={"size": 13, "color": "#1a1a1a"},
            hovertext=[
                [
                    f"{names[cell.finder]}: found {cell.detection_rate:.0%} of the {cell.n_poisoned:,} poisoned images<br>"
                    f"({cell.n:,} in the class; chance {cell.chance:.0%})"
                    if cell
                    else "not measured yet"
                    for cell in row
                ]
                for row in cells
            ],
            hoverinfo="text",
            xgap=2,
            ygap=2,
            showscale=False,
        )
    )
    figure.update_xaxes(title="AUROC of each detector", type="category", tickangle=-90)
    figure.update_yaxes(title="poison", type="category", autorange="reversed")
    return laid_out(figure, 210 + ROW * len(poisons))
