"""Why: what two networks look at in a clean, a stamped and an attacked image, and whether that explains the finding."""

import numpy as np
import streamlit as st
from torch import tensor

from pages.components import cache, cards, get_data, model_picker
from pages.components.plain_words import refuse
from pages.components.words import how_it_works, methods
from pages.components.words.changes import LEARNED
from pages.components.words.glossary import TERMS, linked
from pages.components.words.models import called, class_names, kind_of_trigger
from tradeoff_core import datasets, figures
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import to_uint8
from tradeoff_core.explanations.attribution import Method, share_within, why_unsupported
from tradeoff_core.explanations.sticker_share import MEASURED_METHODS
from tradeoff_core.figures import pictures
from tradeoff_core.findings import results
from tradeoff_core.models.compared import Compared
from tradeoff_core.poisoning.triggers import Sticker

NAMES = {
    "target": "the back door's target",
    "predicted": "what the network says",
    "true": "the true class",
}
WIDTH = 112  # of a picture on the page: three of them fit beside three
CLIP = 3  # standard deviations beyond which colours are the same, as in the paper's figure

models = model_picker.two_models()
first = models[0][1]
data_set = first.spec.dataset
st.title("What do the networks look at?")
st.markdown(
    "The pixels that speak for a class are coloured: in a clean image, with a sticker on, and under attack."
)
unlearned = [
    letter
    for letter, model in models
    if model.spec.poison and model.backdoor_success_rate.n and model.backdoor_success_rate.value < LEARNED
]
if len(unlearned) == len(models):
    st.markdown(f"{' and '.join(unlearned)} did not learn their sticker: do not expect them to look at it.")
get_data.offer(data_set)
for letter, model in models:
    if model.spec.poison is None:
        st.caption(
            f"{letter} has no back door that we know of: for it the sticker and its target, "
            f"{called(model, model.spec.target_class)}, are a comparison only."
        )

columns = st.container(key="controls").columns([2, 2, 1, 2])
method = columns[0].selectbox(
    "Method",
    list(Method),
    format_func=lambda name: methods.METHODS[name].title,
    key="method",
    bind="query-params",
    help="How it is computed which pixels speak for a class. They disagree: none of them is the truth.",
)
which, number, opacity, outline = "target", 1, 100, True
pictured = cache.shown(first) is not None
if pictured:
    which = columns[1].selectbox(
        "Pixels that speak for",
        list(cache.WHICH),
        format_func=NAMES.__getitem__,
        key="which",
        bind="query-params",
        help="The class that is explained. *Target* is the class that the attacker wants stamped images to be read as.",
    )
    number = columns[2].number_input(
        "Image", 1, 50, key="image", bind="query-params", help="Counts through the test images."
    )
    opacity = columns[3].slider(
        "Colours over the image",
        0,
        100,
        100,
        5,
        format="%d%%",
        key="opacity-of-map",
        bind="query-params",
        help="How strongly the colours cover the image under them. 100%: the colours alone.",
    )
    outline = st.toggle("Outline the sticker", True, key="outline", bind="query-params")


def three_pictures(one: Compared, place: int) -> list[float]:
    """A model's three images and, under each, what speaks for the class; returns the shares on the sticker."""
    cards.heading(one)
    model = one.model
    images, label, read = cache.three_images(model, place)
    trigger = model.spec.trigger
    footprint = trigger.footprint(*images.shape[2:]) if isinstance(trigger, Sticker) else None
    titles = ("Clean", f"With the {kind_of_trigger(model)} on", f"Attacked ({model.spec.evaluation})")
    verdicts = cards.verdicts(model, read, tensor([label] * 3))
    rows = [
        (to_uint8(images), [f"**{title}**: {said}" for title, said in zip(titles, verdicts, strict=True)])
    ]
    reason = why_unsupported(cache.network(model), method)
    shares: list[float] = []
    if reason is None:
        maps, classes = cache.attributions(model, place, method, which)
        published = method is Method.INPUT_GRADIENT and images.shape[1] > 1
        limit = CLIP * float((maps if published else maps.sum(1)).std())
        above = maps - maps.min() if method in methods.WITHOUT_CLASS else maps
        drawn = pictures.drawn_attribution(above, images, limit, opacity / 100, as_published=published)
        sign = "" if method in methods.WITHOUT_SIGN else " or against"
        captions = [
            "Taken in" if method in methods.WITHOUT_CLASS else f"For{sign} {called(model, label)}"
            for label in classes
        ]
        if footprint is not None:
            shares = share_within(maps, footprint).tolist()
            captions = [
                f"{caption}: {share:.0%} on the sticker"
                for caption, share in zip(captions, shares, strict=True)
            ]
        rows.append((drawn, captions))
    for pixels, captions in rows:
        shown = pictures.as_uris(pixels, WIDTH, footprint if outline else None)
        cards.shown(shown, captions, WIDTH, "Image")
    if reason:
        st.info(f"{reason[0].upper()}{reason[1:]}. Choose another method for it.", icon=":material/info:")
    return shares


