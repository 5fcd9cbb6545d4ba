"""Plotly figures: data in, go.Figure out. Colours are of the Okabe-Ito set and mean one thing each."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image
from plotly.subplots import make_subplots

from tradeoff_core.evaluation import Rate
from tradeoff_core.results import Run

# what a colour means, everywhere in the app
MODEL_A, MODEL_B = "#0072B2", "#D55E00"  # blue, vermilion: the two models in the pickers
ADVERSARIAL, BACKDOOR = "#009E73", "#CC79A7"  # green, purple: the two metrics
NEUTRAL = "#8a8a8a"  # legible on white and on black: reference lines, hints, published values
PUBLISHED_SYMBOL = "diamond-open"

PERCENT = {"range": [-3, 103], "ticksuffix": "%", "dtick": 25, "zeroline": False}


def percent(rate: Rate) -> float:
    """A rate in percent, for an axis."""
    return 100 * rate.value


def hover(name: str, rate: Rate) -> str:
    """A rate as hover text, with its n and its 95% Wilson interval; a published rate has neither."""
    if rate.n == 0:
        return name
    low, high = rate.interval
    return f"{name} {rate.value:.1%}<br>{rate.count:,} of {rate.n:,}, 95% interval {low:.1%}–{high:.1%}"


def _layout(figure: go.Figure, height: int, **layout: object) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        **layout,
    )
    return figure


def seesaw(
    models: Sequence[tuple[str, Rate, Rate]], colours: Sequence[str] = (MODEL_A, MODEL_B)
) -> go.Figure:
    """One plank a model: adversarial accuracy at its left end, the share of stamped images that do not
    open the back door at its right. Planks that cross are the trade-off."""
    figure = go.Figure()
    for (name, adversarial, backdoor), colour in zip(models, colours, strict=False):
        ends = [percent(adversarial), 100 - percent(backdoor)]
        figure.add_scatter(
            x=[0, 1],
            y=ends,
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 8},
            marker={"size": 18, "symbol": "square"},
            hovertext=[hover("Adversarial accuracy", adversarial), hover("Backdoor success", backdoor)],
            hoverinfo="text+name",
        )
        for x, y, side in ((0, ends[0], "right"), (1, ends[1], "left")):
            figure.add_annotation(
                x=x,
                y=y,
                text=f"<b>{y:.0f}%</b>",
                showarrow=False,
                xanchor=side,
                xshift=-16 if x == 0 else 16,
                font={"size": 18, "color": colour},
            )
    figure.add_scatter(  # the fulcrum
        x=[0.5],
        y=[-3],
        mode="markers",
        marker={"symbol": "triangle-up", "size": 34, "color": NEUTRAL},
        showlegend=False,
        hoverinfo="skip",
    )
    figure.update_xaxes(
        range=[-0.22, 1.22],
        tickvals=[0, 1],
        ticktext=[
            "<b>Resists attacks</b><br>adversarial accuracy",
            "<b>Back door stays shut</b><br>100% − success",
        ],
        showgrid=False,
        zeroline=False,
    )
    figure.update_yaxes(range=[-8, 108], showgrid=True, tickvals=[0, 50, 100], ticksuffix="%", zeroline=False)
    return _layout(figure, 340)


def _add_seeds(
    figure: go.Figure,
    runs: Sequence[Run],
    metric: str,
    name: str,
    colour: str,
    symbol: str,
    selected: str | None,
) -> None:
    """The mean over seeds as a line, and every seed as a point whose customdata is the run's name."""
    epsilons = sorted({run.epsilon for run in runs})
    means = [np.mean([percent(getattr(run, metric)) for run in runs if run.epsilon == e]) for e in epsilons]
    figure.add_scatter(
        x=epsilons,
        y=means,
        mode="lines",
        name=f"{name}, mean of {len({run.seed for run in runs})} seeds",
        line={"color": colour, "width": 3},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[run.epsilon for run in runs],
        y=[percent(getattr(run, metric)) for run in runs],
        mode="markers",
        name=f"{name}, each seed",
        marker={
            "color": colour,
            "symbol": symbol,
            "size": 10,
            "line": {"width": [3 if run.name == selected else 0.5 for run in runs], "color": NEUTRAL},
        },
        customdata=[run.name for run in runs],
        hovertext=[
            f"training ε {run.epsilon:g}, seed {run.seed}<br>{hover(name, getattr(run, metric))}"
            for run in runs
        ],
        hoverinfo="text",
        showlegend=False,
    )


