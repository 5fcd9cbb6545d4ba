"""The figure of the page that stands our numbers beside the paper's."""

from collections.abc import Sequence

from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import BACKDOOR, NEUTRAL, PERCENT, laid_out
from tradeoff_core.findings.paper_tables import DATASETS, RATES, Comparison

ADVERSARIAL_ACCURACY, BACKDOOR_SUCCESS = RATES[1:]
ABOVE, BELOW = 0.12, 0.3  # below a row's label, where the published arrow and ours lie


@drawn_once
def arrows(comparisons: Sequence[Comparison]) -> Figure:
    """Backdoor success without a defense (tail) and with it (head), published and measured, a row each."""
    figure = Figure()
    kinds = (
        ("published", NEUTRAL, "dot", ABOVE, 2),
        ("measured here, mean of the seeds", BACKDOOR, "solid", BELOW, 4),
    )
    for name, colour, dash, shift, width in kinds:
        x: list[float | None] = []
        y: list[float | None] = []
        text: list[str] = []
        for place, comparison in enumerate(comparisons):
            ends = _ends(comparison, BACKDOOR_SUCCESS, ours=shift == BELOW)
            if ends is None:
                continue
            x += [100 * ends[0], 100 * ends[1], None]
            y += [place + shift, place + shift, None]
            text += [f"{label(comparison)}<br>{name}: {100 * ends[0]:.1f} → {100 * ends[1]:.1f}%"] * 3
        figure.add_scatter(
            x=x,
            y=y,
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": width, "dash": dash},
            marker={
                "symbol": "arrow",
                "angleref": "previous",
                "size": [0, 16, 0] * (len(x) // 3),
                "color": colour,
            },
            hovertext=text,
            hoverinfo="text",
            cliponaxis=False,
        )
    _add_seeds(figure, comparisons)
    for place, comparison in enumerate(
        comparisons
    ):  # above the arrows, which are as wide as the figure on a phone too
        figure.add_annotation(
            text=f"{label(comparison)}<br><i>{_robustness(comparison)}</i>",
            x=0,
            y=place,
            xref="paper",
            yref="y",
            xanchor="left",
            yanchor="bottom",
            align="left",
            showarrow=False,
        )
    figure.update_xaxes(title="backdoor success: from no defense to the defense →", **PERCENT)
    figure.update_yaxes(
        showticklabels=False,
        range=[len(comparisons) - 0.5, -0.8],
        zeroline=False,
        showgrid=False,
    )
    return laid_out(figure, 130 + 72 * len(comparisons))


def _add_seeds(figure: Figure, comparisons: Sequence[Comparison]) -> None:
    """Each seed's backdoor success with the defense, as a stroke on our arrow."""
    seeds = [
        (100 * rate, place + BELOW, run.seed)
        for place, comparison in enumerate(comparisons)
        for rate, run in zip(
            comparison.row.measured.get(BACKDOOR_SUCCESS, ()), comparison.row.runs, strict=True
        )
    ]
    figure.add_scatter(
        x=[rate for rate, _, _ in seeds],
        y=[place for _, place, _ in seeds],
        mode="markers",
        name="each seed, with the defense",
        marker={"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": BACKDOOR}},
        hovertext=[f"seed {seed}: {rate:.1f}%" for rate, _, seed in seeds],
        hoverinfo="text",
        cliponaxis=False,
    )


def label(comparison: Comparison) -> str:
    """The data set and the defense."""
    return f"{DATASETS[comparison.row.dataset]}: {comparison.row.condition}"


def _ends(comparison: Comparison, metric: str, *, ours: bool) -> tuple[float, float] | None:
    """A metric without and with the defense."""
    sides = (comparison.base, comparison.row)
    before, after = (side.mean(metric) if ours else side.published.get(metric) for side in sides)
    return None if before is None or after is None else (before, after)


def _robustness(comparison: Comparison) -> str:
    """How adversarial accuracy moves."""
    parts = []
    for ours, name in ((False, "paper"), (True, "here")):
        ends = _ends(comparison, ADVERSARIAL_ACCURACY, ours=ours)
        if ends:
            parts.append(f"{100 * ends[0]:.0f} → {100 * ends[1]:.0f}% {name}")
    return "adversarial " + ", ".join(parts) if parts else "not measured yet"
