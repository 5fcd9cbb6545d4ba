"""What is searched: the class, the layer, the truth, and a figure whose points are selected."""

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components import cache, cards, get_data, model_picker
from pages.components.words.models import class_names
from tradeoff_core.figures.plain import Figure
from tradeoff_core.findings import results
from tradeoff_core.models.zoo import Model

TRUTH_HELP = (
    "We poisoned this training set ourselves, so the truth is known. A defender does not have it: look first, "
    "then reveal it."
)


def class_and_layer(model: Model, left: DeltaGenerator, right: DeltaGenerator) -> tuple[int, str] | None:
    """Which training images are inspected, and where in the network they are compared.

    Without the training set these are the class and the layer that are shipped with the network; None, and one sentence,
    where none are.
    """
    every = names = class_names(model)
    layers, target = list(cache.network(model).layers), every[model.spec.target_class]
    if not get_data.offer(model.spec.dataset, samples=False):
        shipped = results.load_examples(model.sha256)
        if shipped is None:
            st.info(
                "Without the training images of this network there is nothing to inspect.",
                icon=":material/info:",
            )
            return None
        names, layers = [every[shipped.seen.label]], [shipped.layer]
    with left:
        name = model_picker.chosen_from(
            "Class",
            names,
            "class",
            target,
            help="Training images with this label are inspected. A defender would try them all.",
        )
    with right:
        layer = model_picker.chosen_from(
            "Layer",
            layers,
            "layer",
            layers[-1],
            help="Where in the network the images are compared. *Penultimate* is the last before the answer.",
        )
    return every.index(name), layer


def truth(model: Model, place: DeltaGenerator) -> bool:
    """Whether to reveal the truth, which is known of training sets that we poisoned ourselves."""
    if model.trained_elsewhere:
        return False
    return place.toggle("Reveal the truth", key="truth", bind="query-params", help=TRUTH_HELP)


def selectable(
    draw: Callable[..., Figure],
    key: str,
    drag: str,
    count: int,
    remember: Callable[[list[int]], None],
    of: str = "",
) -> None:
    """A figure whose points can be clicked, or dragged over: Streamlit lets one tool at a time select.

    `draw(drag=...)` draws it; `drag` is plotly's tool ("select" or "lasso"); `remember` is told the customdata of what is selected, below `count`; `of` is as of `cards.plot`.
    """
    place = st.container()
    tools = {"click": "Click", drag: {"select": "Drag over a range", "lasso": "Draw a lasso"}[drag]}
    tool = st.segmented_control(
        "Select images by",
        list(tools),
        format_func=tools.__getitem__,
        default=next(iter(tools)) if drag == "select" else drag,
        required=True,
        key=f"{key}-tool",
        bind="query-params",
    )

    def selected() -> None:
        # copied at once: plotly forgets a selection as soon as the figure changes
        remember(sorted({at for at in cards.selected(key) if type(at) is int and 0 <= at < count}))

    figure = draw(drag="pan" if tool == "click" else drag)
    with place:
        cards.chart(figure, key, of=of, on_select=selected, selection_mode=("points", "box", "lasso"))