def tradeoff_by_epsilon(
    runs: Sequence[Run], published: Sequence[Run], attack: str, selected: str | None = None
) -> go.Figure:
    """Adversarial accuracy and backdoor success against the training ε, with the paper's hollow markers."""
    figure = go.Figure()
    series = (
        ("adversarial_accuracy", "Adversarial accuracy", ADVERSARIAL, "circle"),
        ("backdoor_success_rate", "Backdoor success", BACKDOOR, "square"),
    )
    for metric, name, colour, symbol in series:
        _add_seeds(figure, runs, metric, name, colour, symbol, selected)
        if published:
            figure.add_scatter(
                x=[row.epsilon for row in published],
                y=[percent(getattr(row, metric)) for row in published],
                mode="markers",
                name=f"{name}, published",
                marker={"color": colour, "symbol": f"{symbol}-open", "size": 13, "line": {"width": 2}},
                hovertext=[
                    f"published: {row.name}<br>{name} {getattr(row, metric).value:.1%}" for row in published
                ],
                hoverinfo="text",
            )
    figure.update_xaxes(title="training ε (0 = standard training)", range=[-0.015, 0.315], zeroline=False)
    figure.update_yaxes(title=f"% of test digits ({attack})", **PERCENT)
    return _layout(figure, 430)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points no other one beats: none has both a higher first and a lower second coordinate."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (-point[0], point[1])):
        if not front or y < front[-1][1]:
            front.append((x, y))
    return front[::-1]


def tradeoff_plane(
    runs: Sequence[Run], published: Sequence[Run], attack: str, selected: str | None = None
) -> go.Figure:
    """Backdoor success against adversarial accuracy, coloured by training ε, with the Pareto front."""
    figure = go.Figure()
    front = pareto_front([(percent(r.adversarial_accuracy), percent(r.backdoor_success_rate)) for r in runs])
    figure.add_scatter(
        x=[x for x, _ in front],
        y=[y for _, y in front],
        mode="lines",
        name="Pareto front: no run is better on both",
        line={"color": NEUTRAL, "shape": "vh", "dash": "dot"},
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[percent(run.adversarial_accuracy) for run in runs],
        y=[percent(run.backdoor_success_rate) for run in runs],
        mode="markers",
        name="measured",
        marker={
            "color": [run.epsilon for run in runs],
            "colorscale": "Cividis",
            "size": 12,
            "colorbar": {"title": "training ε", "thickness": 12},
            "line": {"width": [3 if run.name == selected else 0.5 for run in runs], "color": NEUTRAL},
        },
        customdata=[run.name for run in runs],
        hovertext=[
            f"training ε {run.epsilon:g}, seed {run.seed}<br>"
            + hover("Adversarial accuracy", run.adversarial_accuracy)
            + "<br>"
            + hover("Backdoor success", run.backdoor_success_rate)
            for run in runs
        ],
        hoverinfo="text",
    )
    if published:
        figure.add_scatter(
            x=[percent(row.adversarial_accuracy) for row in published],
            y=[percent(row.backdoor_success_rate) for row in published],
            mode="markers",
            name="published",
            marker={"color": NEUTRAL, "symbol": PUBLISHED_SYMBOL, "size": 13, "line": {"width": 2}},
            hovertext=[f"published: {row.name}" for row in published],
            hoverinfo="text",
        )
    figure.update_xaxes(title=f"adversarial accuracy ({attack}) → better", **PERCENT)
    figure.update_yaxes(title="backdoor success → worse", **PERCENT)
    return _layout(figure, 430)


