"""A grid of training images to decide over, by keys, mouse or finger; only the rows in view are drawn.

A mark is drawn in the browser at once, and sent to the server, which says what it saved.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.components import cache
from pages.components.inspection import detail, further, keeping, sheets
from pages.components.inspection.further import IMPORTED, OVER_EPOCHS
from pages.components.inspection.keeping import Keeper
from pages.components.words import inspecting as words
from pages.components.words.models import called, class_names
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import read_only
from tradeoff_core.defenses.finding import LATER
from tradeoff_core.inspection.neighbours import nearest
from tradeoff_core.inspection.review import standing
from tradeoff_core.inspection.table import Score, Table, ranks
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks.inference import Floats

KEY, IN_ADDRESS, FROM, FIRST = "inspection", "view", "from", Score.CLUSTER
PAGE = "pages/inspect_examples.py"
APART = "apart"  # how far the two scores of the plot disagree
NEAR, ALIKE = 10, 60  # neighbours of one image, and images like some
SCRIPTS = ("parts.js", "detail.js", "plot.js", "choices.js", "grid.js")


def _text(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


grid = st.components.v2.component(
    "inspection", html=_text("grid.html"), css=_text("grid.css"), js="\n".join(map(_text, SCRIPTS))
)


def show(
    model: Model,
    table: Table,
    kept: Keeper,
    name: str,
    truth: bool,
    beside: Mapping[str, Floats] | None = None,
) -> None:
    """The grid of the table's examples with the marks of a review; `beside` are columns (N,) that not every table has, by name."""
    key = f"{model.sha256[:16]}-{table.label}-{table.layer}-{name}"
    stands = standing(kept.decisions())
    contents, side = sheets.sheets(model, table.label, table.checksum)
    problem, hand = st.session_state.get("inspection-said", {}).get(key, ("", ""))
    near, like = _neighbours(model, table)
    view = _view_in_address(table)
    grid(
        key=KEY,
        data={
            "key": key,
            "pictures": {
                "sheets": sheets.addresses(contents, f"sheet-{key}"),
                "across": sheets.ACROSS,
                "each": sheets.ACROSS * sheets.ACROSS,
                "side": side,
            },
            "table": sheets.addresses(
                (_written(model, table.label, table.layer, table.checksum),), f"table-{key}"
            )[0],
            "label": called(model, table.label),
            "others": _others(model, table, beside or {}),
            "marks": keeping.as_letters(table, stands),
            "tags": {
                name: np.flatnonzero(np.isin(table.index, [*those])).tolist()
                for name, those in stands.tags.items()
            },
            "views": stands.views,
            "hand": hand,
            "saved": stands.told.get(hand, 0),
            "problem": problem,
            "kept": words.kept(read_only()),
            "retrain": not read_only(),
            "near": near,
            "like": like,
            "selection": _selection(model, table),
            "poisoned": "".join("1" if one else "0" for one in table.poisoned) if truth else None,
            "trigger": detail.sticker_box(model, side) if truth else None,
            "view": view,
        },
        on_steps_change=partial(_save, kept, table, key),
        on_near_change=_nothing,
        on_like_change=_nothing,
        on_view_change=partial(_remember_view, table),
    )


def _nothing() -> None:
    """The run that follows answers."""


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=cache.OF_MODEL)
def _written(model: Model, label: int, layer: str, checksum: int) -> bytes:  # noqa: ARG001  # it tells the pictures
    """What stays the same whatever is decided, as a file that the browser fetches once: else every mark would wait for it."""
    table = cache.table(model, label, layer)
    document = {
        "index": table.index.tolist(),
        "predicted": table.predicted.tolist(),
        "classes": class_names(model),
        "scores": [_column(table, score) for score in table.columns],
    }
    return json.dumps(document, allow_nan=False).encode()


def _column(table: Table, score: Score) -> dict[str, Any]:
    """A score as the browser sorts and shows it."""
    values = table.columns[score]
    if score is Score.NEIGHBOUR:
        values = values.astype(np.int64)
    return {
        "name": score.value,
        "title": words.TITLES[score],
        "values": values.round(6).tolist(),
        "rank": np.floor(100 * table.percentiles(score)).astype(int).tolist(),
    }


