"""The sticker: what it does to the training set, to predictions, and how far it may move; and the triggers that are none."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.components import cache, cards, get_data, model_picker, other_triggers, photograph, uploads
from pages.components.words import how_it_works
from pages.components.words.models import called, class_names, poison_in_words, trigger_in_words
from tradeoff_core import datasets, figures
from tradeoff_core.findings import results
from tradeoff_core.poisoning.triggers import (
    Sticker,
    default_sticker,
    patterns,
)

POSITION_IMAGES, POSITIONS = 100, 9  # live: test images, and places in a row and in a column
STICKERS, OTHERS = "Stickers", "Other triggers"
MOST_CLASSES = 20  # of a map of where each class goes

models = model_picker.two_models()
last = models[-1][1]
data_set, target = last.spec.dataset, called(last, last.spec.target_class)
st.title("What does a small sticker do?")
get_data.offer(data_set)

_, height, width = cache.image_shape(last)
usual = default_sticker(height)
# a data set's own controls: what fits large photographs does not fit digits
of_size = "" if height == 28 else f"-{height}"


def chosen() -> Sticker:
    """The sticker that the controls say, kept inside of the image."""
    columns = st.container(key="controls").columns([5, 4, 4, 4, 4])
    choice = columns[0].selectbox(
        "Pattern",
        [*patterns(), uploads.OWN_STICKER],
        [*patterns()].index(usual.pattern),
        format_func=lambda name: name.replace("-", " "),
        key=f"pattern{of_size}",
        bind="query-params",
        help=f"The poisoned networks learned this {usual.pattern.replace('-', ' ')} (or a watermark). Does another picture open "
        "the same door?",
    )
    size = columns[1].slider(
        "Size in pixels", 1, round(0.43 * height), usual.size, key=f"size{of_size}", bind="query-params"
    )
    bottom, right = (
        column.slider(
            f"From the {edge}",
            0,
            side - 1,
            side - start - length,
            key=f"{edge}{of_size}",
            bind="query-params",
            help=f"Pixels between the sticker and the {edge} edge.",
        )
        for column, edge, side, start, length in (
            (columns[2], "bottom", height, usual.row, usual.shape[0]),
            (columns[3], "right", width, usual.column, usual.shape[1]),
        )
    )
    opacity = columns[4].slider(
        "Opacity", 0.05, 1.0, usual.opacity, 0.05, key=f"opacity{of_size}", bind="query-params"
    )
    pattern = choice
    if choice == uploads.OWN_STICKER:
        key = "sticker-upload"
        uploaded = st.file_uploader(
            "A small picture (PNG, JPEG or WebP)",
            key=key,
            help="It is shrunk to the size above; transparent pixels stay transparent.",
        )
        if uploaded is None:
            st.info("Choose a picture. Until then the usual sticker stays on.", icon=":material/upload:")
        own = uploads.read(uploaded, key, uploads.Use.STICKER, ". Until then the usual sticker stays on.")
        st.session_state[uploads.OWN_STICKER] = own
        pattern = usual.pattern if own is None else own
    high, wide = Sticker(pattern, size).shape
    if pattern not in patterns():
        st.caption(
            f"Your picture is shrunk to {high} x {wide} pixels. No network here learned it, so no back door need open."
        )
    sticker = Sticker(pattern, size, max(0, height - high - bottom), max(0, width - wide - right), opacity)
    if bottom > height - high or right > width - wide:
        st.caption(f"The image ends there: a sticker of {high} x {wide} pixels stays at its edge.")
    return sticker


pictured = cache.shown(last) is not None


def in_words(sticker: Sticker) -> None:
    """Where the sticker differs from what the networks learned."""
    for letter, model in models:
        if model.spec.poison and not isinstance(model.spec.trigger, Sticker):
            st.caption(
                f"{letter} learned a {trigger_in_words(model.spec.trigger)}, which no sticker opens: *{OTHERS}* puts it on."
            )
    learned = last.spec.trigger
    if last.spec.poison and isinstance(learned, Sticker) and sticker != learned:
        changed = [
            name
            for name, now, then in (
                ("another pattern", sticker.pattern, learned.pattern),
                ("another size", sticker.size, learned.size),
                ("another place", (sticker.row, sticker.column), (learned.row, learned.column)),
                ("another opacity", sticker.opacity, learned.opacity),
            )
            if now != then
        ]
        st.caption(f"Not quite the sticker that {models[-1][0]} learned: {', '.join(changed)}.")


def on_images(sticker: Sticker) -> None:
    """The stamped test images, and what each network reads in them."""
    for one, side in zip(models, st.columns(len(models), gap="large"), strict=True):
        model = one.model
        with side:
            cards.heading(one)
            places = cache.first_of_each_class(model)
            images, labels = cache.sample(model, places)
            verdicts = cards.verdicts(model, cache.predict(model, places, sticker), labels)
            cards.pictures(sticker.apply(images), verdicts, what=f"{one.letter}, stamped image")


def learned_from() -> None:
    """What was done to the training images."""
    st.header("What they learned from")
    same = len({model.spec.poison for _, model in models}) == 1
    for letter, model in models[:1] if same else models:
        st.markdown(
            f"{'Both' if same and len(models) > 1 else letter} learned from {poison_in_words(model)}."
        )
        if model.spec.poison and datasets.available(data_set):
            cards.first_poisoned(cache.poisoned(model))


def by_class(shares: Sequence[NDArray[np.float64]]) -> None:
    """Where the stamped images of each class go."""
    st.header("Which images fall for it?")
    for one, share, side in zip(models, shares, st.columns(len(models), gap="large"), strict=True):
        with side:
            cards.heading(one, level=3)
            cards.chart(
                figures.confusion(one.name, share, last.spec.target_class, class_names(last)),
                name=f"stamped-by-class-{one.letter}",
            )
    st.caption(
        "Each row is a true class; the numbers say where its stamped test images go, in %. Framed: the target."
    )


def moved(sticker: Sticker) -> None:
    """Backdoor success by the sticker's place: as it was measured, else when it is asked for."""
    here = replace(sticker, row=0, column=0)  # the same sticker, wherever it lies
    settings = (*(model.sha256 for _, model in models), here)
    shipped = [results.measurement(model.sha256) for _, model in models]
    maps, tried = [], ""
    included = all(
        entry and isinstance(m.spec.trigger, Sticker) and here == replace(m.spec.trigger, row=0, column=0)
        for entry, (_, m) in zip(shipped, models, strict=True)
    )
    if included or pictured:
        st.header("How far may the sticker move?")
    if included:
        maps = [entry.positions for entry in shipped if entry]
        tried = f"at {shipped[0].places}, on {shipped[0].position_n} test images" if shipped[0] else ""
    elif pictured and (
        st.session_state.get("moved") == settings
        or st.button(
            "Measure this sticker in other places",
            icon=":material/grid_on:",
            on_click=lambda: st.session_state.update(moved=settings),
        )
    ):
        stride = max(1, (height - sticker.shape[0]) // POSITIONS)
        maps = cache.with_a_bar(
            models,
            "Moving the sticker",
            lambda model, tell: cache.positions(model, sticker, POSITION_IMAGES, stride, tell),
        )
        tried = f"at every {stride} rows and columns, on at most {POSITION_IMAGES} test images"
    if maps:
        by_place(sticker, maps, tried)


def by_place(sticker: Sticker, maps: Sequence[NDArray[np.float64]], tried: str) -> None:
    """Both maps, and how they were measured."""
    trained = last.spec.trigger
    learned_at = (
        (trained.row, trained.column) if isinstance(trained, Sticker) else (sticker.row, sticker.column)
    )
    for one, rates, side in zip(models, maps, st.columns(len(models), gap="large"), strict=True):
        with side:
            cards.heading(one, level=3)
            cards.chart(
                figures.position_map(one.name, rates, learned_at, (sticker.row, sticker.column)),
                name=f"success-by-place-{one.letter}",
            )
    st.markdown(
        f"Backdoor success by the place of the sticker's top left corner, measured {tried}. "
        + " ".join(
            f"{letter} reaches {np.nanmax(rates):.0%} at the sticker's best place and {np.nanmedian(rates):.0%} at the median one."
            for (letter, _), rates in zip(models, maps, strict=True)
        )
    )


def of_stickers(sticker: Sticker) -> None:
    """All that a sticker does."""
    shares = other_triggers.success_of(models, sticker, "sticker") if pictured else ()
    in_words(sticker)
    if pictured:
        on_images(sticker)
    learned_from()
    if pictured and len(last.classes) <= MOST_CLASSES:
        by_class(shares)
    moved(sticker)
    worn = sticker.pattern if sticker.pattern in patterns() else uploads.OWN_STICKER
    photograph.link(**{"stamped-pattern": worn})


stickers, others = st.tabs([STICKERS, OTHERS], key="part", bind="query-params")
with stickers:  # what is chosen stays when it is closed
    sticker = chosen() if pictured else usual
    if stickers.open:
        of_stickers(sticker)
with others:
    if pictured:
        trigger = other_triggers.chosen(models, height)
        if others.open:
            other_triggers.section(models, trigger)

cards.how_it_works(how_it_works.STICKERS)