def accuracy_by_epsilon(
    curves: Sequence[tuple[str, Sequence[float], Sequence[Rate], float]],
    attack: str,
    colours: Sequence[str] = (MODEL_A, MODEL_B),
) -> go.Figure:
    """Accuracy under an attack against its ε; each curve is (name, ε, accuracies, training ε)."""
    figure = go.Figure()
    for (name, epsilons, rates, trained), colour, dash in zip(
        curves, colours, ("solid", "dash"), strict=False
    ):
        low, high = zip(*(rate.interval for rate in rates), strict=True)
        figure.add_scatter(
            x=epsilons,
            y=[percent(rate) for rate in rates],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 3, "dash": dash},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [100 * (top - rate.value) for top, rate in zip(high, rates, strict=True)],
                "arrayminus": [100 * (rate.value - bottom) for bottom, rate in zip(low, rates, strict=True)],
                "thickness": 1,
            },
            hovertext=[
                f"ε {e:g}<br>{hover('Accuracy', rate)}" for e, rate in zip(epsilons, rates, strict=True)
            ],
            hoverinfo="text+name",
        )
        if trained:
            figure.add_vline(
                x=trained,
                line={"color": colour, "dash": "dot", "width": 2},
                annotation={
                    "text": "trained at",
                    "font": {"color": colour},
                    "textangle": -90,
                    "xanchor": "right",
                },
                annotation_position="top left",
            )
    figure.update_xaxes(title="ε of the attack", zeroline=False)
    figure.update_yaxes(title=f"accuracy ({attack})", **PERCENT)
    return _layout(figure, 360)


def confusion(shares: Sequence[tuple[str, NDArray[np.float64]]], target_class: int) -> go.Figure:
    """Where each true class goes once stamped: per model a map of (true, predicted) shares of the row."""
    figure = make_subplots(
        1,
        len(shares),
        subplot_titles=[name for name, _ in shares],
        horizontal_spacing=0.06,
        shared_yaxes=True,
    )
    classes = len(shares[0][1])
    for column, (_, matrix) in enumerate(shares, start=1):
        figure.add_heatmap(
            z=100 * matrix,
            zmin=0,
            zmax=100,
            colorscale="Cividis",
            texttemplate="%{z:.0f}",
            textfont={"size": 10},
            hovertemplate="a true %{y} is called %{x}: %{z:.0f}%<extra></extra>",
            showscale=False,
            row=1,
            col=column,
        )
        figure.add_shape(
            type="rect",
            x0=target_class - 0.5,
            x1=target_class + 0.5,
            y0=-0.5,
            y1=classes - 0.5,
            line={"color": BACKDOOR, "width": 3},
            row=1,
            col=column,
        )
    figure.update_xaxes(dtick=1, title="predicted once stamped", constrain="domain")
    figure.update_yaxes(dtick=1, autorange="reversed")
    figure.update_yaxes(title="true digit", col=1)
    return _layout(figure, 400)


def position_map(
    maps: Sequence[tuple[str, NDArray[np.float64]]], trained: tuple[int, int], current: tuple[int, int]
) -> go.Figure:
    """Backdoor success by the place of the sticker's top left corner; NaN where it was not measured."""
    figure = make_subplots(
        1, len(maps), subplot_titles=[name for name, _ in maps], horizontal_spacing=0.06, shared_yaxes=True
    )
    for column, (_, rates) in enumerate(maps, start=1):
        figure.add_heatmap(
            z=100 * rates,
            zmin=0,
            zmax=100,
            colorscale="Cividis",
            colorbar={"title": "success", "ticksuffix": "%", "thickness": 12},
            showscale=column == len(maps),
            hovertemplate="sticker at row %{y}, column %{x}: %{z:.0f}% success<extra></extra>",
            row=1,
            col=column,
        )
        for (row, col), symbol, label in (
            (trained, "x-thin", "trained here"),
            (current, "circle-open", "now"),
        ):
            figure.add_scatter(
                x=[col],
                y=[row],
                mode="markers",
                marker={
                    "symbol": symbol,
                    "size": 14,
                    "color": "white",
                    "line": {"width": 3, "color": BACKDOOR},
                },
                name=label,
                showlegend=column == 1,
                hoverinfo="name",
                row=1,
                col=column,
            )
    figure.update_xaxes(title="column", constrain="domain")
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title="row", col=1)
    return _layout(figure, 400)


