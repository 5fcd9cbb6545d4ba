"""Activation clustering: a class's training images in two clusters, the rule's verdict, and what removing does."""

from functools import partial

import numpy as np
import streamlit as st

from pages.components import cache, cards, model_picker
from pages.components.fragments import fragment
from pages.components.poison_search import effect, gallery, retraining, selection
from pages.components.words import how_it_works
from pages.components.words.glossary import linked
from pages.components.words.models import called, poison_in_words
from pages.components.words.searching import gain_in_words, images
from tradeoff_core import figures
from tradeoff_core.defenses.activation_clustering import SEPARATED, SMALL, Reduction, Rule
from tradeoff_core.defenses.applied import Inspection, Method
from tradeoff_core.models.zoo import Model

REDUCTIONS = {Reduction.ICA: "independent", Reduction.PCA: "principal"}

model_picker.through_the_router()
st.title("Do the poisoned images form a cluster?")
model = model_picker.one_model()

columns = st.container(key="row").columns(5)
place = selection.class_and_layer(model, *columns[:2])
reduction = columns[2].selectbox(
    "Components",
    list(REDUCTIONS),
    format_func=REDUCTIONS.__getitem__,
    key="reduction",
    bind="query-params",
    help="How the features are reduced before clustering. *Principal* ones (PCA) carry the most variance, "
    "*independent* ones (FastICA, the paper's choice) tell as little as possible about each other.",
)
dimensions = columns[3].slider(
    "Dimensions", 2, 10, key="dimensions", bind="query-params", help="How many components."
)
rule = columns[4].selectbox(
    "Rule",
    list(Rule),
    key="rule",
    bind="query-params",
    help=f"Which cluster is poison? *Size*: one that holds less than {SMALL:.0%}. *Silhouette*: the smaller one, if the "
    f"two are well apart ({SEPARATED:g} or more). Both are the method's own and are told nothing. *Oracle*: the one that "
    "holds most poison, which the authors of the trade-off paper take because they know it; here for comparison.",
)


def told(model: Model) -> str:
    """What the network learned from, and what the method does."""
    return linked(
        f"This network ({model_picker.describe(model)}) learned from {poison_in_words(model)}. "
        "**Activation clustering** splits the training images of a class in two, by how the network sees them, and asks "
        "whether one of the two groups is poison."
    )


@fragment
def inspect(model: Model, label: int, inspection: Inspection) -> None:
    """The scatter, the verdict and the images."""
    left, right = st.container(key="controls").columns(2)
    truth = selection.truth(model, left)
    three = inspection.dimensions > 2 and right.toggle(
        "In three dimensions", key="three", bind="query-params", help="To turn and look at; select in two."
    )
    shown = (model.id, label, inspection.layer, inspection.reduction, inspection.dimensions)
    if st.session_state.setdefault("clustered_for", shown) != shown:  # other clusters: no selection
        st.session_state.update(clustered_for=shown, points=())
    finding = cache.finding(model, label, inspection)
    detection, clusters, verdict = finding.detection, finding.clusters, finding.verdict
    assert clusters is not None
    assert verdict is not None
    small = int(clusters.cluster.sum())
    st.markdown(
        f"The {len(detection.index):,} training images labelled {called(model, label)} fall into groups of "
        f"**{len(detection.index) - small:,}** and **{small:,}**. The {inspection.rule} rule: {verdict.reason}."
    )
    if truth and detection.poisoned.any():
        found, wrong = detection.detection_rate, detection.false_positive_rate
        equal = 2 * small == len(detection.index)
        held = [float(detection.poisoned[clusters.cluster == number].mean()) for number in (0, 1)]
        st.markdown(
            f"{'One' if equal else 'The larger'} group is **{held[0]:.0%}** poison, the {'other' if equal else 'smaller'} "
            f"**{held[1]:.0%}**. The rule removes "
            f"**{found.value:.0%}** of the poison and **{wrong.value:.0%}** of the clean images. "
            + gain_in_words(found.value - detection.chance, max(held) - min(held), verdict.cluster)
        )
    draw = partial(figures.cluster_scatter, clusters, detection.poisoned, truth=truth, three=three)
    if three:
        cards.chart(draw(), "clusters-3d")
    else:
        selection.selectable(draw, "clusters", "lasso", len(detection.index), remember)
    st.markdown(told(model))
    if truth:
        gallery.numbers(
            detection,
            "how much nearer an image is to the smaller group's centre (if the rule removes the larger one, to "
            "that one's): with two equal halves, luck decides which that is",
        )
    chosen = np.array(st.session_state.get("points", ()), dtype=np.int64)
    if len(chosen):
        st.markdown(f"## The {images(len(chosen))} you selected")
        st.button("Back to the smaller group", type="tertiary", on_click=remember, args=([],))
    else:
        st.markdown(f"## The smaller group, {images(small)}")
        if not three:
            st.caption("Draw a lasso around some points to see their images.")
        chosen = np.flatnonzero(clusters.cluster == 1)
    read = cache.examples(model, label, inspection.layer)
    gallery.draw(
        model, read, detection, chosen, truth, "clustering", "how much nearer it is to the smaller group"
    )
    retraining.button(model, detection)


def picks(rule: Rule):
    """What recognises the measured runs of a rule."""
    return lambda entry: entry.rule == rule.value


def remember(points: list[int]) -> None:
    """The points whose images are shown."""
    st.session_state["points"] = tuple(points)


if place:
    label, layer = place
    how = Inspection(Method.CLUSTERING, layer, rule=rule, reduction=reduction, dimensions=dimensions)
    inspect(model, label, how)
if place and place[0] == model.spec.target_class and model.spec.poison:
    effect.of_removing(model, {f"clustering, {one.value} rule": picks(one) for one in Rule})
effect.at_other_rates(model, picks(rule))

cards.how_it_works(how_it_works.ACTIVATION_CLUSTERING)
