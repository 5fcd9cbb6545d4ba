"""Spectral signatures: the scores of a class's training images, the line, the images, and what removing does."""

import numpy as np
import streamlit as st

from pages.components import cards, loaders, pickers, searching
from tradeoff_core import figures, published
from tradeoff_core.defenses.models import Inspection, Method
from tradeoff_core.zoo import Model

FEWEST, MOST = 1, 99  # percent of the class

pickers.through_the_router()
st.title("Does the poison stand out?")
model = pickers.one_model()
st.markdown(
    f"This network ({pickers.describe(model)}) learned from {cards.poison_in_words(model)}. "
    "**Spectral signatures** score every training image of a class by how far it lies out along the direction in "
    "which the class varies most, as the network sees it, and remove the highest scores."
)


columns = st.columns(3)
place = searching.class_and_layer(model, *columns[:2])
scoring = columns[2].selectbox(
    "Scored as in",
    ["the method's paper", "Weng et al.'s code"],
    key="scored",
    bind="query-params",
    help="The method (Tran et al. 2018) centres the features before it projects them. The code of Weng et al. "
    "finds the direction from centred features but projects them as they are.",
)
centred = scoring == "the method's paper"


@searching.fragment
def inspect(model: Model, label: int, layer: str, centred: bool) -> None:
    """Everything that moves with the line."""
    read = loaders.examples(model, label, layer)
    share = float(read.seen.poisoned.mean())
    usual = min(MOST, max(FEWEST, round(100 * share))) if share else 10
    shown = (model.id, label, layer, centred)
    # other scores: nothing was chosen among them yet
    if st.session_state.setdefault("scored_for", shown) != shown:
        st.session_state.update(scored_for=shown, remove=usual, bins=())
    left, right = st.columns([2, 1], vertical_alignment="bottom")
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
    truth = searching.truth(model, right)
    # the true share itself where the slider stands on it: it is no whole percent
    exact = share if share and round(100 * share) == rate else rate / 100
    detection = loaders.finding(model, label, Inspection(Method.SPECTRAL, layer, exact, centred)).detection
    count, total = int(detection.removed.sum()), len(detection.index)
    found = detection.detection_rate
    sentence = f"**{count:,}** of the {total:,} training images labelled {cards.called(model, label)} would be removed"
    if not truth:
        st.markdown(f"{sentence}. Click a bar to see its images. Which are poisoned?")
    elif found.n:
        st.markdown(
            f"{sentence}: they hold **{found.value:.0%}** of the poison, where chance finds "
            f"**{detection.chance:.0%}**. "
            + verdict(detection.auroc)
            + (
                f" So **{1 - found.value:.0%}** of the poison would stay in the training set."
                if found.value < 1
                else " So none of it would stay."
            )
        )
    if truth and found.n and not centred:
        st.caption(
            "Scored like this the mean of the class is left in. Where poisoned and clean images lie at different distances "
            "along it, that alone can part them, in either direction. The authors report about chance with this code on "
            "CIFAR-10, at another layer: do not take it for a defense that works."
        )
    selected = st.session_state.get("bins", ())
    charts = st.columns([3, 2]) if truth and found.n else [st.container()]
    with charts[0]:
        searching.selectable(
            figures.score_histogram(detection, truth=truth, selected=selected), "scores", "select", remember
        )
    if truth and found.n:
        with charts[1]:
            cards.chart(figures.roc(detection), name="roc")
    if truth:
        searching.numbers(detection, "the spectral score, wherever the line is drawn")
    edges, bins = figures.score_bins(detection)
    chosen = np.flatnonzero(np.isin(bins, selected) if selected else detection.removed)
    if selected:
        st.markdown(
            f"##### {searching.images(len(chosen))} with a score from {edges[min(selected)]:.2f} to "
            f"{edges[max(selected) + 1]:.2f}"
        )
        st.button("Back to those that would be removed", type="tertiary", on_click=remember, args=([],))
    else:
        st.markdown(f"##### The {searching.images(count)} that would be removed")
    searching.gallery(model, read, detection, chosen, truth, "spectral", "how far it lies out")
    searching.retrain_now(model, detection)


def verdict(auroc: float) -> str:
    """What the order of the scores is worth, wherever the line lies."""
    if auroc > 0.9:
        return "The poison stands out."
    if auroc > 0.6:
        return "It stands out in part."
    return "That is hardly better than guessing." if auroc > 0.4 else "It is clean images that stand out."


def remember(bins: list[int]) -> None:
    """The bars whose images are shown."""
    st.session_state["bins"] = tuple(bins)


if place:
    inspect(model, *place, centred)
if place and place[0] == model.spec.target_class and model.spec.poison and centred:
    searching.effect(
        model,
        {"spectral signatures": lambda entry: entry.method == "spectral-signatures" and bool(entry.centred)},
    )
searching.at_other_rates(
    model,
    lambda entry: entry.method == "spectral-signatures" and entry.centred is centred,
    published.detection(),
)

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
Take the network's features $h(x_i)$ of all training images with one label, subtract their mean $\bar h$, and find the
direction $v$ in which they vary most, the top right singular vector. The **score** of an image is how far it lies
from the middle along it:

$$
s_i = \big|\,(h(x_i) - \bar h)^\top v\,\big|
$$

If a sticker is the strongest thing that tells images of the class apart, poisoned ones lie far out. If the class
varies more by other things, or if the poison is half of the class and so pulls the mean to the middle between both
halves, poisoned and clean images lie equally far from it, and the score says nothing.

Weng et al.'s code finds $v$ in the same way but leaves out the mean when it scores: $s_i = |h(x_i)^\top v|$.

**Chance**: removing $k$ of $n$ images at random finds a share $k/n$ of the poison. The paper removes as many as were
poisoned, so where half of the class is poisoned, a published detection rate of 50% is guessing.

Tran, Li, Madry: *Spectral Signatures in Backdoor Attacks*,
[NeurIPS 2018](https://arxiv.org/abs/1811.00636).

"""
        + cards.CITATION
    )
