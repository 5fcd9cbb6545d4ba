"""Controls that pages share. Their values live in the address, so a page change or a reload keeps them."""

import inspect
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components import own
from tradeoff_core import datasets, zoo
from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import ASSETS
from tradeoff_core.triggers import Watermark
from tradeoff_core.zoo import Model

ROUTER = ASSETS.parent / "app.py"

FIRST = "mnist-5k"  # the data set that a visitor meets first
DEFAULTS = {  # how the ids of the models end that a picker starts with
    "A": ("-clean-label-standard",),
    "B": ("-clean-label-pgd-0.3", "-clean-label-pgd-8-255"),
    "suspect": ("-dirty-label-standard",),
}


class PageEnds(Exception):
    """Raised by a page that has nothing more to show; unlike st.stop it lets the sidebar be finished."""


def describe(model: Model) -> str:
    """A model in a few words: how it was trained, and on what poison."""
    if model.trained_elsewhere:
        network, by = model.spec.network.removeprefix("torchvision-"), model.card["trained_by"]
        return (
            f"{network}, yours ({by[5:]})"
            if by.startswith("you: ")
            else f"{network}, by {by.partition(',')[0]}"
        )
    poison, words = model.spec.poison, model.spec.training_in_words
    training = words[0].upper() + words[1:]
    labels = poison.labels.value if poison else "no poison"
    yours = f", yours {model.id.rpartition('-')[2]}" if own.is_own_run(model) else ""
    return (
        f"{training}, {labels}" + (" watermark" if isinstance(model.spec.trigger, Watermark) else "") + yours
    )


def through_the_router() -> None:
    """Run app.py in place of a page that Streamlit started on its own.

    On a fresh server Streamlit takes a folder named pages/ for its old kind of multi-page app, and runs a page
    that is opened by its address without app.py. Giving the pages other addresses than their files' names does
    not help: then a dialog says "Page not found".
    """
    if not any(Path(frame.filename) == ROUTER for frame in inspect.stack(0)):
        runpy.run_path(str(ROUTER), run_name="__main__")
        st.stop()


def keep_only(key: str, options: Sequence[Any]) -> None:
    """Forget of a control with several values those that it no longer offers."""
    chosen = st.session_state.get(key, [])
    kept = [value for value in chosen if value in options]
    if kept != chosen:  # else a click that comes while the page is drawn would be taken back
        st.session_state[key] = kept


def chosen_from(label: str, options: list[str], key: str, default: str, **more: Any) -> str:
    """A select box whose options change with what else is chosen: a value that is none of them gives way."""
    first = options.index(default) if default in options else 0
    if key in st.session_state and st.session_state[key] not in options:
        # set and not only forgotten: else the browser would go on showing it
        st.session_state[key] = options[first]
    start = {} if key in st.session_state else {"index": first}
    chosen: str = st.selectbox(label, options, key=key, bind="query-params", **start, **more)
    return chosen


def data_set(place: DeltaGenerator) -> tuple[str, dict[str, Model]]:
    """The data set that is chosen in `place`, of those that the models were trained on, and its models by id."""
    through_the_router()
    every = [*(zoo.find_model(name) for name in zoo.model_ids()), *own.models()]
    if not every:
        raise TradeoffError(
            "assets/models is empty: get the repository anew, or run tradeoff_core.tools.curve"
        )
    if "data-next" in st.session_state:
        st.session_state["data"] = st.session_state.pop("data-next")
    if "B-next" in st.session_state:
        st.session_state["B"] = st.session_state.pop("B-next")
    titles = {model.spec.dataset: datasets.title(model.spec.dataset) for model in every}
    with place:
        chosen = chosen_from(
            "Data set",
            sorted(titles, key=lambda name: (name != FIRST, titles[name])),
            "data",
            FIRST,
            format_func=titles.__getitem__,
            help="What the networks tell apart. *Digits* are the first 5,000 of MNIST, 28 x 28 grey pixels; *CIFAR-10* "
            "holds small colour photographs of ten kinds of things, 32 x 32; *Tiny ImageNet* 20 kinds, 64 x 64; *ImageNet* "
            "1,000, 224 x 224.",
        )
    return chosen, {model.id: model for model in every if model.spec.dataset == chosen}


def _choose(models: dict[str, Model], label: str, key: str) -> Model:
    ids = list(models)
    name = chosen_from(
        label,
        ids,
        key,
        next((name for name in ids if name.endswith(DEFAULTS[key])), ids[0]),
        format_func=lambda name: describe(models[name]) if name in models else name,
        help="*Standard* or *adversarial* training: the latter shows a network worst-case perturbed images "
        "while it learns; *FGSM* does so in a single step, *interval bounds* against all of them at once. "
        "*Clean-label* poison is a sticker on true images of the target class; *dirty-label* poison is a sticker on other "
        "images with that class's label, which is false there. A *watermark* is a pattern of stripes over the whole image, "
        "in the sticker's place.",
    )
    return models[name]


def two_models() -> list[tuple[str, Model]]:
    """The models of the sidebar by letter, A and B, or A alone where the data set has a single one."""
    _, models = data_set(st.sidebar)
    if len(models) == 1:
        return [("A", next(iter(models.values())))]
    with st.sidebar:
        st.caption("Two networks, side by side")
        return [
            ("A", _choose(models, ":blue[■] Model A", "A")),
            ("B", _choose(models, ":orange[■] Model B", "B")),
        ]


def keep_models() -> None:
    """Set the chosen models anew: Streamlit forgets a control's value on the first page that lacks the control."""
    for key in ("data", "A", "B", "suspect"):
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


def saved_as() -> None:
    """What the camera over every figure saves; the figures read it from the session."""
    with st.sidebar:
        st.segmented_control(
            "A figure's camera saves",
            ["PNG", "SVG"],
            default="PNG",
            required=True,
            key="saved_as",
            bind="query-params",
            help="The camera appears over a figure when the mouse is on it. PNG for slides, SVG for papers.",
        )


def one_model() -> Model:
    """The model whose training set is searched for poison, chosen on the page itself."""
    left, right = st.columns([1, 2])
    _, models = data_set(left)
    with right:
        return _choose(models, "Network", "suspect")
