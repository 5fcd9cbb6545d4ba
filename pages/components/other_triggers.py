"""The triggers that are no sticker: what they do to test images, and what two networks read in them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor

from pages.components import cache, model_picker
from pages.components.words import poisons as words
from pages.components.words.models import an, called
from tradeoff_core.attacks.attack import Norm
from tradeoff_core.datasets import to_uint8
from tradeoff_core.experiments.poisons import POISONS
from tradeoff_core.figures.pictures import as_uris, drawn_perturbation
from tradeoff_core.findings import poisons
from tradeoff_core.models.compared import Compared
from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.sinusoid import Sinusoid
from tradeoff_core.poisoning.triggers import Trigger, Watermark
from tradeoff_core.poisoning.warp import Warp

TITLES = {
    "blended": "Blended noise (Chen et al. 2017)",
    "sinusoid": "Waves (Barni et al. 2019)",
    "warp": "Warp (WaNet 2021)",
    "perturbation": "Optimised pattern (Narcissus 2022)",
    "watermark": "Watermark (Weng et al. 2020)",
}


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong a kind of trigger can be made: the field that says so, and its slider's end and step."""

    field: str
    most: float
    step: float


STRENGTHS = {
    "blended": Strength("ratio", 0.5, 0.05),
    "sinusoid": Strength("amplitude", 0.6, 0.05),
    "warp": Strength("strength", 4.0, 0.25),
    "perturbation": Strength("amplitude", 0.6, 0.05),
    "watermark": Strength("amplitude", 1.0, 0.05),
}
OF_DIGITS: dict[str, Trigger] = {  # at the strength that poisons digits
    **{POISONS[name].trigger.kind: POISONS[name].trigger for name in words.OF_A_KIND.values()},
    "watermark": Watermark(amplitude=0.5),
}
OF_PHOTOGRAPHS: dict[str, Trigger] = {
    "blended": Blended(),
    "sinusoid": Sinusoid(amplitude=0.1),
    "warp": Warp(),
    "watermark": Watermark(amplitude=0.25),
}
SCALE = 0.25  # of what a trigger changes: half of the grey scale each way


def chosen(models: Sequence[Compared], side: int) -> Trigger:
    """The trigger that the controls say; of its kind the one that a network learned, where one did."""
    digits = side == 28
    learned = {one.model.spec.trigger.kind: one.model.spec.trigger for one in models if one.model.spec.poison}
    usual = {kind: trigger for kind, trigger in learned.items() if kind in TITLES} | (
        OF_DIGITS if digits else OF_PHOTOGRAPHS
    )
    columns = st.container(key="controls-trigger").columns([5, 4, 8])
    with columns[0]:
        kind = model_picker.chosen_from(
            "Trigger",
            [kind for kind in TITLES if kind in usual],
            "trigger" if digits else "trigger-photographs",
            "blended",
            format_func=TITLES.__getitem__,
            help="What later papers put in the sticker's place. Most are faint, and all cover the whole image.",
        )
    field, most, step = (getattr(STRENGTHS[kind], name) for name in ("field", "most", "step"))
    value = columns[1].slider(
        field.capitalize(),
        step,
        most,
        min(most, max(step, getattr(usual[kind], field))),
        step,
        key=f"{kind}-strength" if digits else f"{kind}-strength-photographs",
        bind="query-params",
        help=words.STRENGTHS[kind],
    )
    changed: dict[str, Any] = {field: value}
    return replace(learned.get(kind, usual[kind]), **changed)


def learned_by(one: Compared, trigger: Trigger) -> float | None:
    """How strong the trigger was that a network learned, None if it learned another one or nothing."""
    field, learned = STRENGTHS[trigger.kind].field, one.model.spec.trigger
    if one.model.spec.poison is None or learned.kind != trigger.kind:
        return None
    now: dict[str, Any] = {field: getattr(trigger, field)}
    return float(getattr(learned, field)) if replace(learned, **now) == trigger else None


def success_of(models: Sequence[Compared], trigger: Trigger, what: str) -> list[NDArray[np.float64]]:
    """Say how often it turns other classes into the target; where each class of images goes (classes, classes) by network."""
    target = called(models[-1].model, models[-1].model.spec.target_class)
    success, shares = zip(*(cache.stamped(model, trigger) for _, model in models), strict=True)
    st.markdown(
        ", ".join(
            (f"for {letter} ({model_picker.describe(model)}) **{rate.value:.0%}**")
            if at
            else f"For {letter} ({model_picker.describe(model)}) this {what} turns **{rate.value:.0%}** of the images of other "
            f"classes into {an(target)}"
            for at, ((letter, model), rate) in enumerate(zip(models, success, strict=True))
        )
        + ".",
        help="Of those not taken for the target class without it.\n\n"
        + "\n\n".join(f"{letter}: {rate}" for (letter, _), rate in zip(models, success, strict=True)),
    )
    return list(shares)


def section(models: Sequence[Compared], trigger: Trigger) -> None:
    """What the trigger does to test images, how often it opens a back door here, and what happens to who learned it."""
    success_of(models, trigger, "trigger")
    on_images(models, trigger)
    learned = {one.letter: learned_by(one, trigger) for one in models}
    measured = words.after_learning(poisons.matrix(models[-1].model.spec.dataset), trigger.kind)
    st.markdown(f"{words.who_learned(learned, STRENGTHS[trigger.kind].field)} {measured}")
    if measured:
        st.page_link(
            "pages/tradeoff.py",
            label="Every poison under every training",
            icon=":material/trending_up:",
            query_params={"part": "Other poisons", "poison": words.OF_A_KIND[trigger.kind]},
        )


def on_images(models: Sequence[Compared], trigger: Trigger) -> None:
    """The same images before and after and what changed, one below the other, with what each network reads."""
    model = models[-1].model
    places = cache.first_of_each_class(model)
    images, labels = cache.sample(model, places)
    after = trigger.apply(images)
    rows: list[tuple[str, Tensor, list[str]]] = [
        ("Before", images, read(models, places, None, labels)),
        ("After", after, read(models, places, trigger, labels)),
        ("Changed", drawn_perturbation(images, after, SCALE, Norm.LINF), []),
    ]
    width = {28: 82, 224: 224}.get(images.shape[2], 150)
    drawn = [(what, as_uris(to_uint8(shown), width), said) for what, shown, said in rows]
    with st.container(horizontal=True):
        for at in range(len(places)):
            with st.container(width=width, gap="xsmall"):
                for what, uris, said in drawn:
                    name = f"{what} {at + 1}"
                    st.image(
                        uris[at],
                        said[at] if said else None,
                        width=width,
                        alt=f"{name}: {said[at]}" if said else name,
                    )
    st.caption(words.WHAT_IS_DRAWN)


def read(
    models: Sequence[Compared], places: tuple[int, ...], trigger: Trigger | None, labels: Tensor
) -> list[str]:
    """What every network reads in each image, wrong answers strong."""
    said = [cache.predict(model, places, trigger).argmax(1).tolist() for _, model in models]
    return [
        " · ".join(
            f"{one.letter}: {called(one.model, answer)}"
            if answer == label
            else f"{one.letter}: **{called(one.model, answer)} ✗**"
            for one, answer in zip(models, answers, strict=True)
        )
        for label, *answers in zip(labels.tolist(), *said, strict=True)
    ]
