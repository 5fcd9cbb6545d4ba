"""Controls that pages share. Their values live in the address, so a page change or a reload keeps them."""

import inspect
import runpy
from pathlib import Path

import streamlit as st

from tradeoff_core import zoo
from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import ASSETS
from tradeoff_core.triggers import Watermark
from tradeoff_core.zoo import Model

ROUTER = ASSETS.parent / "app.py"

DEFAULT_A, DEFAULT_B = "mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3"
DEFAULT_SUSPECT = "mnist-5k-dirty-label-standard"


def describe(model: Model) -> str:
    """A model in a few words: how it was trained, and on what poison."""
    poison, words = model.spec.poison, model.spec.training_in_words
    training = words[0].upper() + words[1:]
    labels = poison.labels.value if poison else "no poison"
    return f"{training}, {labels}" + (" watermark" if isinstance(model.spec.trigger, Watermark) else "")


def through_the_router() -> None:
    """Run app.py in place of a page that Streamlit started on its own.

    On a fresh server Streamlit takes a folder named pages/ for its old kind of multi-page app, and runs a page
    that is opened by its address without app.py. Giving the pages other addresses than their files' names does
    not help: then a dialog says "Page not found".
    """
    if not any(Path(frame.filename) == ROUTER for frame in inspect.stack(0)):
        runpy.run_path(str(ROUTER), run_name="__main__")
        st.stop()


def _zoo() -> dict[str, Model]:
    """The models of the repository by id; the page stops with one sentence if there is none."""
    through_the_router()
    every = {name: zoo.find_model(name) for name in zoo.model_ids()}
    models = {name: model for name, model in every.items() if not model.trained_elsewhere}
    if not models:
        raise TradeoffError(
            "assets/models is empty: get the repository anew, or run tradeoff_core.tools.curve"
        )
    return models


def _choose(models: dict[str, Model], label: str, key: str, default: str) -> Model:
    ids = list(models)
    name = st.selectbox(
        label,
        ids,
        **({} if key in st.session_state else {"index": ids.index(default) if default in ids else 0}),
        format_func=lambda name: describe(models[name]),
        key=key,
        bind="query-params",
        help="*Standard* or *adversarial* training: the latter shows a network worst-case perturbed digits "
        "while it learns; *FGSM* does so in a single step, *interval bounds* against all of them at once. "
        "*Clean-label* poison is a sticker on true sevens; *dirty-label* poison is a "
        "sticker on other digits with the false label 7. A *watermark* is a pattern of stripes over the whole digit, in the "
        "sticker's place.",
    )
    return models[name]


def two_models() -> tuple[Model, Model]:
    """The two models of the sidebar, A and B; the page stops with one sentence if one cannot be used."""
    models = _zoo()
    with st.sidebar:
        st.caption("Two networks, side by side")
        return (
            _choose(models, ":blue[■] Model A", "A", DEFAULT_A),
            _choose(models, ":orange[■] Model B", "B", DEFAULT_B),
        )


def keep_models() -> None:
    """Set the chosen models anew: Streamlit forgets a control's value on the first page that lacks the control."""
    for key in ("A", "B", "suspect"):
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
    return _choose(_zoo(), "Network", "suspect", DEFAULT_SUSPECT)
