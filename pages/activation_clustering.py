"""Activation clustering: a class's training images in two clusters, the rule's verdict, and what removing does."""

import numpy as np
import streamlit as st

from pages.components import cards, loaders, pickers, searching
from tradeoff_core import figures
from tradeoff_core.defenses.activation_clustering import SEPARATED, SMALL, Reduction, Rule
from tradeoff_core.defenses.models import Inspection, Method
from tradeoff_core.zoo import Model

REDUCTIONS = {Reduction.ICA: "independent", Reduction.PCA: "principal"}

pickers.through_the_router()
st.title("Do the poisoned images form a cluster?")
model = pickers.one_model()
st.markdown(
    f"This network ({pickers.describe(model)}) learned from {cards.poison_in_words(model)}. "
    "**Activation clustering** splits the training images of a class in two, by how the network sees them, and asks "
    "whether one of the two groups is poison."
)

columns = st.columns(5)
place = searching.class_and_layer(model, *columns[:2])
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


@searching.fragment
def inspect(model: Model, label: int, inspection: Inspection) -> None:
    """The scatter, the verdict and the images."""
    left, right = st.columns(2)
    truth = searching.truth(model, left)
    three = inspection.dimensions > 2 and right.toggle(
        "In three dimensions", key="three", bind="query-params", help="To turn and look at; select in two."
    )
    shown = (model.id, label, inspection.layer, inspection.reduction, inspection.dimensions)
    if st.session_state.setdefault("clustered_for", shown) != shown:  # other clusters: no selection
        st.session_state.update(clustered_for=shown, points=())
    finding = loaders.finding(model, label, inspection)
    detection, clusters, verdict = finding.detection, finding.clusters, finding.verdict
    assert clusters is not None
    assert verdict is not None
    small = int(clusters.cluster.sum())
    st.markdown(
        f"The {len(detection.index):,} training images labelled {cards.called(model, label)} fall into groups of "
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
            + in_words(found.value - detection.chance, max(held) - min(held), verdict.cluster)
        )
    figure = figures.cluster_scatter(clusters, detection.poisoned, truth=truth, three=three)
    if three:
        cards.plot(figure, "clusters-3d")
    else:
        searching.selectable(figure, "clusters", "lasso", remember)
    if truth:
        searching.numbers(
            detection,
            "how much nearer an image is to the smaller group's centre (if the rule removes the larger one, to "
            "that one's): with two equal halves, luck decides which that is",
        )
    chosen = np.array(st.session_state.get("points", ()), dtype=np.int64)
    if len(chosen):
        st.markdown(f"##### The {searching.images(len(chosen))} you selected")
        st.button("Back to the smaller group", type="tertiary", on_click=remember, args=([],))
    else:
        st.markdown(f"##### The smaller group, {searching.images(small)}")
        if not three:
            st.caption("Draw a lasso around some points to see their images.")
        chosen = np.flatnonzero(clusters.cluster == 1)
    read = loaders.examples(model, label, inspection.layer)
    searching.gallery(
        model, read, detection, chosen, truth, "clustering", "how much nearer it is to the smaller group"
    )
    searching.retrain_now(model, detection)


def picks(rule: Rule):
    """What recognises the measured runs of a rule."""
    return lambda entry: entry.rule == rule.value


def in_words(gain: float, apart: float, accused: int | None) -> str:
    """What the rule found, and whether the groups held more than it could know."""
    if gain > 0.5:
        return "The defense wins."
    if gain < -0.1:
        return "It accuses the wrong group."
    if accused is None and apart > 0.9:
        return "The groups **are** poison and clean, but the rule leaves both alone: nothing tells it which is which."
    if gain > 0.1:
        return "It finds some of it." if apart < 0.9 else "Told which group to take, it removes the poison."
    return "That is hardly better than guessing."


def remember(points: list[int]) -> None:
    """The points whose images are shown."""
    st.session_state["points"] = tuple(points)


if place:
    label, layer = place
    how = Inspection(Method.CLUSTERING, layer, rule=rule, reduction=reduction, dimensions=dimensions)
    inspect(model, label, how)
if place and place[0] == model.spec.target_class and model.spec.poison:
    searching.effect(model, {f"clustering, {one.value} rule": picks(one) for one in Rule})
searching.at_other_rates(model, picks(rule))

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        rf"""
The features $h(x_i)$ of all training images with one label are reduced to a few components $z_i$ and split by **k-means**
into two clusters with centres $c_0, c_1$, so that the images lie as near to their centre as possible:

$$
\min_{{c_0, c_1}} \sum_i \min_k \lVert z_i - c_k \rVert^2
$$

k-means always finds two clusters, poison or not. So a rule must decide. **Size**: poison is rarer than clean images,
so a cluster under {SMALL:.0%} of the class is suspicious. **Silhouette**: $(b - a) / \max(a, b)$, averaged over the
images, where $a$ is the mean distance to the own cluster and $b$ to the other one; two true groups score high, one
group cut in half scores low.

If exactly half of a class is poisoned, both groups are equally large and equally tight. The clusters may then be
perfect and the defense still helpless: it sees two kinds of the class, and cannot know which is
the true one. On CIFAR-10 the paper reports that the clusters themselves mix poison and clean (48% found); on our digits
they do not.

Chen et al.: *Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering*,
[SafeAI 2019](https://arxiv.org/abs/1811.03728).

"""
        + cards.CITATION
    )
