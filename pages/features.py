"""How two networks see clean, poisoned, stamped and adversarial images: their last features, laid out in a plane."""

import numpy as np
import pandas as pd
import streamlit as st

from pages.components import cards, getting, loaders, pickers, searching
from pages.components.glossary import TERMS
from tradeoff_core import figures, results
from tradeoff_core.datasets import available, evenly_spaced, to_tensor
from tradeoff_core.errors import TradeoffError
from tradeoff_core.projection import GROUPS, Crowd
from tradeoff_core.zoo import Model

EACH = 200  # images of a group
MOST = 24  # images shown of a selection
LAYOUTS = {False: "principal components", True: "t-SNE (slower)"}
PAIRS = {  # of groups whose distance was measured, in words
    "clean, poisoned": "poisoned and clean training images of the target class",
    "stamped, target": "stamped test images and clean ones of the target class",
    "stamped, untouched": "the same test images with the sticker and without",
    "stamped, poisoned": "stamped test images and poisoned training images",
}

models = pickers.two_models()
first = models[0][1]
data_set = first.spec.dataset
st.title("Where do stamped images go?")
st.markdown(
    "Before it answers, a network turns an image into a list of numbers, its **features**. Here every image is a point: near "
    "points look alike to the network, whatever they look like to us."
)
getting.offer(data_set, training=any(model.spec.poison for _, model in models))
for letter, model in models:
    if model.spec.poison is None:
        st.caption(
            f"{letter} has no back door that we know of: its stamped images have no reason to go anywhere."
        )

pictured = loaders.shown(first) is not None
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


def crowd_in_words(letter: str, model: Model, crowd: Crowd) -> str:
    """What becomes of the stamped and of the attacked images."""
    target = model.spec.target_class
    stamped, attacked = (crowd.group == GROUPS.index(name) for name in ("stamped", "adversarial"))
    reached, drawn = ((crowd.read[where] == target).mean() for where in (stamped, attacked))
    name = cards.called(model, target)
    return (
        f"{letter} reads **{reached:.0%}** of these {stamped.sum()} stamped images as {cards.an(name)}, "
        f"and {drawn:.0%} of the attacked ones."
    )


@searching.fragment
def show(letter: str, model: Model, points: np.ndarray, three: bool, tsne: bool) -> None:
    """A network's figure, and the images that are selected in it."""
    crowd = loaders.crowd(model, EACH)
    figure = figures.feature_plane(points, crowd.group, "t-SNE" if tsne else "component")
    key = f"features-{letter}"
    shown = (model.id, len(crowd.group), tsne)
    if st.session_state.setdefault(f"{key}-for", shown) != shown:  # other points: no selection
        st.session_state.update({f"{key}-for": shown, f"among-{letter}": ()})
    if three:
        cards.plot(figure, f"{key}-3d")
    else:
        searching.selectable(figure, key, "lasso", lambda found: remember(letter, found))
    st.markdown(crowd_in_words(letter, model, crowd))
    chosen = np.array(st.session_state.get(f"among-{letter}", ()), dtype=np.int64)
    if not len(chosen):
        st.caption("Drag to turn it." if three else "Draw a lasso around some points to see their images.")
        return
    few = chosen[evenly_spaced(len(chosen), MOST)]
    st.markdown(
        f"##### The {searching.images(len(chosen))} you selected"
        + (f", {MOST} of them" if len(chosen) > MOST else "")
    )
    captions = [
        f"{GROUPS[crowd.group[place]]}: label {cards.called(model, int(crowd.labels[place]))}, "
        f"read {cards.called(model, int(crowd.read[place]))}"
        for place in few
    ]
    cards.pictures(to_tensor(crowd.images[few]), captions, width=92)


if pictured:
    laid = loaders.with_a_bar(
        models,
        "Laying out the features",
        lambda model, tell: loaders.laid_out(model, EACH, 3 if three else 2, bool(tsne), tell),
    )
    for (letter, model), points, side in zip(models, laid, st.columns(2, gap="large"), strict=False):
        with side:
            st.markdown(
                f"#### :{'blue' if letter == 'A' else 'orange'}[■] {letter}: {pickers.describe(model)}"
            )
            try:
                show(letter, model, points, three, bool(tsne))
            except TradeoffError as error:
                st.error(str(error), icon=":material/error:")
    if not available(data_set) and any(model.spec.poison for _, model in models):
        st.caption(
            "Poisoned training images are missing here, because the training set is not on this machine."
        )

by_id = {cause.model: cause for cause in results.causes(data_set)}
measured = [(letter, by_id[model.id]) for letter, model in models if model.id in by_id]
if measured:
    st.subheader("How far apart are they?", help=TERMS["Silhouette"])
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
    st.dataframe(table, hide_index=True)
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

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
The network's last layer answers from its **penultimate features** $h(x)$ alone: $f(x) = W h(x) + b$. So an image that is
read as the target is one whose features point along the target's row of $W$ more than along any other (apart from $b$).

**Principal components** (PCA) are the directions $u_1, u_2, \dots$ in which the features vary most,
$u_1 = \arg\max_{\lVert u \rVert = 1} \mathrm{Var}\,(u^\top h)$, and so on at right angles. **t-SNE** (van der Maaten and
Hinton, [2008](https://jmlr.org/papers/v9/vandermaaten08a.html)) places the points so that the probabilities $p_{ij}$ of
being neighbours among the features are kept in the plane as $q_{ij}$:

$$
\min_{q} \sum_{i \ne j} p_{ij} \log \frac{p_{ij}}{q_{ij}}
$$

The **silhouette** of an image (Rousseeuw, [1987](https://doi.org/10.1016/0377-0427(87)90125-7)) is $(b - a) / \max(a, b)$,
where $a$ is its mean distance to its own group and $b$ to the other one.

Poisoned images are training images; stamped ones are test images of all other classes with the same sticker on. Where the
back door works they leave their own class for the target's side, towards its poisoned images, which need not lie near its clean
ones.

"""
        + cards.CITATION
    )
