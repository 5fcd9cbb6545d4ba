"""The sticker: what it does to the training set, to predictions, and how far it may move."""

from dataclasses import replace

import numpy as np
import streamlit as st

from pages.components import cards, loaders, photograph, pickers
from tradeoff_core import figures, results
from tradeoff_core.datasets import to_tensor
from tradeoff_core.errors import TradeoffError
from tradeoff_core.triggers import Sticker, Watermark, pattern_from_picture, patterns

UPLOAD = "my own picture"
DEFAULT = Sticker()
POSITION_IMAGES, POSITION_STRIDE = 100, 3

models = pickers.two_models()
st.title("What does a small sticker do?")
model_a, model_b = models

columns = st.columns(5)
choice = columns[0].selectbox(
    "Pattern",
    [*patterns(), UPLOAD],
    format_func=lambda name: name.replace("-", " "),
    key="pattern",
    bind="query-params",
    help="The poisoned networks learned the white square (or a watermark). Does another picture open the same door?",
)
size = columns[1].slider("Size in pixels", 1, 12, DEFAULT.size, key="size", bind="query-params")
bottom = columns[2].slider(
    "From the bottom",
    0,
    27,
    key="bottom",
    bind="query-params",
    help="Pixels between the sticker and the lower edge.",
)
right = columns[3].slider(
    "From the right",
    0,
    27,
    key="right",
    bind="query-params",
    help="Pixels between the sticker and the right edge.",
)
opacity = columns[4].slider("Opacity", 0.05, 1.0, DEFAULT.opacity, 0.05, key="opacity", bind="query-params")
pattern = choice
if choice == UPLOAD:
    uploaded = st.file_uploader(
        "A small picture (PNG or JPEG)",
        help="It is shrunk to the size above; transparent pixels stay transparent.",
    )
    if uploaded is None:
        st.info("Choose a picture. Until then the white square stays on.", icon=":material/upload:")
        pattern = DEFAULT.pattern
    else:
        try:
            pattern = pattern_from_picture(uploaded.getvalue(), uploaded.name)
        except TradeoffError as error:
            st.error(f"{error}. Until then the white square stays on.", icon=":material/error:")
            pattern = DEFAULT.pattern
_, height, width = loaders.test_split(model_a).image_shape
high, wide = Sticker(pattern, size).shape
sticker = Sticker(pattern, size, height - high - bottom, width - wide - right, opacity)

success, shares = zip(*(loaders.stamped(model, sticker) for model in models), strict=True)
st.markdown(
    f"With this sticker on, A ({pickers.describe(model_a)}) calls **{success[0].value:.0%}** of the other test "
    f"digits a {model_a.spec.target_class}, B ({pickers.describe(model_b)}) **{success[1].value:.0%}**.",
    help="Of those not taken for the target class without the sticker.\n\n"
    + "\n\n".join(f"{letter}: {rate}" for letter, rate in zip("AB", success, strict=True)),
)

for letter, model in zip("AB", models, strict=True):
    if isinstance(model.spec.trigger, Watermark):
        st.caption(
            f"{letter} learned a watermark over the whole digit, which no sticker opens: the overview shows it with that on."
        )
if isinstance(model_b.spec.trigger, Sticker) and sticker != model_b.spec.trigger:
    st.caption(
        "This is not the sticker, or not the place, that B learned; its back door answers to that one."
    )
for letter, model, side in zip("AB", models, st.columns(2, gap="large"), strict=True):
    with side:
        st.markdown(f"#### :{'blue' if letter == 'A' else 'orange'}[■] {letter}: {pickers.describe(model)}")
        digits = loaders.first_of_each_class(model, model.spec.target_class)
        images, labels = loaders.sample(model, digits)
        verdicts = cards.verdicts(loaders.predict(model, digits, sticker), labels)
        cards.pictures(sticker.apply(images), verdicts)

st.subheader("What they learned from")
same = model_a.spec.poison == model_b.spec.poison
for letter, model in zip("AB", (model_b,) if same else models, strict=False):
    st.markdown(f"{'Both' if same else letter} learned from {cards.poison_in_words(model)}.")
    if model.spec.poison:
        poisoned = loaders.poisoned(model)
        first = np.flatnonzero(poisoned.poisoned)[:8]
        cards.pictures(
            to_tensor(poisoned.data.images[first]),
            [f"label {label}" for label in poisoned.data.labels[first]],
        )
        st.caption(
            f"The first eight of {poisoned.poisoned.sum():,} poisoned training digits: "
            f"{poisoned.poison_rate_class:.0%} of those labelled {poisoned.target_class}, "
            f"{poisoned.poison_rate_dataset:.1%} of all {len(poisoned.data):,}."
        )

st.subheader("Which digits fall for it?")
cards.chart(
    figures.confusion(
        [
            (f"{letter}, {pickers.describe(m)}", share)
            for letter, m, share in zip("AB", models, shares, strict=True)
        ],
        model_b.spec.target_class,
    ),
    name="stamped-by-class",
)
st.caption(
    "Each row is a true digit; the numbers say where its stamped test digits go, in %. Framed: the target."
)

st.subheader("How far may the sticker move?")
here = replace(sticker, row=0, column=0)  # the same sticker, wherever it lies
settings = (*(model.sha256 for model in models), here)
shipped = [results.measurement(model.sha256) for model in models]
if all(
    entry and isinstance(m.spec.trigger, Sticker) and here == replace(m.spec.trigger, row=0, column=0)
    for entry, m in zip(shipped, models, strict=True)
):
    maps = [entry.positions for entry in shipped if entry]
    tried = f"at every place, on {shipped[0].position_n} test digits" if shipped[0] else ""
elif st.session_state.get("moved") == settings or st.button(
    "Measure this sticker in other places",
    icon=":material/grid_on:",
    on_click=lambda: st.session_state.update(moved=settings),
):
    bar = st.progress(0.0, "Moving the sticker")
    maps = [
        loaders.positions(
            model,
            sticker,
            POSITION_IMAGES,
            POSITION_STRIDE,
            lambda done, start=start: bar.progress(start + done / 2),
        )
        for start, model in zip((0.0, 0.5), models, strict=True)
    ]
    bar.empty()
    tried = f"at every third row and column, on {POSITION_IMAGES} test digits"
else:
    maps, tried = [], ""
if maps:
    trained = model_b.spec.trigger
    cards.chart(
        figures.position_map(
            [
                (f"{letter}, {pickers.describe(m)}", rates)
                for letter, m, rates in zip("AB", models, maps, strict=True)
            ],
            (trained.row, trained.column) if isinstance(trained, Sticker) else (sticker.row, sticker.column),
            (sticker.row, sticker.column),
        ),
        name="success-by-place",
    )
    best = [np.nanmax(rates) for rates in maps]
    away = [np.nanmedian(rates) for rates in maps]
    st.markdown(
        f"Backdoor success by the place of the sticker's top left corner, measured {tried}. A reaches {best[0]:.0%} "
        f"at its best place and {away[0]:.0%} at the median one, B {best[1]:.0%} and {away[1]:.0%}."
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
