"""Controls that pages share. Their values live in the address, so a page change or a reload keeps them."""

import runpy
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.components import cards, own_network
from pages.components.words.models import warnings
from tradeoff_core import datasets
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import ASSETS
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared, describe
from tradeoff_core.models.zoo import Model

ROUTER = ASSETS.parent / "app.py"

FIRST = "mnist-5k"  # the data set that a visitor meets first
DEFAULTS = {  # how the ids of the models end that a picker starts with
    "A": ("-clean-label-standard",),
    "B": ("-clean-label-pgd-0.3", "-clean-label-pgd-8-255"),
    "suspect": ("-dirty-label-standard",),
}


class PageEnds(Exception):
    """Raised by a page that has nothing more to show; unlike st.stop it lets the sidebar be finished."""


def through_the_router() -> None:
    """Run app.py in place of a page that Streamlit started on its own.

    On a fresh server Streamlit takes a folder named pages/ for its old kind of multi-page app, and runs a page
    that is opened by its address without app.py. Giving the pages other addresses than their files' names does
    not help: then a dialog says "Page not found".
    """
    if not any(Path(frame.f_code.co_filename) == ROUTER for frame, _ in traceback.walk_stack(None)):
        runpy.run_path(str(ROUTER), run_name="__main__")
        st.stop()


@contextmanager
def of_every_page() -> Iterator[None]:
    """What is drawn here belongs to app.py: what belongs to one page, Streamlit drops from the address of another."""
    context = get_script_run_ctx()
    if context is None:
        yield
        return
    with context.run_with_active_hash(context.pages_manager.main_script_hash):
        yield


def keep_only(key: str, options: Sequence[Any]) -> None:
    """Forget of a control with several values those that it no longer offers."""
    chosen = st.session_state.get(key, [])
    kept = [value for value in chosen if value in options]
    if kept != chosen:  # else a click that comes while the page is drawn would be taken back
        st.session_state[key] = kept


def chosen_from(label: str, options: list[str], key: str, default: str, **more: Any) -> str:
    """A select box whose options change with what else is chosen: a value that is none of them gives way.

    Its default does not depend on what is chosen: it is what Back returns to where the address names no value.
    """
    first = options.index(default) if default in options else 0
    if key in st.session_state and st.session_state[key] not in options:
        # set and not only forgotten: else the browser would go on showing it
        st.session_state[key] = options[first]
    chosen: str = st.selectbox(label, options, first, key=key, bind="query-params", **more)
    return chosen


def data_set() -> tuple[str, dict[str, Model]]:
    """The data set that is chosen in the sidebar, of those that the models were trained on, and its models by id."""
    through_the_router()
    every = [*(zoo.find_model(name) for name in zoo.model_ids()), *own_network.models()]
    if not every:
        raise TradeoffError(
            "assets/models is empty: get the repository anew, or train assets/results/grids/zoo.toml with sweep"
        )
    for key in ("data", "B", "suspect"):
        if f"{key}-next" in st.session_state:
            st.session_state[key] = st.session_state.pop(f"{key}-next")
    titles = {model.spec.dataset: datasets.title(model.spec.dataset) for model in every}
    with of_every_page(), st.sidebar:
        chosen = chosen_from(
            "Data set",
            sorted(titles, key=lambda name: (name != FIRST, titles[name])),
            "data",
            FIRST,
            format_func=titles.__getitem__,
            help="What the networks tell apart. *Digits* are the first 5,000 of MNIST, 28 x 28 grey pixels; *CIFAR-10* "
            "holds small colour photographs of ten kinds of things, 32 x 32; *Tiny ImageNet* 20 kinds, 64 x 64; *Imagenette* "
            "ten of ImageNet's, 128 x 128; *ImageNet* 1,000, 224 x 224.",
        )
    return chosen, {model.id: model for model in every if model.spec.dataset == chosen}


def _choose(models: dict[str, Model], label: str, key: str) -> Model:
    ids = list(models)
    with of_every_page():
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


def two_models() -> list[Compared]:
    """The models of the sidebar by letter, A and B, or A alone where the data set has a single one."""
    _, models = data_set()
    with st.sidebar:
        if len(models) == 1:
            chosen = [Compared("A", next(iter(models.values())))]
        else:
            st.caption("Two networks, side by side")
            chosen = [
                Compared("A", _choose(models, "Model A", "A")),
                Compared("B", _choose(models, "Model B", "B")),
            ]
        for letter, model in chosen:
            cards.beware(warnings(model), f"{letter}'s")
    return chosen


def keep_models() -> None:
    """Set the chosen models and the review's name anew: Streamlit forgets a control's value on a page that lacks it."""
    for key in ("data", "A", "B", "suspect", "review"):
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]


def one_model() -> Model:
    """The model whose training set is searched for poison, chosen on the page itself."""
    _, models = data_set()
    chosen = _choose(models, "Network", "suspect")
    cards.beware(warnings(chosen))
    return chosen
