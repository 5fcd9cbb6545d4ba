"""Neural Cleanse: the trigger of every class rebuilt, the odd one out, and what unlearning it does."""

import numpy as np
import pandas as pd
import streamlit as st
import torch
from numpy.typing import NDArray

from pages.components import cards, getting, loaders, pickers
from tradeoff_core import figures, published, results
from tradeoff_core.datasets import Split, load_dataset, to_tensor
from tradeoff_core.defenses.neural_cleanse import SUSPICIOUS
from tradeoff_core.pictures import trigger_slider
from tradeoff_core.poisoning import PoisonLabels
from tradeoff_core.triggers import Sticker, Watermark

MINUTES = {
    28: "one to two minutes",
    32: "six minutes or so",
    64: "an hour or so",
}  # by the image's side
MOST_CLASSES = 20  # whose triggers are rebuilt together

pickers.through_the_router()
st.title("Can a machine rebuild the trigger?")


def how_it_works() -> None:
    """The optimisation, the index and the sources."""
    with st.expander("How it works", icon=":material/function:"):
        st.markdown(
            r"""
For a class $t$, find a mask $m$ and a pattern $p$, both in $[0, 1]$, that send every image there when stamped, with as
little mask as possible:

$$
\min_{m, p} \; \mathbb{E}_x \, \mathcal{L}\big(f((1 - m) \odot x + m \odot p),\, t\big) + \lambda \lVert m \rVert_1
$$

($\odot$ multiplies pixel by pixel.) $\lambda$ is raised while the trigger works on 99% of the images and lowered while it does not, so the mask shrinks
until it only just works. All classes are rebuilt at once, as one batch.

The **anomaly index** of a class is how far its mask's size lies below the median of all classes, divided by the median
absolute deviation (times 1.4826, which makes it a standard deviation for normal values). From 2 on, a class is flagged.
With ten classes or more that happens by luck too: hence the control, networks without any poison.

Adversarial training helps here: such a network answers to large, clear features only, so what is rebuilt looks like
the true trigger instead of noise.

Wang et al.: *Neural Cleanse: Identifying and Mitigating Backdoor Attacks in Neural Networks*,
[IEEE S&P 2019](https://doi.org/10.1109/SP.2019.00031).

"""
            + cards.CITATION
        )


model = pickers.one_model()
spec = model.spec
classes, target = cards.class_names(model), spec.target_class
st.markdown(
    f"This network ({pickers.describe(model)}) learned from {cards.poison_in_words(model)}. **Neural Cleanse** asks "
    "of every class: what is the smallest change that sends any image there? A class with a back door needs far less."
)

