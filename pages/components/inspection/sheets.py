"""Pictures as a browser takes them by the thousand: sheets of many, served as files, so that none is sent twice."""

import io

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit import runtime

from pages.components import cache
from tradeoff_core.models.zoo import Model

ACROSS = 16  # pictures in a row of a sheet, and rows
KINDS = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png"}  # by the first bytes
SMALL = 64  # pixels of a side up to which pictures are sent as they are; larger ones as JPEG


def sheet(images: NDArray[np.uint8]) -> bytes:
    """At most ACROSS * ACROSS images (N, H, W, C) side by side, row by row: a PNG, of larger ones a JPEG."""
    count, height, width, channels = images.shape
    canvas = np.zeros((ACROSS * ACROSS, height, width, channels), dtype=np.uint8)
    canvas[:count] = images
    rows = canvas.reshape(ACROSS, ACROSS, height, width, channels).swapaxes(1, 2)  # (row, H, column, W, C)
    laid = rows.reshape(ACROSS * height, ACROSS * width, channels)
    buffer = io.BytesIO()
    picture = Image.fromarray(laid[..., 0] if channels == 1 else laid)
    if width > SMALL:
        picture.save(buffer, "JPEG", quality=90)
    else:
        picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@st.cache_resource(max_entries=4, show_spinner="Laying the pictures out", hash_funcs=cache.OF_MODEL)
def sheets(model: Model, label: int, checksum: int) -> tuple[tuple[bytes, ...], int]:  # noqa: ARG001  # it is a key
    """The training examples with a label on sheets, and the side of one in pixels; `checksum` tells their pictures."""
    data = cache.poisoned(model).data
    images = data.images[np.flatnonzero(data.labels == label)]
    each = ACROSS * ACROSS
    return tuple(sheet(images[at : at + each]) for at in range(0, len(images), each)), images.shape[2]


def addresses(contents: tuple[bytes, ...], key: str) -> list[str]:
    """Where a browser finds sheets or a JSON document, for as long as the page is open; nowhere without a server."""
    if not runtime.exists():
        return ["" for _ in contents]
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    manager = runtime.get_instance().media_file_mgr
    return [
        f"/{base}" * bool(base)
        + manager.add(content, KINDS.get(content[:2], "application/json"), f"{key}-{number}")
        for number, content in enumerate(contents)
    ]
