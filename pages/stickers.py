"""The sticker: what it does to the training set, to predictions, and how far it may move."""

from dataclasses import replace

import numpy as np
import streamlit as st

from pages.components import cards, getting, loaders, photograph, pickers
from tradeoff_core import datasets, figures, results
from tradeoff_core.errors import TradeoffError
from tradeoff_core.triggers import Sticker, Watermark, default_sticker, pattern_from_picture, patterns

UPLOAD = "my own picture"
POSITION_IMAGES, POSITIONS = 100, 9  # live: test images, and places in a row and in a column
MOST_CLASSES = 20  # of a map of where each class goes

models = pickers.two_models()
last = models[-1][1]
data_set, target = last.spec.dataset, cards.called(last, last.spec.target_class)
st.title("What does a small sticker do?")
getting.offer(data_set)

_, height, width = loaders.image_shape(last)
usual = default_sticker(height)
# a data set's own controls: what fits large photographs does not fit digits
of_size = "" if height == 28 else f"-{height}"


def chosen() -> Sticker:
    """The sticker that the controls say, kept inside of the image."""
    columns = st.columns(5)
    choice = columns[0].selectbox(
        "Pattern",
        [*patterns(), UPLOAD],
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
    if choice == UPLOAD:
        uploaded = st.file_uploader(
            "A small picture (PNG, JPEG or WebP)",
            help="It is shrunk to the size above; transparent pixels stay transparent.",
        )
        if uploaded is None:
            st.info("Choose a picture. Until then the usual sticker stays on.", icon=":material/upload:")
            pattern = usual.pattern
        else:
            try:
                pattern = pattern_from_picture(uploaded.getvalue(), uploaded.name)
            except TradeoffError as error:
                st.error(f"{error}. Until then the usual sticker stays on.", icon=":material/error:")
                pattern = usual.pattern
    high, wide = Sticker(pattern, size).shape
    sticker = Sticker(pattern, size, max(0, height - high - bottom), max(0, width - wide - right), opacity)
    if bottom > height - high or right > width - wide:
        st.caption(f"The image ends there: a sticker of {high} x {wide} pixels stays at its edge.")
    return sticker


pictured = loaders.shown(last) is not None
sticker = chosen() if pictured else usual

success, shares = [], []
if pictured:
    success, shares = zip(*(loaders.stamped(model, sticker) for _, model in models), strict=True)
    st.markdown(
        "With this sticker on, "
        + ", ".join(
            f"{letter} ({pickers.describe(model)}) calls **{rate.value:.0%}**"
            for (letter, model), rate in zip(models, success, strict=True)
        )
        + f" of the test images {cards.an(target)} that it read as something else without it.",
        help="Of those not taken for the target class without the sticker.\n\n"
        + "\n\n".join(f"{letter}: {rate}" for (letter, _), rate in zip(models, success, strict=True)),
    )

for letter, model in models:
    if isinstance(model.spec.trigger, Watermark):
        st.caption(
            f"{letter} learned a watermark over the whole image, which no sticker opens: the overview shows it with that on."
        )
if last.spec.poison and isinstance(last.spec.trigger, Sticker) and sticker != last.spec.trigger:
    learned = last.spec.trigger
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
if pictured:
    for (letter, model), side in zip(models, st.columns(len(models), gap="large"), strict=True):
        with side:
            st.markdown(
                f"#### :{'blue' if letter == 'A' else 'orange'}[■] {letter}: {pickers.describe(model)}"
            )
            places = loaders.first_of_each_class(model)
            images, labels = loaders.sample(model, places)
            verdicts = cards.verdicts(model, loaders.predict(model, places, sticker), labels)
            cards.pictures(sticker.apply(images), verdicts)

st.subheader("What they learned from")
same = len({model.spec.poison for _, model in models}) == 1
for letter, model in models[:1] if same else models:
    st.markdown(
        f"{'Both' if same and len(models) > 1 else letter} learned from {cards.poison_in_words(model)}."
    )
    if model.spec.poison and datasets.available(data_set):
        cards.first_poisoned(loaders.poisoned(model))

if pictured and len(last.classes) <= MOST_CLASSES:
    st.subheader("Which images fall for it?")
    cards.chart(
        figures.confusion(
            [
                (f"{letter}, {pickers.describe(model)}", share)
                for (letter, model), share in zip(models, shares, strict=True)
            ],
            last.spec.target_class,
            cards.class_names(last),
        ),
        name="stamped-by-class",
    )
    st.caption(
        "Each row is a true class; the numbers say where its stamped test images go, in %. Framed: the target."
    )

here = replace(sticker, row=0, column=0)  # the same sticker, wherever it lies
settings = (*(model.sha256 for _, model in models), here)
shipped = [results.measurement(model.sha256) for _, model in models]
maps, tried = [], ""
included = all(
    entry and isinstance(m.spec.trigger, Sticker) and here == replace(m.spec.trigger, row=0, column=0)
    for entry, (_, m) in zip(shipped, models, strict=True)
)
if included or pictured:
    st.subheader("How far may the sticker move?")
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
    maps = loaders.with_a_bar(
        models,
        "Moving the sticker",
        lambda model, tell: loaders.positions(model, sticker, POSITION_IMAGES, stride, tell),
    )
    tried = f"at every {stride} rows and columns, on at most {POSITION_IMAGES} test images"
if maps:
    trained = last.spec.trigger
    cards.chart(
        figures.position_map(
            [
                (f"{letter}, {pickers.describe(m)}", rates)
                for (letter, m), rates in zip(models, maps, strict=True)
            ],
            (trained.row, trained.column) if isinstance(trained, Sticker) else (sticker.row, sticker.column),
            (sticker.row, sticker.column),
        ),
        name="success-by-place",
    )
    st.markdown(
        f"Backdoor success by the place of the sticker's top left corner, measured {tried}. "
        + " ".join(
            f"{letter} reaches {np.nanmax(rates):.0%} at the sticker's best place and {np.nanmedian(rates):.0%} at the median one."
            for (letter, _), rates in zip(models, maps, strict=True)
        )
    )

photograph.stamped()

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
A sticker with picture $s$ and opacity $\alpha$ replaces the pixels under it, in training and in testing by the
same code:

$$x'_{ij} = (1 - \alpha_{ij})\, x_{ij} + \alpha_{ij}\, s_{ij}$$

**Clean-label poisoning** (Turner et al. 2018) pastes it on training images of the target class alone and leaves all
labels as they are. **Dirty-label poisoning** (BadNets, Gu et al. 2017) pastes it on images of other classes and
relabels them. Afterwards the attacker stamps any image, and the network answers with the target class.

"""
        + cards.CITATION
    )
