"""Figures of trainings: one as it goes, and several beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import ADVERSARIAL, BACKDOOR, CLEAN, NEUTRAL, PERCENT, laid_out

SERIES = (
    ("validation_accuracy", "clean accuracy", CLEAN, "circle"),
    ("pgd_accuracy", "adversarial accuracy (PGD-10)", ADVERSARIAL, "square"),
    ("backdoor_success_rate", "backdoor success", BACKDOOR, "diamond"),
)
HEIGHT, ROW = 340, 18  # pixels, and those that a line of the legend takes
TICKS = 10  # of the epochs, at most
DASHES = ("solid", "dash", "dot", "dashdot")


@drawn_once
def training_curves(progress: Sequence[dict[str, Any]]) -> Figure:
    """Rates on validation images, and the loss on a second axis, after each finished epoch."""
    return compared_curves({"": progress})


@drawn_once
def compared_curves(runs: Mapping[str, Sequence[dict[str, Any]]]) -> Figure:
    """The same for several runs by name, each with its own dash."""
    figure = Figure()
    for (run, progress), dash in zip(runs.items(), DASHES, strict=False):
        epochs = [entry["epoch"] for entry in progress]
        before = f"{run}:<br>" if run else ""  # a phone has room for no more in a line
        for key, name, colour, symbol in SERIES:
            values = [entry.get(key) for entry in progress]
            if any(value is not None for value in values):
                figure.add_scatter(
                    x=epochs,
                    y=[None if value is None else 100 * value for value in values],
                    mode="lines+markers",
                    name=before + name,
                    line={"color": colour, "width": 2, "dash": dash},
                    marker={"symbol": symbol, "size": 6},
                    hovertemplate=f"{before}{name} %{{y:.1f}}% after epoch %{{x}}<extra></extra>",
                )
        figure.add_scatter(
            x=epochs,
            y=[entry["loss"] for entry in progress],
            mode="lines",
            name=f"{before}loss",
            yaxis="y2",
            line={"color": NEUTRAL, "width": 2, "dash": dash if run else "dot"},
            hovertemplate=f"{before}loss %{{y:.3f}} in epoch %{{x}}<extra></extra>",
        )
    last = max((entry["epoch"] for progress in runs.values() for entry in progress), default=1)
    figure.update_xaxes(title="epoch", zeroline=False, rangemode="tozero", dtick=-(-last // TICKS))
    figure.update_yaxes(title="validation images", **PERCENT)
    figure.update_layout(
        yaxis2={
            "title": "loss",
            "overlaying": "y",
            "side": "right",
            "rangemode": "tozero",
            "showgrid": False,
            "zeroline": False,
            "tickmode": "auto",
            "nticks": 5,
        }
    )
    legend = 2 * ROW * figure.traces if len(runs) > 1 else 0
    return laid_out(figure, HEIGHT + legend)
