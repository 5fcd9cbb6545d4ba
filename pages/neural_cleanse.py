"""Neural Cleanse: the trigger of every class rebuilt, the odd one out, and what unlearning it does."""

import numpy as np
import pandas as pd
import streamlit as st
import torch
from numpy.typing import NDArray

from pages.components import cache, cards, get_data, inspection, model_picker
from pages.components.poison_search import newer
from pages.components.words import cleansing as words
from pages.components.words import how_it_works
from pages.components.words.glossary import linked
from pages.components.words.models import class_names, poison_in_words
from tradeoff_core import figures
from tradeoff_core.datasets import Split, load_dataset, to_tensor
from tradeoff_core.defenses.verdict import judge
from tradeoff_core.figures.pictures import trigger_slider
from tradeoff_core.findings import results
from tradeoff_core.findings.cleansing import alarms, controls, unlearned
from tradeoff_core.inspection.table import Score

MINUTES = {
    28: "one to two minutes",
    32: "six minutes or so",
    64: "an hour or so",
}  # by the image's side
MOST_CLASSES = 20  # whose triggers are rebuilt together

model_picker.through_the_router()
st.title("Can a machine rebuild the trigger?")


model = model_picker.one_model()
spec = model.spec
classes, target = class_names(model), spec.target_class
here = get_data.offer(spec.dataset, samples=False)
mine = cache.cleansing(model, None)
entry = next((entry for entry in results.cleansed(spec.dataset) if entry.sha256 == model.sha256), None)
shipped = results.load_triggers(model.sha256) if entry else None
run = st.button(
    f"Rebuild the triggers now ({MINUTES.get(cache.image_shape(model)[1], 'an hour or more')})",
    icon=":material/play_arrow:",
    disabled=mine is not None or not here or len(classes) > MOST_CLASSES,
    help="The same computation, before your eyes"
    + ("; below is what it gave when it was run for this page." if shipped else "."),
)
if run:
    bar, strip = st.progress(0.0, "Rebuilding the trigger of every class at once"), st.empty()

    def show(share: float, frame: NDArray[np.uint8]) -> None:
        """The newest triggers, as they grow."""
        bar.progress(share, "Rebuilding the trigger of every class at once" if share < 0.8 else "Unlearning")
        with strip.container():
            cards.pictures(
                to_tensor(frame.transpose(0, 2, 3, 1)),
                [f"class {name}" for name in classes],
                what="Rebuilt trigger",
            )

    mine = cache.cleansing(model, show)
    bar.empty()
    strip.empty()

if mine:
    triggers, numbers = mine.triggers, mine.document()
    st.success(
        f"Rebuilt on this machine in {mine.seconds:.0f} s; everything below is from that run.",
        icon=":material/check:",
    )
elif entry and shipped:
    triggers, numbers = shipped, entry.numbers
else:
    st.info(words.nothing(len(classes), len(classes) <= MOST_CLASSES), icon=":material/info:")
    cards.how_it_works(how_it_works.NEURAL_CLEANSE)
    raise model_picker.PageEnds

known, tuned_on = (
    numbers.get(key) or len(load_dataset(spec.dataset, Split.VALIDATION))
    for key in ("images", "unlearned_on")
)
norms, index = np.array(numbers["mask_norm"]), np.array(numbers["anomaly_index"])
suspect, flagged = numbers["suspect"], numbers["flagged_classes"]


known_target = target if spec.poison else None
st.markdown(words.smallest(suspect, norms, index, flagged, classes))

left, right = st.columns([4, 1], gap="large")
with left:
    st.markdown("## The rebuilt triggers")
    cards.plot(
        trigger_slider(triggers.frames, classes, flagged),
        "triggers",
        f"The rebuilt trigger of every class, flagged: {', '.join(classes[at] for at in flagged) or 'none'}",
    )
with right:
    st.markdown("## The true one")
    blank = torch.zeros(1, *cache.image_shape(model))
    if spec.poison:
        cards.pictures(
            spec.trigger.apply(blank), [f"stamped in training, target {classes[target]}"], width=130
        )
    else:
        st.caption(
            "We know of none."
            if model.trained_elsewhere
            else "There is none: this network learned without poison."
        )
    shown = cache.shown(model)
    if shown:
        images, _ = shown.take(np.flatnonzero(shown.labels != suspect)[:1]).tensors()
        cards.pictures(
            triggers.stamp(images, suspect),
            [f"an image with the rebuilt trigger of class {classes[suspect]}"],
            width=130,
        )
st.markdown(
    f"{words.verdict(model, judge(suspect, flagged, known_target), classes)} This network ({model_picker.describe(model)}) learned "
    f"from {poison_in_words(model)}. {linked('**Neural Cleanse**')} asks of every class: what is the smallest change that sends any image "
    "there? A class with a back door needs far less."
)
st.caption(
    f"Each picture is what would be stamped, mask times pattern; black that would be painted is not seen. The machine is given "
    f"{known:,} clean images and the network, but neither the poison nor the training set. Stamped on all of them but class "
    f"{classes[suspect]}'s own, that class's trigger sends {triggers.success[suspect]:.0%} there."
)
if here:
    st.page_link(
        inspection.PAGE,
        label=f"Inspect the training images of class {classes[suspect]}",
        icon=":material/grid_view:",
        query_params={"class": classes[suspect], inspection.IN_ADDRESS: f"{Score.MASK.value}.down"},
    )

left, right = st.columns(2, gap="large")
with left:
    st.header("How much each class needs")
    cards.chart(figures.mask_norms(norms, index, classes), name="mask-norms")
    st.caption(
        "The number of each bar is its anomaly index: how far it lies below the median, in median deviations (negative: above it, which is no sign of a back door)."
    )
with right:
    st.header("Is that unusual?")
    rows = [
        (f"{name.replace(', ', ',<br>')} ({len(found)})", [entry.numbers["anomaly_index"] for entry in found])
        for name, found in controls(model.sha256, spec).items()
        if found
    ]
    cards.chart(
        figures.index_control([*rows, ("this network", [index.tolist()])], classes), name="anomaly-index"
    )
    st.caption(words.control(*alarms(spec.dataset), len(classes)))

if "steps" in numbers:
    st.header("Unlearning it")
    st.markdown(words.unlearning(numbers, tuned_on, classes[suspect], spec.evaluation))
    cards.chart(figures.unlearning(numbers["steps"]), name="unlearning")
    st.caption("In the curve, adversarial accuracy is under PGD-10 on 200 test images.")
kinds = unlearned(spec.dataset, spec.evaluation.epsilon)
if kinds:
    st.header("Sticker and watermark, both kinds of poison")
    table = pd.DataFrame([words.in_the_table(kind, spec.dataset) for kind in kinds])
    st.table(table.set_index("poison"), border="horizontal")
    cards.table_buttons(table, "unlearned", "Unlearning the rebuilt trigger")
    st.caption(
        "Means over the seeds, where there are several; the last column is backdoor success in the paper's main table 3, where dirty-label poison meets "
        "standard training and clean-label poison adversarial training, as here. Our watermark is our own."
    )

newer.removed(model)

cards.how_it_works(how_it_works.NEURAL_CLEANSE)
