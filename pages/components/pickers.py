"""Controls that pages share. Their values live in the address, so a page change or a reload keeps them."""

import streamlit as st

from tradeoff_core import zoo
from tradeoff_core.zoo import Model

DEFAULT_A, DEFAULT_B = "mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3"


def describe(model: Model) -> str:
    """A model in a few words: how it was trained, and on what poison."""
    attack, poison = model.spec.training.attack, model.spec.poison
    training = f"Adversarial ε {attack.epsilon:g}" if attack else "Standard"
    return f"{training}, {poison.labels.value if poison else 'no poison'}"


def short_name(model: Model) -> str:
    """A model's training in two or three words, for titles."""
    attack = model.spec.training.attack
    return f"adversarially trained, ε {attack.epsilon:g}" if attack else "standard"


def two_models() -> tuple[Model, Model]:
    """The two models of the sidebar, A and B; the page stops with one sentence if one cannot be used."""
    ids = zoo.model_ids()
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