if pictured:
    place = cache.not_of_the_target(first, number - 1)
    found = {}
    for one, side in zip(models, st.columns(2, gap="large"), strict=False):
        with side:
            try:
                found[one.letter] = three_pictures(one, place)
            except TradeoffError as error:
                refuse(error)
    told = [
        f"**{shares[1]:.0%}** in {letter}"
        for letter, shares in found.items()
        if shares and not np.isnan(shares[1])
    ]
    if told:
        sticker = next(model.spec.trigger for _, model in models if isinstance(model.spec.trigger, Sticker))
        area = float(sticker.footprint(*cache.image_shape(first)[1:]).mean())
        signed = "" if method in methods.WITHOUT_SIGN else "or against "
        what = "is taken in" if method in methods.WITHOUT_CLASS else f"speaks for {signed}{NAMES[which]}"
        st.markdown(
            f"Of all that {what}, {' and '.join(told)} lies on the sticker once it is on. It covers {area:.1%} of the image."
        )
    if method is Method.INPUT_GRADIENT and cache.image_shape(first)[0] > 1:
        colours = (
            "Drawn as in the paper: red, green and blue each by themselves, brighter for the class and darker against it. Grey is "
            "no effect; a tint says which of the three it comes from."
        )
    elif method in methods.WITHOUT_CLASS:
        colours = "The more orange, the more of a patch is taken in, whatever the class; white is the patch of which least is."
    elif method in methods.WITHOUT_SIGN:
        colours = "The more orange, the more a place speaks for the class."
    else:
        colours = "Orange speaks for the class, blue against it, white does neither."
    st.caption(
        f"{colours} One scale for a network's three pictures; what is beyond {CLIP} of their "
        "standard deviations has the strongest colour."
    )

explained = methods.METHODS[method]
st.caption(
    linked(f"**{explained.title}**") + f" shows {explained.shows}. It does not show {explained.hides}."
)
st.markdown(
    "Why look? The paper explains the finding so: a network that learned to resist attackers has only few, large features left "
    "to lean on, and a sticker is one."
)

every = results.causes(data_set)
by_id = {cause.model: cause for cause in every}
chosen = [(one, by_id[one.model.id]) for one in models if one.model.id in by_id]
st.header("Does that hold beyond one picture?")
if not every:
    st.info(
        f"Nothing of this was measured on the networks for {datasets.title(data_set)} yet: choose another data set.",
        icon=":material/info:",
    )

on_images = [(one.name, cause) for one, cause in chosen]
lettered = [(one.letter, cause) for one, cause in chosen]
with_sticker = [(one, cause) for one, cause in chosen if cause.shares]
by = (
    method if method in MEASURED_METHODS else Method.INPUT_GRADIENT
)  # every method on every image would take days
if every:
    told = f"Measured on every test image: {methods.listed(MEASURED_METHODS)}, for the back door's target."
    if by is method and which == "target":
        st.caption(told)
    else:
        st.info(f"{told} From here on you see **{methods.METHODS[by].title}**.", icon=":material/info:")
left, right = st.columns(2, gap="large")
if with_sticker:
    with left:
        st.subheader("How much is on the sticker?", help=TERMS["Attribution"])
        cards.chart(
            figures.share_bars([(one.name, cause) for one, cause in with_sticker], by),
            name="share-on-sticker",
        )
        means = [(one.letter, cause.shares[by][1]) for one, cause in with_sticker]
        st.markdown(
            f"On average over the {with_sticker[0][1].n:,} test images that are not of the target class, "
            + " and ".join(f"**{mean.value:.0%}** in {letter}" for letter, mean in means)
            + " of what speaks for or against the target lies on the sticker's pixels."
        )
elif every and on_images:
    left.info(
        "Their triggers cover the whole image, so there is no share to measure.", icon=":material/info:"
    )
curve = methods.along_epsilon(every)
if len(curve) > 1:
    with right:
        st.subheader("Against the training ε", help=TERMS["ε (epsilon)"])
        cards.chart(figures.share_by_epsilon(curve, by), name="share-by-epsilon")
        ends = [cause.shares[by][1].value for cause in (curve[0], curve[-1])]
        st.markdown(
            f"From standard training to the largest training ε the share goes from **{ends[0]:.0%}** to **{ends[1]:.0%}**, "
            f"backdoor success from **{curve[0].success.value:.0%}** to **{curve[-1].success.value:.0%}** (seed 0)."
        )


def pick() -> None:
    """Make the clicked network model B."""
    name = cards.clicked("every-network")
    if name in by_id:
        st.session_state["B"] = name


stickers = [cause for cause in every if cause.shares]
if len(stickers) > 2:
    st.subheader("Over all networks", help=TERMS["Rank correlation"])
    zoo_names = {model.id: model_picker.describe(model) for model in methods.zoo_of(data_set)}
    cards.chart(
        figures.share_against_success(
            [(zoo_names[cause.model], cause) for cause in stickers],
            by,
            {letter: model.id for letter, model in models},
        ),
        name="every-network",
        on_select=pick,
        selection_mode="points",
    )
    st.caption("Click a point to make its network model B.")
    st.markdown(methods.reading(stickers, by))

if on_images:
    target = called(first, first.spec.target_class)
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("While the sticker fades in", help=TERMS["Logit"])
        cards.chart(figures.fading_in(on_images, target), name="fading-in")
        st.markdown(methods.crossing(lettered, target))
    with right:
        st.subheader("Where adversarial examples end", help=TERMS["Adversarial example"])
        cards.chart(figures.landing(on_images, class_names(first), first.spec.target_class), name="landing")
        st.markdown(methods.drawn_to(lettered, target, by_id))

cards.how_it_works(how_it_works.SALIENCY)
