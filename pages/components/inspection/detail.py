"""What is told of one image whose detail is open, beside its scores."""

from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from pages.components import cache
from tradeoff_core.datasets import to_tensor
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.figures.pictures import drawn_attribution, png_uri
from tradeoff_core.inspection.looking import look
from tradeoff_core.inspection.table import Table
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks.inference import predict
from tradeoff_core.poisoning.triggers import Sticker

BRIGHTEST = 0.995  # the share of the pixels that are drawn below the full colour


def seen(model: Model, table: Table, place: int) -> dict[str, Any]:
    """What the network looks at in an image, the sticker test, and its loss by epoch where training kept it."""
    losses = by_epoch(model, table)
    return {
        "look": _look(model, table.label, int(table.index[place])),
        "losses": None if losses is None else losses[:, place].tolist(),
    }


def by_epoch(model: Model, table: Table) -> NDArray[np.float64] | None:
    """The loss (E, N) of the table's examples after every epoch, None where training did not keep it."""
    losses = _kept_losses(model, table.label, len(table.index))
    return losses if len(losses) else None


@st.cache_data(max_entries=16, show_spinner=False, hash_funcs=cache.OF_MODEL)
def _kept_losses(model: Model, label: int, count: int) -> NDArray[np.float64]:
    return np.array(RunFolder(model.folder).losses(label, count))


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=cache.OF_MODEL)
def _look(model: Model, label: int, index: int) -> dict[str, Any]:
    """As `look` has it of a training image, for a browser."""
    images, network = cache.poisoned(model).data.images[index : index + 1], cache.network(model)
    found = look(network, images, label)
    before = predict(network, images)[0]
    maps = torch.from_numpy(found.saliency[:, None])
    drawn = drawn_attribution(maps, to_tensor(images), float(np.quantile(found.saliency, BRIGHTEST)))
    return {
        "saliency": png_uri(drawn[0]),
        "patch": [int(found.row[0]), int(found.column[0]), found.side, found.side],
        "before": int(before.argmax()),
        "read": int(found.predicted[0]),
        "kept": [round(float(before[label]), 4), round(float(found.confidence[0]), 4)],
    }


def sticker_box(model: Model, side: int) -> list[int] | None:
    """Row, column, height and width of the sticker that poisoned images have, None for a trigger that is none."""
    trigger = model.spec.trigger
    if model.spec.poison is None or not isinstance(trigger, Sticker):
        return None
    rows, columns = (np.flatnonzero(trigger.footprint(side, side).any(axis=axis)) for axis in (1, 0))
    return [int(rows[0]), int(columns[0]), len(rows), len(columns)]
