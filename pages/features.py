"""How two networks see clean, poisoned, stamped and adversarial images: their last features, laid out in a plane."""

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from pages.components import cache, cards, get_data, inspection, model_picker
from pages.components.fragments import fragment
from pages.components.plain_words import refuse
from pages.components.poison_search import selection
from pages.components.words import how_it_works
from pages.components.words.features import crowd_in_words
from pages.components.words.glossary import TERMS, linked
from pages.components.words.models import called
from pages.components.words.searching import images
from tradeoff_core import figures
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import available, evenly_spaced, to_tensor
from tradeoff_core.explanations.feature_plane import GROUPS
from tradeoff_core.findings import first_draws, results
from tradeoff_core.models.zoo import Model

MOST = 24  # images shown of a selection
LAYOUTS = {False: "principal components", True: "t-SNE (slower)"}
PAIRS = {  # of groups whose distance was measured, in words
    "clean, poisoned": "poisoned and clean training images of the target class",
    "stamped, target": "stamped test images and clean ones of the target class",
    "stamped, untouched": "the same test images with the sticker and without",
    "stamped, poisoned": "stamped test images and poisoned training images",
}

models = model_picker.two_models()
first = models[0][1]
data_set = first.spec.dataset
st.title("Where do stamped images go?")
st.markdown(
    linked(
        "Before it answers, a network turns an image into a list of numbers, its **features**. Here every image is a point: near "
        "points look alike to the network, whatever they look like to us."
    )
)
get_data.offer(data_set, training=any(model.spec.poison for _, model in models))
for letter, model in models:
    if model.spec.poison is None:
        st.caption(
            f"{letter} has no back door that we know of: its stamped images have no reason to go anywhere."
        )

pictured = cache.shown(first) is not None
left, right = st.columns(2, vertical_alignment="bottom")
tsne = pictured and left.segmented_control(
    "Lay out by",
    list(LAYOUTS),
    format_func=LAYOUTS.__getitem__,
    default=False,
    required=True,
    key="layout",
    bind="query-params",
    help="*Principal components* show the directions in which the features differ most; distances mean something. "
    "*t-SNE* keeps neighbours together and pulls groups apart; distances between groups mean nothing.",
)
three = pictured and right.toggle(
    "In three dimensions",
    key="three-features",
    bind="query-params",
    help="To turn and look at; select in two.",
)


def remember(letter: str, points: list[int]) -> None:
    """The points of a network's figure whose images are shown."""
    st.session_state[f"among-{letter}"] = tuple(points)


@fragment
def show(letter: str, model: Model, points: np.ndarray, three: bool, tsne: bool) -> None:
    """A network's figure, and the images that are selected in it."""
    crowd = cache.crowd(model, first_draws.EACH)
    draw = partial(figures.feature_plane, points, crowd.group, "t-SNE" if tsne else "component")
    key = f"features-{letter}"
    shown = (model.id, len(crowd.group), tsne)
    if st.session_state.setdefault(f"{key}-for", shown) != shown:  # other points: no selection
        st.session_state.update({f"{key}-for": shown, f"among-{letter}": ()})
    if three:
        cards.chart(draw(), f"{key}-3d", of=letter)
    else:
        selection.selectable(
            draw, key, "lasso", len(crowd.group), lambda found: remember(letter, found), letter
        )
    st.markdown(crowd_in_words(letter, model, crowd))
    chosen = np.array(st.session_state.get(f"among-{letter}", ()), dtype=np.int64)
    if not len(chosen):
        st.caption("Drag to turn it." if three else "Draw a lasso around some points to see their images.")
        return
    few = chosen[evenly_spaced(len(chosen), MOST)]
    st.markdown(
        f"### The {images(len(chosen))} you selected" + (f", {MOST} of them" if len(chosen) > MOST else "")
    )
    captions = [
        f"{GROUPS[crowd.group[place]]}: label {called(model, int(crowd.labels[place]))}, "
        f"read {called(model, int(crowd.read[place]))}"
        for place in few
    ]
    cards.pictures(to_tensor(crowd.images[few]), captions, 92, "Selected image")
    of_training = crowd.index[chosen][crowd.index[chosen] >= 0]
    if len(of_training):
        inspection.button(f"features-{letter}", model, model.spec.target_class, of_training.tolist())


if pictured:
    laid = cache.with_a_bar(
        models,
        "Laying out the features",
        lambda model, tell: cache.laid_out(model, first_draws.EACH, 3 if three else 2, bool(tsne), tell),
    )
    for one, points, side in zip(models, laid, st.columns(2, gap="large"), strict=False):
        with side:
            cards.heading(one)
            try:
                show(*one, points, three, bool(tsne))
            except TradeoffError as error:
                refuse(error)
    if not available(data_set) and any(model.spec.poison for _, model in models):
        st.caption(
            "Poisoned training images are missing here, because the training set is not on this machine."
        )

by_id = {cause.model: cause for cause in results.causes(data_set)}
measured = [(letter, by_id[model.id]) for letter, model in models if model.id in by_id]
if measured:
    st.header("How far apart are they?", help=TERMS["Silhouette"])
    table = pd.DataFrame(
        {"between": list(PAIRS.values())}
        | {
            letter: [
                "–" if (value := cause.separation[pair]) is None else f"{round(value, 2) + 0:+.2f}"
                for pair in PAIRS
            ]
            for letter, cause in measured
        }
    )
    st.table(table.set_index("between"), border="horizontal")
    cards.table_buttons(table, "separation", "How far groups of images lie apart among the features")
    told = [
        f"**{cause.separation['clean, poisoned']:.2f}** in {letter}"
        for letter, cause in measured
        if cause.separation["clean, poisoned"] is not None
    ]
    st.markdown(
        (
            f"Between poisoned and clean training images the silhouette is {' and '.join(told)}. "
            if told
            else ""
        )
        + "The numbers are means over the images: 1 is two tight groups far apart, 0 or less are groups that mix. Among all "
        "features, not in the plane, on up to 1,000 images of each kind."
    )

cards.how_it_works(how_it_works.FEATURES)
