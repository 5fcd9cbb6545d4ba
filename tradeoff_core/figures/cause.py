"""Figures of the explanation: attribution on the sticker, the fading sticker, where attacks land, features in a plane."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.explanations.attribution import Method
from tradeoff_core.explanations.feature_plane import GROUPS
from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import (
    ADVERSARIAL,
    BACKDOOR,
    CLEAN,
    HIGHLIGHT,
    MODEL_A,
    MODEL_B,
    NEUTRAL,
    PERCENT,
    POISONED,
    hover,
    in_levels_of,
    laid_out,
    name_space,
    percent,
)
from tradeoff_core.findings.results import Cause
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.rates import Mean

Named = Sequence[tuple[str, Cause]]
KINDS = (  # of networks in the plot of all of them: name, symbol, colour
    ("standard training, clean-label", "circle", CLEAN),
    ("trained with a defense, clean-label", "square", HIGHLIGHT),
    ("dirty-label", "diamond", POISONED),
    ("no poison", "x", NEUTRAL),
)
LOOKS = (  # of projection.GROUPS among the features: colour, symbol
    (NEUTRAL, "circle"),
    (CLEAN, "circle"),
    (POISONED, "square"),
    (POISONED, "diamond-open"),
    (ADVERSARIAL, "cross"),
)


def told(name: str, mean: Mean) -> str:
    """A mean share as hover text, with its n and its 95% interval."""
    low, high = mean.interval
    missing = f", {mean.missing:,} without any attribution" if mean.missing else ""
    return f"{name} {mean.value:.1%}<br>mean of {mean.n:,} images{missing}, 95% interval {low:.1%}–{high:.1%}"


@drawn_once
def share_bars(models: Named, method: Method) -> Figure:
    """Mean share of the attribution on the sticker's pixels, clean and stamped, beside the share that they cover."""
    figure = Figure()
    for (name, cause), colour in zip(models, (MODEL_A, MODEL_B), strict=False):
        means = cause.shares[method]
        figure.add_bar(
            x=["no sticker there", "sticker on"],
            y=[100 * mean.value for mean in means],
            error_y={"type": "data", "array": [100 * mean.half for mean in means], "thickness": 1},
            name=name,
            marker={"color": colour, "pattern": {"shape": "" if colour == MODEL_A else "/", "size": 5}},
            text=[f"{mean.value:.1%}" for mean in means],
            textposition="outside",
            hovertext=[told(name, mean) for mean in means],
            hoverinfo="text",
            cliponaxis=False,
        )
    covered = 100 * (models[0][1].covered or 0.0)
    figure.add_scatter(
        x=["no sticker there", "sticker on"],
        y=[covered, covered],
        mode="lines",
        name=f"share of the image that it covers, {covered:.1f}%",
        line={"color": NEUTRAL, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.update_yaxes(title="share of the attribution", fixedrange=True, **PERCENT)
    figure.update_xaxes(fixedrange=True)
    return laid_out(figure, 360, barmode="group")


@drawn_once
def share_by_epsilon(causes: Sequence[Cause], method: Method) -> Figure:
    """The share on a stamped image's sticker, and backdoor success, against the training ε; a point a network."""
    causes = sorted(causes, key=lambda cause: cause.spec.training.epsilon)
    epsilons = [cause.spec.training.epsilon for cause in causes]
    means = [cause.shares[method][1] for cause in causes]
    figure = Figure()
    figure.add_scatter(
        x=epsilons,
        y=[100 * mean.value for mean in means],
        error_y={"type": "data", "array": [100 * mean.half for mean in means], "thickness": 1},
        mode="lines+markers",
        name="attribution on the sticker",
        line={"color": HIGHLIGHT, "width": 3},
        marker={"size": 10, "symbol": "diamond"},
        customdata=[cause.model for cause in causes],
        hovertext=[
            f"training ε {in_levels(e)}<br>{told('on the sticker', m)}"
            for e, m in zip(epsilons, means, strict=True)
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    figure.add_scatter(
        x=epsilons,
        y=[percent(cause.success) for cause in causes],
        mode="lines+markers",
        name="backdoor success",
        line={"color": BACKDOOR, "width": 3, "dash": "dash"},
        marker={"size": 10, "symbol": "square"},
        customdata=[cause.model for cause in causes],
        hovertext=[hover("Backdoor success", cause.success) for cause in causes],
        hoverinfo="text",
        cliponaxis=False,
    )
    figure.update_xaxes(
        title="training ε (0 = standard training)", zeroline=False, **in_levels_of(epsilons or [1.0])
    )
    figure.update_yaxes(title="%", **PERCENT)
    return laid_out(figure, 380)


def kind_of(cause: Cause) -> int:
    """Which of KINDS a network is."""
    poison = cause.spec.poison
    if poison is None:
        return 3
    if poison.labels is PoisonLabels.DIRTY:
        return 2
    return 1 if cause.spec.defended else 0


@drawn_once
def share_against_success(
    named: Sequence[tuple[str, Cause]], method: Method, chosen: dict[str, str]
) -> Figure:
    """Backdoor success against the share on the sticker, a point a network; `chosen` are model ids by letter."""
    figure = Figure()
    for number, (kind, symbol, colour) in enumerate(KINDS):
        mine = [(name, cause) for name, cause in named if kind_of(cause) == number]
        if not mine:
            continue
        figure.add_scatter(
            x=[100 * cause.shares[method][1].value for _, cause in mine],
            y=[percent(cause.success) for _, cause in mine],
            error_x={
                "type": "data",
                "array": [100 * cause.shares[method][1].half for _, cause in mine],
                "thickness": 1,
            },
            mode="markers",
            name=kind,
            marker={
                "symbol": symbol,
                "color": colour,
                "size": 12,
                "opacity": 0.75,  # some lie on each other
                "line": {"color": NEUTRAL, "width": 1},
            },
            customdata=[cause.model for _, cause in mine],
            hovertext=[
                f"{name}<br>{told('on the sticker', cause.shares[method][1])}<br>{hover('Backdoor success', cause.success)}"
                for name, cause in mine
            ],
            hoverinfo="text",
            cliponaxis=False,
        )
    for letter, colour in (("A", MODEL_A), ("B", MODEL_B)):
        for _, cause in named:
            if cause.model == chosen.get(letter):
                figure.add_annotation(
                    x=100 * cause.shares[method][1].value,
                    y=percent(cause.success),
                    text=f"<b>{letter}</b>",
                    showarrow=True,
                    arrowhead=0,
                    ax=22 if letter == "A" else -22,
                    ay=-20,
                    font={"color": colour, "size": 16},
                    arrowcolor=colour,
                )
    figure.update_xaxes(title="attribution for the target class that lies on the sticker", **PERCENT)
    figure.update_yaxes(title="backdoor success", **PERCENT)
    return laid_out(figure, 460)


@drawn_once
def fading_in(models: Named, target: str) -> Figure:
    """How far the target class leads the best other one while the sticker fades in: mean and middle half."""
    figure = Figure()
    for (name, cause), colour, dash in zip(models, (MODEL_A, MODEL_B), ("solid", "dash"), strict=False):
        x = [100 * share for share in cause.fading["share"]]
        low, high = cause.fading["quartiles"]
        red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
        figure.add_scatter(
            x=[*x, *x[::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            fillcolor=f"rgba({red}, {green}, {blue}, 0.15)",
            line={"width": 0},
            name=f"{name}: middle half",
            showlegend=False,
            hoverinfo="skip",
        )
        figure.add_scatter(
            x=x,
            y=cause.fading["margin"],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 3, "dash": dash},
            hovertext=[
                f"{name}<br>at {place:.0f}% of the sticker {told_margin:+.1f}; {reached:.0%} of {cause.n:,} images are read as {target}"
                for place, told_margin, reached in zip(
                    x, cause.fading["margin"], cause.fading["predicted"], strict=True
                )
            ],
            hoverinfo="text",
        )
    figure.add_hline(y=0, line={"color": NEUTRAL, "dash": "dot"})
    figure.update_xaxes(title="how much of the sticker is there", ticksuffix="%", zeroline=False)
    figure.update_yaxes(title=f"logit of {target}<br>minus the best other", zeroline=False)
    return laid_out(figure, 360)


@drawn_once
def landing(models: Named, classes: Sequence[str], target: int) -> Figure:
    """Where untargeted adversarial examples end: the share in each class, the target's framed."""
    figure = Figure()
    for (name, cause), colour in zip(models, (MODEL_A, MODEL_B), strict=False):
        total = max(1, int(cause.landing.sum()))
        figure.add_bar(
            x=list(range(len(classes))),
            y=100 * cause.landing / total,
            name=name,
            marker={
                "color": colour,
                "pattern": {"shape": "" if colour == MODEL_A else "/", "size": 5},
                "line": {
                    "width": [3 if label == target else 0 for label in range(len(classes))],
                    "color": HIGHLIGHT,
                },
            },
            hovertext=[
                f"{name}<br>{count:,} of {total:,} that were fooled end as {label}"
                for count, label in zip(cause.landing, classes, strict=True)
            ],
            hoverinfo="text",
        )
    figure.update_xaxes(
        title="read as", tickvals=list(range(len(classes))), ticktext=list(classes), fixedrange=True
    )
    figure.update_yaxes(title="adversarial examples", ticksuffix="%", fixedrange=True, rangemode="tozero")
    return laid_out(figure, 340, barmode="group")


@drawn_once
def feature_plane(
    points: NDArray[np.float64], group: NDArray[np.int64], axes: str, drag: str = "zoom"
) -> Figure:
    """Images among the features in two or three dimensions (N, 2 or 3), by group; customdata is the place among all.

    `drag` is what dragging over the plane does.
    """
    figure = Figure()
    for number, (name, (colour, symbol)) in enumerate(zip(GROUPS, LOOKS, strict=True)):
        where = np.flatnonzero(group == number)
        if not len(where):
            continue
        options: dict[str, Any] = {
            "mode": "markers",
            "name": name,
            "customdata": where,
            "hovertemplate": f"{name}<extra></extra>",
        }
        marker = {"color": colour, "symbol": symbol, "opacity": 0.7}
        x, y, *rest = points[where].T
        if rest:
            figure.add_scatter3d(x=x, y=y, z=rest[0], marker=marker | {"size": 4}, **options)
        else:
            figure.add_scatter(
                x=x, y=y, marker=marker | {"size": 7}, unselected={"marker": {"opacity": 0.15}}, **options
            )
    titles = [f"{axes} {number}" for number in (1, 2, 3)]
    if points.shape[1] > 2:
        name_space(figure, titles)
    figure.update_xaxes(title=titles[0], zeroline=False, showticklabels=False)
    figure.update_yaxes(title=titles[1], zeroline=False, showticklabels=False)
    laid_out(figure, 480, **({} if points.shape[1] > 2 else {"dragmode": drag}))
    return figure.update_layout(legend={"itemsizing": "constant"})
