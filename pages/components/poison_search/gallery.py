"""What is found: its numbers, its images, and their export."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from pages.components import cache, cards, inspection
from pages.components.words.models import called
from pages.components.words.searching import caption, images, in_numbers, nothing_poisoned
from tradeoff_core.common.tables import csv_table
from tradeoff_core.datasets import available, to_tensor
from tradeoff_core.defenses.detection import Detection, Examples
from tradeoff_core.models.zoo import Model

PAGE = 24  # images shown at once


def numbers(detection: Detection, score: str) -> None:
    """The rates of a detection beside chance; only with the truth revealed. `score` says what is scored."""
    if not detection.detection_rate.n:
        st.info(nothing_poisoned(detection), icon=":material/info:")
        return
    with st.container(horizontal=True):
        for name, value, text in in_numbers(detection, score):
            with st.container(width=132, gap=None):
                cards.number(value)
                st.markdown(name, help=text)


def draw(
    model: Model,
    read: Examples,
    detection: Detection,
    chosen: NDArray[np.int64],
    truth: bool,
    name: str,
    score: str,
) -> None:
    """Training images at the places `chosen` of a detection, most suspicious first, with their export.

    `score` says in a few words what is scored. Without the training set their list alone.
    """
    st.caption(
        f"Below each: its label, what the network reads, its score ({score}), and whether it would be removed."
    )
    chosen = chosen[np.argsort(-detection.scores[chosen], kind="stable")]
    pages = -(-len(chosen) // PAGE)
    page = st.pagination(pages, key=f"{name}-page") - 1 if pages > 1 else 0
    shown = chosen[page * PAGE : (page + 1) * PAGE]
    buttons = st.columns(3)
    if available(model.spec.dataset):
        _inspect(buttons[2], model, read, detection.index[chosen], name)
    if len(shown):
        _show(model, detection, shown, [caption(model, read, detection, place, truth) for place in shown])
    _export(buttons, model, read, detection, chosen, truth, name)


def _show(model: Model, detection: Detection, shown: NDArray[np.int64], captions: list[str]) -> None:
    """The images at these places, or where they are not on this machine a table of what is known of them."""
    if available(model.spec.dataset):
        pixels = cache.poisoned(model).data.images[detection.index[shown]]
        cards.pictures(to_tensor(pixels), captions, 92, "Training image")
        return
    listed = [f"image {detection.index[place]}" for place in shown]
    known = [caption.replace("**", "") for caption in captions]
    table = pd.DataFrame({"training image": listed, "what is known of it": known})
    st.dataframe(table, hide_index=True, height=200)


def _inspect(
    place: DeltaGenerator, model: Model, read: Examples, index: NDArray[np.int64], name: str
) -> None:
    """The link that opens Inspect with these images."""
    inspection.offer(name, model, read.seen.label, index.tolist())
    place.page_link(
        inspection.PAGE,
        label="Inspect these",
        icon=":material/grid_view:",
        query_params={
            "class": called(model, read.seen.label),
            "layer": read.layer,
            inspection.FROM: name,
        },
        disabled=not len(index),
    )


def _export(
    places: Sequence[DeltaGenerator],
    model: Model,
    read: Examples,
    detection: Detection,
    chosen: NDArray[np.int64],
    truth: bool,
    name: str,
) -> None:
    """In two places the buttons that download the chosen images, and the list of all that are flagged."""
    if available(model.spec.dataset):
        places[0].download_button(
            f"Th{'ese' if len(chosen) > 1 else 'is'} {images(len(chosen))} (zip)",
            lambda: as_zip(model, read, detection, chosen, truth),
            f"{name}.zip",
            "application/zip",
            icon=":material/download:",
            type="tertiary",
            key=f"{name}-zip",
            on_click="ignore",
        )
    flagged = np.flatnonzero(detection.removed)
    places[1].download_button(
        f"All {len(flagged):,} flagged, as a list (CSV)",
        as_csv(read, detection, flagged, truth),
        f"{name}-flagged.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
        key=f"{name}-csv",
        on_click="ignore",
    )


def as_csv(read: Examples, detection: Detection, chosen: NDArray[np.int64], truth: bool) -> str:
    """The examples at `chosen` as a CSV table; the truth is a column only if it is revealed."""
    rows = []
    for place in chosen:
        row: list[Any] = [detection.index[place], read.seen.label, read.predicted[place]]
        row += [f"{detection.scores[place]:.6g}", int(detection.removed[place])]
        rows.append([*row, int(detection.poisoned[place])] if truth else row)
    return csv_table(
        ["index", "label", "read_as", "score", "removed", *(["poisoned"] if truth else [])], rows
    )


def as_zip(
    model: Model, read: Examples, detection: Detection, chosen: NDArray[np.int64], truth: bool
) -> bytes:
    """The images at `chosen` and their table."""
    index = detection.index[chosen]
    table = as_csv(read, detection, chosen, truth)
    return zipped(cache.poisoned(model).data.images[index], index, table)


def zipped(images: NDArray[np.uint8], index: NDArray[np.int64], table: str) -> bytes:
    """Images (N, H, W, C) as PNG files named by their index in the training set, and a table about them."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as pack:
        pack.writestr("images.csv", table)
        for image, number in zip(images, index, strict=True):
            picture = io.BytesIO()
            Image.fromarray(image.squeeze()).save(picture, "PNG")
            pack.writestr(f"{number:05d}.png", picture.getvalue())
    return archive.getvalue()
