"""Spectral signatures: the scores of a class's training images, the line, the images, and what removing does."""

from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.components import cache, cards, model_picker
from pages.components.fragments import fragment
from pages.components.poison_search import effect, gallery, newer, retraining, selection
from pages.components.words import how_it_works
from pages.components.words.glossary import linked
from pages.components.words.models import called, poison_in_words
from pages.components.words.searching import UNCENTRED, images, would_be_removed
from tradeoff_core import figures
from tradeoff_core.defenses.applied import Inspection, Method
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.findings import paper_tables
from tradeoff_core.models.zoo import Model

FEWEST, MOST = 1, 99  # percent of the class

model_picker.through_the_router()
st.title("Does the poison stand out?")
model = model_picker.one_model()


columns = st.container(key="row").columns(3)
place = selection.class_and_layer(model, *columns[:2])
scoring = columns[2].selectbox(
    "Scored as in",
    ["the method's paper", "Weng et al.'s code"],
    key="scored",
    bind="query-params",
    help="The method (Tran et al. 2018) centres the features before it projects them. The code of Weng et al. "
    "finds the direction from centred features but projects them as they are.",
)
centred = scoring == "the method's paper"


def told(model: Model) -> str:
    """What the network learned from, and what the method does."""
    return linked(
        f"This network ({model_picker.describe(model)}) learned from {poison_in_words(model)}. "
        "**Spectral signatures** score every training image of a class by how far it lies out along the direction in "
        "which the class varies most, as the network sees it, and remove the highest scores."
    )


@fragment
def inspect(model: Model, label: int, layer: str, centred: bool) -> None:
    """Everything that moves with the line."""
    read = cache.examples(model, label, layer)
    share = float(read.seen.poisoned.mean())
    usual = min(MOST, max(FEWEST, round(100 * share))) if share else 10
    shown = (model.id, label, layer, centred)
    # other scores: nothing was chosen among them yet
    if st.session_state.setdefault("scored_for", shown) != shown:
        st.session_state.update(scored_for=shown, remove=usual, bins=())
    left, right = st.container(key="controls").columns([2, 1], vertical_alignment="bottom")
    rate = left.slider(
        "Share of the class to remove",
        FEWEST,
        MOST,
        usual,
        format="%d%%",
        key="remove",
        bind="query-params",
        help="It starts at the true share of poison, as in the paper (at 10% where there is none); a defender has to "
        "guess it.",
    )
    truth = selection.truth(model, right)
    # the true share itself where the slider stands on it: it is no whole percent
    exact = share if share and round(100 * share) == rate else rate / 100
    detection = cache.finding(model, label, Inspection(Method.SPECTRAL, layer, exact, centred)).detection
    has_truth = truth and bool(detection.detection_rate.n)
    if has_truth or not truth:
        st.markdown(would_be_removed(detection, called(model, label), truth))
    if has_truth and not centred:
        st.caption(UNCENTRED)
    selected = st.session_state.get("bins", ())
    charts = st.columns([3, 2]) if has_truth else [st.container()]
    with charts[0]:
        bars = len(figures.score_bins(detection)[0]) - 1
        selection.selectable(
            partial(figures.score_histogram, detection, truth=truth, selected=selected),
            "scores",
            "select",
            bars,
            remember,
        )
    if has_truth:
        with charts[1]:
            cards.chart(figures.roc(detection), name="roc")
    st.markdown(told(model))
    if truth:
        gallery.numbers(detection, "the spectral score, wherever the line is drawn")
    chosen = chosen_images(detection, selected)
    gallery.draw(model, read, detection, chosen, truth, "spectral", "how far it lies out")
    retraining.button(model, detection)


def chosen_images(detection: Detection, selected: tuple[int, ...]) -> NDArray[np.int64]:
    """The places of the images behind the selected bars, by default of those that would be removed, under a heading."""
    if not selected:
        st.markdown(f"## The {images(int(detection.removed.sum()))} that would be removed")
        return np.flatnonzero(detection.removed)
    edges, bins = figures.score_bins(detection)
    chosen = np.flatnonzero(np.isin(bins, selected))
    st.markdown(
        f"## {images(len(chosen))} with a score from {edges[min(selected)]:.2f} to {edges[max(selected) + 1]:.2f}"
    )
    st.button("Back to those that would be removed", type="tertiary", on_click=remember, args=([],))
    return chosen


def remember(bins: list[int]) -> None:
    """The bars whose images are shown."""
    st.session_state["bins"] = tuple(bins)


if place:
    inspect(model, *place, centred)
if place and place[0] == model.spec.target_class and model.spec.poison and centred:
    effect.of_removing(
        model,
        {"spectral signatures": lambda entry: entry.method == "spectral-signatures" and bool(entry.centred)},
    )
effect.at_other_rates(
    model,
    lambda entry: entry.method == "spectral-signatures" and entry.centred is centred,
    paper_tables.detection(),
)

newer.found(model)

cards.how_it_works(how_it_works.SPECTRAL_SIGNATURES)
