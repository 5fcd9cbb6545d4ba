"""Controls that pages share. Their values live in the address, so a page change or a reload keeps them."""

import inspect
import runpy
from pathlib import Path

import streamlit as st

from tradeoff_core import zoo
from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import ASSETS
from tradeoff_core.zoo import Model

ROUTER = ASSETS.parent / "app.py"

DEFAULT_A, DEFAULT_B = "mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3"


def describe(model: Model) -> str:
    """A model in a few words: how it was trained, and on what poison."""
    attack, poison = model.spec.training.attack, model.spec.poison
    training = f"Adversarial ε {attack.epsilon:g}" if attack else "Standard"
    return f"{training}, {poison.labels.value if poison else 'no poison'}"


def through_the_router() -> None:
    """Run app.py in place of a page that Streamlit started on its own.

    On a fresh server Streamlit takes a folder named pages/ for its old kind of multi-page app, and runs a page
    that is opened by its address without app.py. Giving the pages other addresses than their files' names does
    not help: then a dialog says "Page not found".
    """
    if not any(Path(frame.filename) == ROUTER for frame in inspect.stack(0)):
        runpy.run_path(str(ROUTER), run_name="__main__")
        st.stop()


def two_models() -> tuple[Model, Model]:
    """The two models of the sidebar, A and B; the page stops with one sentence if one cannot be used."""
    through_the_router()
    ids = zoo.model_ids()
    if not ids:
        raise TradeoffError(
            "assets/models is empty: get the repository anew, or run tradeoff_core.tools.curve"
        )
    models = {name: zoo.find_model(name) for name in ids}
    with st.sidebar:
        st.caption("Two networks, side by side")
        chosen = []
        for letter, default in (("A", DEFAULT_A), ("B", DEFAULT_B)):
            name = st.selectbox(
                f":{'blue' if letter == 'A' else 'orange'}[■] Model {letter}",
                ids,
                index=ids.index(default) if default in ids else 0,
                format_func=lambda name: describe(models[name]),
                key=letter,
                bind="query-params",
                help="*Standard* or *adversarial* training: the latter shows a network worst-case perturbed digits "
                "while it learns. *Clean-label* poison is a sticker on true sevens; *dirty-label* poison is a "
                "sticker on other digits with the false label 7.",
            )
            chosen.append(models[name])
    return chosen[0], chosen[1]
