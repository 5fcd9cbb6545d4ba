"""Small images to look at, and pictures that follow an ε slider in the browser."""

import base64
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tradeoff_core.attacks import Norm, in_levels

ENLARGED = 128  # pixels: about the height of an image that is enlarged to be looked at


def framed(images: NDArray[np.uint8], factor: int | None = None) -> NDArray[np.uint8]:
    """Small images (N, H, W, C) to look at: RGBA (N, factor·(H+4), factor·(W+4), 4).

    Each pixel becomes a block, and each image gets a grey line around it, which sets a white sticker in its
    corner off a white page, and a transparent gap. `factor` is 4 for digits, 1 for large photographs.
    """
    factor = factor or max(1, ENLARGED // images.shape[1])
    rgb = images.repeat(3, axis=3) if images.shape[3] == 1 else images
    opaque = np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=3)
    lined = np.pad(opaque, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=128)
    lined[..., 3] = 255
    gapped = np.pad(lined, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return gapped.repeat(factor, axis=1).repeat(factor, axis=2)


# of attributions: against the class, nothing, for it (blue and orange of the Okabe-Ito set around white)
AGAINST, NOTHING, FOR = (np.array(colour) for colour in ((0, 114, 178), (255, 255, 255), (213, 94, 0)))


def drawn_attribution(
    maps: Tensor, images: Tensor, limit: float, opacity: float = 1.0, *, as_published: bool = False
) -> NDArray[np.uint8]:
    """Attributions (N, C, H, W) over their images (N, C, H, W) in [0, 1] as colours, uint8 (N, H, W, 3).

    Summed over channels, from blue (-`limit`) over white (0) to orange (`limit`). `as_published` draws them as
    figure 3 of Weng et al. does: each channel by itself, from 0 (-`limit`) over grey to 1 (`limit`). `opacity` 0 shows
    the images alone. Values beyond the limit are clipped.
    """
    reach = max(limit, 1e-12)
    if as_published:
        channels = (0.5 + maps / (2 * reach)).clamp(0, 1).expand(-1, 3, -1, -1)
        drawn = 255 * channels.permute(0, 2, 3, 1).numpy()
    else:
        values = (maps.sum(1) / reach).clamp(-1, 1).numpy()[..., None]  # (N, H, W, 1)
        drawn = NOTHING + np.abs(values) * (np.where(values > 0, FOR, AGAINST) - NOTHING)
    under = 255 * images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    return np.round(opacity * drawn + (1 - opacity) * under).astype(np.uint8)


def outlined(pictures: NDArray[np.uint8], footprint: NDArray[np.bool_], factor: int) -> NDArray[np.uint8]:
    """Framed pictures (N, h, w, 4) of images that were enlarged by `factor`, a green box around a footprint (H, W)."""
    marked = pictures.copy()
    rows, columns = np.flatnonzero(footprint.any(1)), np.flatnonzero(footprint.any(0))
    top, left = ((places[0] + 2) * factor for places in (rows, columns))  # a frame and a gap of a pixel each
    bottom, right = ((places[-1] + 3) * factor for places in (rows, columns))
    line = max(2, factor // 3)
    box = np.zeros(pictures.shape[1:3], dtype=bool)
    box[top - line : bottom + line, left - line : right + line] = True
    box[top:bottom, left:right] = False
    marked[:, box] = (0, 158, 115, 255)
    return marked


def png_uri(image: NDArray[np.uint8]) -> str:
    """An RGBA image (H, W, 4) as a data URI of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def drawn_perturbation(original: Tensor, adversarial: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """0.5 + δ / 2ε in [0, 1]: grey is no change. In l2, where ε is the length of the whole, 0.5 + 4δ / ε."""
    if epsilon == 0:
        return torch.full_like(original, 0.5)
    reach = 2 * epsilon if norm is Norm.LINF else epsilon / 4
    return (0.5 + (adversarial - original) / reach).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A row of N pictures for every ε: uint8 (N, H, W, C) each, with a caption below each or none."""

    title: str
    pictures: Sequence[NDArray[np.uint8]]
    captions: Sequence[Sequence[str]] | None = None


def _wrapped(caption: str) -> list[str]:
    """The lines of a caption that is no wider than its picture, on a narrow page too."""
    return textwrap.wrap(caption, 14, break_long_words=False) if len(caption) > 15 else [caption]


def perturbation_slider(
    rows: Sequence[PictureRow], sentences: Sequence[str], epsilons: Sequence[float], start: int
) -> go.Figure:
    """Pictures and a sentence that follow an ε slider in the browser: a plotly frame for every ε."""
    count = len(rows[0].pictures[0])
    lines = max(
        (len(_wrapped(text)) for row in rows for texts in row.captions or () for text in texts), default=1
    )
    tops, height = [], 0.0  # in units of a picture's side
    for row in rows:
        tops.append(height + 0.28)  # the title's line
        height += 1.28 + (0.14 + 0.18 * lines if row.captions else 0.05)
    captioned = [(row, top) for row, top in zip(rows, tops, strict=True) if row.captions]

    def content(number: int) -> list[go.Image | go.Scatter]:
        traces: list[go.Image | go.Scatter] = []
        for row, top in zip(rows, tops, strict=True):
            pixels = np.concatenate(list(framed(row.pictures[number], 1)), axis=1)
            side = count / pixels.shape[1]  # one pixel, in units
            traces.append(
                go.Image(
                    source=png_uri(pixels), x0=side / 2, dx=side, y0=top + side / 2, dy=side, hoverinfo="skip"
                )
            )
        traces.append(
            go.Scatter(
                x=[column + 0.5 for _ in captioned for column in range(count)],
                y=[top + 1.04 for _, top in captioned for _ in range(count)],
                text=[
                    "<br>".join(_wrapped(text))
                    for row, _ in captioned
                    for text in (row.captions or [])[number]
                ],
                mode="text",
                textposition="bottom center",
                textfont={"size": 13},
                hoverinfo="skip",
                showlegend=False,
            )
        )
        return traces

    figure = go.Figure(content(start))
    figure.frames = [
        go.Frame(name=in_levels(epsilon), data=content(number), layout={"title": {"text": sentences[number]}})
        for number, epsilon in enumerate(epsilons)
    ]
    for row, top in zip(rows, tops, strict=True):
        figure.add_annotation(
            x=0.04, y=top - 0.14, text=f"<b>{row.title}</b>", showarrow=False, xanchor="left"
        )
    animate = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    figure.update_layout(
        height=880,
        margin={"l": 0, "r": 0, "t": 160, "b": 0},
        title={"text": sentences[start], "font": {"size": 17}, "x": 0, "y": 0.97, "yanchor": "top"},
        sliders=[
            {
                "active": start,
                "currentvalue": {"prefix": "ε = ", "font": {"size": 20}},
                "pad": {"t": 0, "b": 20, "l": 10, "r": 10},
                "y": 1.0,
                "yanchor": "bottom",
                "steps": [
                    {
                        "label": in_levels(epsilon),
                        "method": "animate",
                        "args": [[in_levels(epsilon)], animate],
                    }
                    for epsilon in epsilons
                ],
            }
        ],
    )
    figure.update_xaxes(visible=False, range=[0, count], fixedrange=True)
    figure.update_yaxes(
        visible=False,
        range=[height, 0],
        fixedrange=True,
        scaleanchor="x",
        constrain="domain",
        constraintoward="top",
    )
    return figure


def trigger_slider(
    frames: NDArray[np.uint8], classes: Sequence[str], flagged: Sequence[int], every: int = 4, wide: int = 5
) -> go.Figure:
    """Rebuilt triggers (R, K, C, H, W) as they came to be: a plotly frame for every fourth round, a button to play.

    Each picture is a class's mask times its pattern: what is stamped, black where nothing is.
    """
    rounds = sorted({*range(0, len(frames), every), len(frames) - 1})
    count = len(classes)
    high = -(-count // wide)
    across, down = 1.0, 1.3  # of a cell, in units of a picture's side: its name's two lines are above

    def content(number: int) -> go.Image:
        cells = framed(frames[number].transpose(0, 2, 3, 1), 1)  # (K, h, w, 4)
        side = cells.shape[1]
        canvas = np.zeros((round(down * side) * high, side * wide, 4), dtype=np.uint8)
        for place, cell in enumerate(cells):
            top, left = (place // wide + 1) * round(down * side) - side, place % wide * side
            canvas[top : top + side, left : left + side] = cell
        return go.Image(
            source=png_uri(canvas),
            x0=0.5 / side,
            dx=across / side,
            y0=0.5 / side,
            dy=1 / side,
            hoverinfo="skip",
        )

    figure = go.Figure(content(rounds[-1]))
    figure.frames = [go.Frame(name=str(number + 1), data=[content(number)]) for number in rounds]
    side = frames.shape[-1] + 4
    line = round(down * side) / side
    for place, name in enumerate(classes):
        called = f"class {name}" if name.isdigit() else name
        figure.add_annotation(
            x=place % wide + 0.5,
            y=place // wide * line + (line - 1) / 2,
            text=f"<b>{called}<br>flagged</b>" if place in flagged else called,
            font={"size": 11},
            showarrow=False,
        )
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    play = {"mode": "immediate", "frame": {"duration": 150, "redraw": True}, "transition": {"duration": 0}}
    figure.update_layout(
        height=170 + 135 * high,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        updatemenus=[
            {
                "type": "buttons",
                "x": 0,
                "y": 0,
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"t": 24},
                "showactive": False,  # its white hides the text of a dark theme, as does the default background
                "bgcolor": "rgba(128, 128, 128, 0.25)",
                "buttons": [{"label": "▶ Play", "method": "animate", "args": [None, play]}],
            }
        ],
        sliders=[
            {
                "active": len(rounds) - 1,
                "currentvalue": {"prefix": "after round "},
                "pad": {"t": 6, "l": 80, "r": 10, "b": 12},
                "steps": [
                    {"label": str(number + 1), "method": "animate", "args": [[str(number + 1)], still]}
                    for number in rounds
                ],
            }
        ],
    )
    figure.update_xaxes(visible=False, range=[0, wide], fixedrange=True)
    figure.update_yaxes(
        visible=False, range=[high * line, 0], fixedrange=True, scaleanchor="x", constrain="domain"
    )
    return figure
