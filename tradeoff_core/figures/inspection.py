"""What a person's time finds: poison against images looked at."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import DASHES, HIGHLIGHT, NEUTRAL, POISONED, laid_out

YOU = "the way you went"


@drawn_once
def reviewers_curve(
    curves: Mapping[str, NDArray[np.int64]],
    best: str | None,
    poisoned: int,
    person: NDArray[np.int64] | None = None,
) -> Figure:
    """How many of the `poisoned` are among the first images in each order; `best` stands out, and the person's own way.

    A curve (N + 1,) counts the poison among the first 0, 1, ... N, the person's (k + 1,) among those decided over.
    """
    n = max(len(curve) for curve in curves.values()) - 1
    figure = Figure()
    figure.add_scatter(
        x=[0, n],
        y=[0, poisoned],
        mode="lines",
        name="chance",
        line={"color": NEUTRAL, "dash": "dot", "width": 2},
        hoverinfo="skip",
    )
    for number, (name, curve) in enumerate(curves.items()):
        stands_out = name == best
        figure.add_scatter(
            x=np.arange(len(curve)),
            y=curve,
            mode="lines",
            name=name,
            line={
                "color": POISONED if stands_out else NEUTRAL,
                "width": 4 if stands_out else 1.5,
                "dash": "solid" if stands_out else DASHES[number % len(DASHES)],
            },
            hovertemplate=f"{name}<br>%{{y}} of {poisoned:,} in %{{x}} images<extra></extra>",
            showlegend=stands_out,
        )
    if person is not None and len(person) > 1:
        figure.add_scatter(
            x=np.arange(len(person)),
            y=person,
            mode="lines",
            name=YOU,
            line={"color": HIGHLIGHT, "width": 5},
            hovertemplate=f"{YOU}<br>%{{y}} of {poisoned:,} in %{{x}} images<extra></extra>",
        )
    figure.update_xaxes(title="images looked at", range=[0, n], zeroline=False)
    figure.update_yaxes(title="poisoned images found", range=[0, 1.03 * max(1, poisoned)], zeroline=False)
    return laid_out(figure, 380)