def _others(model: Model, table: Table, beside: Mapping[str, Floats]) -> list[dict[str, Any]]:
    """The scores that not every table has: the mean loss over the epochs where training kept it, and those that are given."""
    losses = detail.by_epoch(model, table)
    over_epochs = {} if losses is None else {OVER_EPOCHS: losses.mean(axis=0)}
    return [
        {
            "name": name,
            "title": further.title_of(name),
            "values": values.tolist(),
            "rank": np.floor(100 * ranks(values)).astype(int).tolist(),
        }
        for name, values in (over_epochs | {**beside}).items()
    ]


def _sent(what: str) -> Any:
    """What the browser says of itself, which may be anything."""
    state = st.session_state.get(KEY)
    return state.get(what) if isinstance(state, Mapping) else None


def _save(kept: Keeper, table: Table, key: str) -> None:
    """Keep what the browser sent, or remember why that failed: it sends the same again with the next step."""
    sent = _sent("steps")
    said = st.session_state.setdefault("inspection-said", {})
    hand = sent.get("hand") if isinstance(sent, dict) else None
    hand = hand if isinstance(hand, str) else ""
    try:
        keeping.save(kept, table, sent, key)
        said[key] = ("", hand)
    except TradeoffError as error:
        said[key] = (str(error), hand)


def _neighbours(model: Model, table: Table) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Of the image whose detail is open its nearest and what is seen in it, and those like what was asked for."""
    features = cache.examples(model, table.label, table.layer).seen.features
    count, near, like = len(features), _sent("near"), _sent("like")
    one = many = None
    if type(near) is int and 0 <= near < count:
        one = {"of": near, "places": nearest(features, [near], NEAR).tolist()}
        one |= detail.seen(model, table, near)
    if isinstance(like, Mapping) and isinstance(like.get("places"), list):
        of = [place for place in like["places"] if type(place) is int and 0 <= place < count]
        if of:
            shown = {"of": of, "near": nearest(features, of, ALIKE).tolist()}
            many = shown | {"asked": str(like.get("asked"))[:80], "name": str(like.get("name"))[:80]}
    return one, many


def offer(name: str, model: Model, label: int, index: list[int]) -> None:
    """Keep the training examples that a gallery shows: the page opens with them where its address names the gallery."""
    offered = st.session_state.setdefault("inspection-offered", {})
    offered[name] = (model.sha256, label, index)


def button(name: str, model: Model, label: int, index: list[int]) -> None:
    """The button by which another page, whose network is chosen otherwise, opens Inspect with these training examples."""
    offer(name, model, label, index)
    if st.button(
        words.inspect_these(len(index)), icon=":material/grid_view:", type="tertiary", key=f"{name}-inspect"
    ):
        # the class is not in the address: Streamlit refuses what it thinks a control is bound to
        chosen = {"data-next": model.spec.dataset, "suspect-next": model.id, "class": called(model, label)}
        st.session_state.update(chosen)
        st.switch_page(PAGE, query_params={FROM: name})


def _selection(model: Model, table: Table) -> dict[str, Any] | None:
    """What the gallery that the address names showed, as places."""
    name = st.query_params.get(FROM)
    weights, label, index = st.session_state.get("inspection-offered", {}).get(name, ("", 0, []))
    if (weights, label) != (model.sha256, table.label):
        return None
    places = np.flatnonzero(np.isin(table.index, index)).tolist()
    return {"places": places, "name": words.selected(name, len(places))} if places else None


def _names(table: Table) -> list[str]:
    further_ones = (finder.value for finder in LATER)
    return [*(score.value for score in table.columns), APART, "order", OVER_EPOCHS, IMPORTED, *further_ones]


def _view_in_address(table: Table) -> dict[str, Any]:
    """How the address says that the grid is sorted, and whether it does."""
    sort, _, way = st.query_params.get(IN_ADDRESS, "").partition(".")
    known = sort in _names(table)
    return {"sort": sort if known else FIRST.value, "down": not (known and way == "up"), "named": known}


def _remember_view(table: Table) -> None:
    view = _sent("view")
    if isinstance(view, Mapping) and view.get("sort") in _names(table):
        st.query_params[IN_ADDRESS] = f"{view['sort']}.{'down' if view.get('down') else 'up'}"
