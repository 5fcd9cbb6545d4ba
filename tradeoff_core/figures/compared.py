"""Several runs' rates beside each other."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    BACKDOOR,
    CLEAN,
    NEUTRAL,
    PERCENT,
    hover,
    laid_out,
    percent,
)
from tradeoff_core.rates import Rate

SERIES = (
    ("clean accuracy", CLEAN, ""),
    ("adversarial accuracy", ADVERSARIAL, "/"),
    ("backdoor success", BACKDOOR, "x"),
)
WIDEST = 24  # characters of a name in a line


@drawn_once
def rates_compared(runs: Mapping[str, Sequence[Rate]]) -> Figure:
    """Clean accuracy, adversarial accuracy and backdoor success of each run by its name, with their 95% intervals."""
    figure = Figure()
    for place, (name, colour, shape) in enumerate(SERIES):
        rates = [measured[place] for measured in runs.values()]
        bounds = [[100 * end for end in rate.interval] for rate in rates]
        figure.add_bar(
            x=["<br>".join(wrap(run, WIDEST)) for run in runs],
            y=[percent(rate) for rate in rates],
            name=name,
            marker={"color": colour, "pattern": {"shape": shape, "fgcolor": "white", "size": 6}},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - percent(rate) for rate, (_, high) in zip(rates, bounds, strict=True)],
                "arrayminus": [percent(rate) - low for rate, (low, _) in zip(rates, bounds, strict=True)],
                "color": NEUTRAL,
            },
            hovertext=[hover(name, rate) for rate in rates],
            hoverinfo="text",
        )
    figure.update_yaxes(title="% of test images", **PERCENT)
    return laid_out(figure, 380, barmode="group")