here = getting.offer(spec.dataset, samples=False)
mine = loaders.cleansing(model, None)
entry = next((entry for entry in results.cleansed(spec.dataset) if entry.sha256 == model.sha256), None)
shipped = results.load_triggers(model.sha256) if entry else None
run = st.button(
    f"Rebuild the triggers now ({MINUTES.get(loaders.image_shape(model)[1], 'an hour or more')})",
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
            cards.pictures(to_tensor(frame.transpose(0, 2, 3, 1)), [f"class {name}" for name in classes])

    mine = loaders.cleansing(model, show)
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
    st.info(
        "Nothing is included for this network yet: rebuild its triggers."
        if len(classes) <= MOST_CLASSES
        else f"A trigger for each of {len(classes):,} classes takes too long: choose another network.",
        icon=":material/info:",
    )
    how_it_works()
    raise pickers.PageEnds

known, tuned_on = (
    numbers.get(key) or len(load_dataset(spec.dataset, Split.VALIDATION))
    for key in ("images", "unlearned_on")
)
norms, index = np.array(numbers["mask_norm"]), np.array(numbers["anomaly_index"])
suspect, flagged = numbers["suspect"], numbers["flagged_classes"]


def verdict() -> str:
    """Whether the suspect is the class with the back door."""
    if model.trained_elsewhere:
        return "Whether it has a back door, we do not know."
    if not spec.poison:
        return "This network has no back door: a false alarm." if flagged else "Rightly: it has no back door."
    if suspect != target:
        return f"The back door is in class {classes[target]}, which it misses."
    others = [classes[label] for label in flagged if label != target]
    false = f" Class {' and '.join(others)} is a false alarm." if others else ""
    if target in flagged:
        return "That is the class with the back door." + false
    return (
        "The back door is in this class, but its index is too small for the defense to say so: **missed**."
        + false
    )


def is_of_kind(entry: results.Cleansed, labels: PoisonLabels, trigger: type) -> bool:
    """Whether a run has this poison, and the training that goes with it: adversarial if clean-label."""
    poison, attack = entry.spec.poison, entry.spec.training.attack
    if poison is None or poison.labels is not labels or not isinstance(poison.trigger, trigger):
        return False
    return (
        attack is None
        if labels is PoisonLabels.DIRTY
        else attack is not None and attack.epsilon == spec.evaluation.epsilon
    )


def in_the_table(labels: PoisonLabels, trigger: type, found: list[results.Cleansed]) -> dict[str, str]:
    """A row of the table: what the seeds gave on average, and what was published."""
    right = sum(e.numbers["suspect"] == e.spec.target_class for e in found)
    caught = sum(e.spec.target_class in e.numbers["flagged_classes"] for e in found)

    def both(key: str) -> str:
        means = [100 * float(np.mean([e.numbers[when][key] for e in found])) for when in ("before", "after")]
        return f"{means[0]:.1f}% → {means[1]:.1f}%"

    of, before, after = published.cleansing(spec.dataset, labels, trigger.__name__.lower())
    return {
        "poison": f"{trigger.__name__.lower()}, {labels}",
        "right class suspected": f"{right} of {len(found)} seed{'s' * (len(found) > 1)}",
        "and flagged": f"{caught} of {len(found)}",
        "backdoor success": both("backdoor_success_rate"),
        "clean accuracy": both("clean_accuracy"),
        "adversarial accuracy": both("adversarial_accuracy"),
        f"published for {of}": f"{before:.1%} → {after:.1%}",
    }


st.markdown(
    f"The smallest trigger is that of class **{classes[suspect]}**: a mask of **{norms[suspect]:.1f}** pixels, where the "
    f"median class needs {np.median(norms):.0f}. Its anomaly index is **{index[suspect]:.1f}**; from {SUSPICIOUS:g} on a "
    f"class is flagged, so this one **is{'' if suspect in flagged else ' not'}**. {verdict()}"
)

left, right = st.columns([4, 1], gap="large")
with left:
    st.markdown("#### The rebuilt triggers")
    cards.plot(trigger_slider(triggers.frames, classes, flagged), "triggers")
with right:
    st.markdown("#### The true one")
    blank = torch.zeros(1, *loaders.image_shape(model))
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
    shown = loaders.shown(model)
    if shown:
        images, _ = shown.take(np.flatnonzero(shown.labels != suspect)[:1]).tensors()
        cards.pictures(
            triggers.stamp(images, suspect),
            [f"an image with the rebuilt trigger of class {classes[suspect]}"],
            width=130,
        )
st.caption(
    f"Each picture is mask times pattern, what the machine would stamp; what it would paint black is not seen. It knows {known:,} clean images and the network, "
    "and neither the poison nor the training set. "
    f"Stamped on all of them but class {classes[suspect]}'s own, its trigger sends {triggers.success[suspect]:.0%} there."
)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("How much each class needs")
    cards.chart(figures.mask_norms(norms, index, classes), name="mask-norms")
    st.caption(
        "The number of each bar is its anomaly index: how far it lies below the median, in median deviations (negative: above it, which is no sign of a back door)."
    )
with right:
    st.subheader("Is that unusual?")
    everyone = results.cleansed(spec.dataset)
    others = [e for e in everyone if e.sha256 != model.sha256]
    kinds = {
        "standard,<br>no poison": [e for e in others if not e.spec.poison and not e.spec.training.attack],
        "adversarial,<br>no poison": [e for e in others if not e.spec.poison and e.spec.training.attack],
        "this poison,<br>other seeds": [
            e
            for e in everyone
            if spec.poison
            and e.spec.poison == spec.poison
            and e.spec.training == spec.training
            and e.spec.seed != spec.seed
        ],
    }
    rows = [
        (f"{name} ({len(found)})", [e.numbers["anomaly_index"] for e in found])
        for name, found in kinds.items()
        if found
    ]
    cards.chart(
        figures.index_control([*rows, ("this network", [index.tolist()])], classes), name="anomaly-index"
    )
    control = [e for e in everyone if not e.spec.poison]
    alarms = sum(bool(e.numbers["flagged_classes"]) for e in control)
    st.caption(
        f"The control, networks without any poison: {len(control)}. Of these with an index of {SUSPICIOUS:g} or more: {alarms}"
        + (f", which with {len(classes)} classes happens by luck." if alarms else ".")
        if control
        else "The control is missing: no network without poison was measured on this data set."
    )

if "steps" in numbers:
    before, after = numbers["before"], numbers["after"]
    st.subheader("Unlearning it")
    st.markdown(
        f"Fine-tuned on {tuned_on:,} clean images, a fifth of each batch with class {classes[suspect]}'s rebuilt "
        "trigger and the right label: "
        + ", ".join(
            f"{name} **{before[key]:.1%} → {after[key]:.1%}**"
            for key, name in (
                ("backdoor_success_rate", "backdoor success"),
                ("clean_accuracy", "clean accuracy"),
                ("adversarial_accuracy", "adversarial accuracy"),
            )
        )
        + f" ({before['n']:,} test images that it did not see, {spec.evaluation})."
        + (
            " Much of what adversarial training had bought is lost: fine-tuning does not train against an attacker."
            if before["adversarial_accuracy"] - after["adversarial_accuracy"] > 0.1
            else ""
        )
    )
    cards.chart(figures.unlearning(numbers["steps"]), name="unlearning")
    st.caption("In the curve, adversarial accuracy is under PGD-10 on 200 test images.")
kinds_of_poison = [
    (labels, trigger, [e for e in everyone if is_of_kind(e, labels, trigger)])
    for labels in PoisonLabels
    for trigger in (Sticker, Watermark)
]
if any(found for _, _, found in kinds_of_poison):
    st.subheader("Sticker and watermark, both kinds of poison")
    table = pd.DataFrame([in_the_table(*kind) for kind in kinds_of_poison if kind[2]])
    st.table(table.set_index("poison"), border="horizontal")
    cards.table_buttons(table, "unlearned", "Unlearning the rebuilt trigger")
    st.caption(
        "Means over the seeds, where there are several; the last column is backdoor success in the paper's main table 3, where dirty-label poison meets "
        "standard training and clean-label poison adversarial training, as here. Our watermark is our own."
    )

how_it_works()
