"""Small images to look at, and pictures that follow an ε slider in the browser."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tradeoff_core.attacks.attack import Norm
from tradeoff_core.figures.kept import drawn_once, kept
from tradeoff_core.figures.plain import Figure

CELL = 1.3  # the height of a trigger's cell, in units of a picture's side: its name's two lines are above
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


@kept(len)
def png_uri(image: NDArray[np.uint8], width: int | None = None) -> str:
    """An image (H, W, C) of one, three or four channels as a data URI of a PNG, no wider than `width` pixels."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if width and picture.width > width:
        picture = picture.resize(
            (width, round(picture.height * width / picture.width)), Image.Resampling.BILINEAR
        )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


@kept(lambda uris: sum(map(len, uris)))
def as_uris(
    images: NDArray[np.uint8], width: int, footprint: NDArray[np.bool_] | None = None
) -> tuple[str, ...]:
    """Images (N, H, W, C) framed, and boxed around a footprint (H, W), to be shown `width` pixels wide: data URIs of PNGs.

    Small ones are enlarged pixel by pixel and left to the browser to shrink; large ones are shrunk here.
    """
    factor = max(1, ENLARGED // images.shape[1])
    looked_at = framed(images, factor)
    if footprint is not None:
        looked_at = outlined(looked_at, footprint, factor)
    return tuple(png_uri(image, width if factor == 1 else None) for image in looked_at)


def drawn_perturbation(original: Tensor, adversarial: Tensor, epsilon: float, norm: Norm) -> Tensor:
    """0.5 + δ / 2ε in [0, 1]: grey is no change. In l2, where ε is the length of the whole, 0.5 + 4δ / ε."""
    if epsilon == 0:
        return torch.full_like(original, 0.5)
    reach = 2 * epsilon if norm is Norm.LINF else epsilon / 4
    return (0.5 + (adversarial - original) / reach).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A row of N pictures for every ε, or one for all: uint8 (N, H, W, C) each, with a caption below each or none."""

    title: str
    pictures: Sequence[NDArray[np.uint8]]
    captions: Sequence[Sequence[str]] | None = None


def _animation(milliseconds: int) -> dict[str, Any]:
    """How plotly shows a frame: at once, and for so long."""
    return {
        "mode": "immediate",
        "frame": {"duration": milliseconds, "redraw": True},
        "transition": {"duration": 0},
    }


def _steps(frames: Sequence[str]) -> list[dict[str, Any]]:
    """A slider's steps, one a frame, by the frames' names."""
    return [{"label": name, "method": "animate", "args": [[name], _animation(0)]} for name in frames]


@drawn_once
def trigger_slider(
    frames: NDArray[np.uint8], classes: Sequence[str], flagged: Sequence[int], every: int = 4, wide: int = 5
) -> Figure:
    """Rebuilt triggers (R, K, C, H, W) as they came to be: a plotly frame for every fourth round, a button to play.

    Each picture is a class's mask times its pattern: what is stamped, black where nothing is.
    """
    rounds = sorted({*range(0, len(frames), every), len(frames) - 1})
    count = len(classes)
    high = -(-count // wide)
    figure = Figure(_cells(frames[rounds[-1]], wide))
    for number in rounds:
        figure.add_frame(str(number + 1), [_cells(frames[number], wide)])
    side = frames.shape[-1] + 4
    line = round(CELL * side) / side
    for place, name in enumerate(classes):
        called = f"class {name}" if name.isdigit() else name
        figure.add_annotation(
            x=place % wide + 0.5,
            y=place // wide * line + (line - 1) / 2,
            text=f"<b>{called}<br>flagged</b>" if place in flagged else called,
            font={"size": 11},
            showarrow=False,
        )
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
                "buttons": [{"label": "▶ Play", "method": "animate", "args": [None, _animation(150)]}],
            }
        ],
        sliders=[
            {
                "active": len(rounds) - 1,
                "currentvalue": {"prefix": "after round "},
                "pad": {"t": 6, "l": 80, "r": 10, "b": 12},
                "steps": _steps([str(number + 1) for number in rounds]),
            }
        ],
    )
    figure.update_xaxes(visible=False, range=[0, wide], fixedrange=True)
    figure.update_yaxes(
        visible=False, range=[high * line, 0], fixedrange=True, scaleanchor="x", constrain="domain"
    )
    return figure


def _cells(triggers: NDArray[np.uint8], wide: int) -> dict[str, Any]:
    """Triggers (K, C, H, W) as one picture, `wide` of them in a row."""
    cells = framed(triggers.transpose(0, 2, 3, 1), 1)  # (K, h, w, 4)
    side, high = cells.shape[1], -(-len(cells) // wide)
    canvas = np.zeros((round(CELL * side) * high, side * wide, 4), dtype=np.uint8)
    for place, cell in enumerate(cells):
        top, left = (place // wide + 1) * round(CELL * side) - side, place % wide * side
        canvas[top : top + side, left : left + side] = cell
    return dict(
        type="image",
        source=png_uri(canvas),
        x0=0.5 / side,
        dx=1 / side,
        y0=0.5 / side,
        dy=1 / side,
        hoverinfo="skip",
    )