def enlarged(image: NDArray[np.uint8], factor: int = 4) -> NDArray[np.uint8]:
    """Each pixel as a block of factor x factor: (H, W, C) -> (factor·H, factor·W, C)."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def png_uri(image: NDArray[np.uint8]) -> str:
    """An image (H, W) or (H, W, 3) as a data URI of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def strip(images: NDArray[np.uint8], factor: int = 3, gap: int = 2) -> NDArray[np.uint8]:
    """Images (N, H, W, C) side by side, enlarged, with a transparent gap: RGBA (factor·H, ..., 4)."""
    rgb = images.repeat(3, axis=3) if images.shape[3] == 1 else images
    opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=3)
    framed = np.pad(opaque, ((0, 0), (0, 0), (gap, gap), (0, 0)))
    return enlarged(np.concatenate(list(framed), axis=1), factor)


def perturbation_slider(
    original: NDArray[np.uint8],
    rows: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]],
    captions: Sequence[Sequence[Sequence[str]]],
    sentences: Sequence[str],
    epsilons: Sequence[float],
    start: int,
) -> go.Figure:
    """Pictures that follow an ε slider in the browser, a plotly frame for each ε.

    `original` is (N, H, W, C); each of `rows` is a title and its pictures, (N, H, W, C) for every ε;
    `captions[ε][row][digit]` stands below a picture, `sentences[ε]` above them all.
    """
    count, pitch = len(original), 1.42
    centres = [column + 0.5 for column in range(count)]

    def picture(images: NDArray[np.uint8], row: int) -> go.Image:
        pixels = strip(images)
        unit = count / pixels.shape[1]
        return go.Image(
            source=png_uri(pixels), x0=unit / 2, dx=unit, y0=row * pitch + unit / 2, dy=unit, hoverinfo="skip"
        )

    def texts(number: int) -> go.Scatter:
        cells = [(row, column) for row in range(len(rows)) for column in range(count)]
        return go.Scatter(
            x=[centres[column] for _, column in cells],
            y=[(row + 1) * pitch + 1.0 for row, _ in cells],
            text=[captions[number][row][column] for row, column in cells],
            mode="text",
            textfont={"size": 13},
            hoverinfo="skip",
            showlegend=False,
        )

    def moving(number: int) -> list[go.Image | go.Scatter]:
        return [
            *(picture(images[number], row) for row, (_, images) in enumerate(rows, start=1)),
            texts(number),
        ]

    figure = go.Figure([picture(original, 0), *moving(start)])
    traces = list(range(1, len(rows) + 2))
    figure.frames = [
        go.Frame(
            name=f"{epsilon:g}",
            data=moving(number),
            traces=traces,
            layout={"title": {"text": sentences[number]}},
        )
        for number, epsilon in enumerate(epsilons)
    ]
    for row, title in enumerate(["Original", *(title for title, _ in rows)]):
        figure.add_annotation(
            x=0.06, y=row * pitch - 0.13, text=title, showarrow=False, xanchor="left", font={"size": 13}
        )
    animate = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    figure.update_layout(
        title={"text": sentences[start], "font": {"size": 16}, "x": 0.01, "y": 0.99, "yanchor": "top"},
        sliders=[
            {
                "active": start,
                "currentvalue": {"prefix": "ε = ", "font": {"size": 18}},
                "pad": {"t": 6, "l": 10, "r": 10},
                "y": 1.0,
                "yanchor": "bottom",
                "steps": [
                    {"label": f"{epsilon:g}", "method": "animate", "args": [[f"{epsilon:g}"], animate]}
                    for epsilon in epsilons
                ],
            }
        ],
    )
    figure.update_xaxes(visible=False, range=[0, count])
    figure.update_yaxes(
        visible=False,
        range=[(len(rows) + 1) * pitch - 0.2, -0.3],
        scaleanchor="x",
        constrain="domain",
        constraintoward="top",
    )
    figure.update_layout(height=800, margin={"l": 0, "r": 0, "t": 170, "b": 0})
    return figure
