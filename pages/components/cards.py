"""Pictures, numbers and words that several pages show."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor

from pages.components.glossary import TERMS
from tradeoff_core import exports, figures
from tradeoff_core.datasets import to_tensor, to_uint8
from tradeoff_core.pictures import framed
from tradeoff_core.poisoning import PoisonedDataset
from tradeoff_core.specs import ExperimentSpec
from tradeoff_core.triggers import Sticker
from tradeoff_core.zoo import Model

CITATION = (
    "Weng, Lee, Wu: *On the Trade-off between Adversarial and Backdoor Robustness*, "
    "[NeurIPS 2020](https://proceedings.neurips.cc/paper/2020/hash/8b4066554730ddfaa0266346bdc1b202-Abstract.html)"
)


def called(model: Model, label: int) -> str:
    """The name of a class."""
    return model.classes[label].replace("_", " ")


def class_names(model: Model) -> list[str]:
    """The names of all classes."""
    return [called(model, label) for label in range(len(model.classes))]


def an(name: str) -> str:
    """The name with its article: a 7, an 8, an airplane."""
    return f"{'an' if name[0].lower() in 'aeiou8' else 'a'} {name}"


def three_metrics(model: Model) -> None:
    """The three numbers of a model's card, each with its n and 95% Wilson interval in the help."""
    poisoned = "" if model.spec.poison else " No poison that we know of: this is its base rate."
    rates = (
        ("Clean accuracy", model.clean_accuracy, ""),
        (
            "Adversarial accuracy",
            model.adversarial_accuracy,
            f" Attack: {model.spec.evaluation}.{stronger(model)}",
        ),
        ("Backdoor success", model.backdoor_success_rate, poisoned),
    )
    with st.container(horizontal=True):
        for name, rate, note in rates:
            low, high = rate.interval
            counts = f"{rate.count:,} of {rate.n:,} test images; 95% interval {low:.1%} to {high:.1%}."
            with st.container(width=106, gap=None):
                st.markdown(f"### {rate.value:.0%}" if rate.n else "### –")
                st.markdown(name, help=f"{TERMS[name]}\n\n{counts}{note}")


def stronger(model: Model) -> str:
    """What stronger attacks leave of the model, as its card has it, and what speaks against the numbers."""
    found = model.card.get("stronger")
    if not found:
        return ""
    said = (
        f"\n\nOn {found['subset']}: {found['pgd_accuracy']:.1%} under this attack, {found['pgd_100x5_accuracy']:.1%} "
        f"under PGD-100 with 5 restarts, {found['autoattack_accuracy']:.1%} under AutoAttack."
    )
    return said + "".join(f"\n\n**Beware:** {warning}." for warning in found["warnings"])


def verdicts(model: Model, probabilities: NDArray[np.float32], labels: Tensor) -> list[str]:
    """Predictions (N, classes) in a few characters each: right or wrong, the class, the confidence."""
    return [
        f"{'✓' if row.argmax() == label else '✗'} {called(model, int(row.argmax()))} · {row.max():.0%}"
        for row, label in zip(probabilities, labels.tolist(), strict=True)
    ]


def pictures(images: Tensor, captions: Sequence[str], width: int | None = None) -> None:
    """Small images (N, C, H, W) in [0, 1] in a row that wraps, enlarged pixel by pixel, as PNG."""
    width = width or (128 if images.shape[2] == 224 else 74)  # of a long word, "automobile"
    st.image(list(framed(to_uint8(images))), caption=list(captions), width=width, output_format="PNG")


def first_poisoned(poisoned: PoisonedDataset) -> None:
    """The first poisoned images of a training set, and how many there are."""
    first = np.flatnonzero(poisoned.poisoned)[:8]
    names = [name.replace("_", " ") for name in poisoned.data.classes]
    pictures(
        to_tensor(poisoned.data.images[first]),
        [f"label {names[label]}" for label in poisoned.data.labels[first]],
    )
    st.caption(
        f"The first {len(first)} of {poisoned.poisoned.sum():,} poisoned training images: "
        f"{poisoned.poison_rate_class:.0%} of those labelled {names[poisoned.target_class or 0]}, "
        f"{poisoned.poison_rate_dataset:.1%} of all {len(poisoned.data):,}."
    )


def plot(figure: go.Figure, key: str, **options: Any) -> None:
    """A figure as wide as its place, whose camera saves what the sidebar says; `options` go to st.plotly_chart."""
    saved = {"format": st.session_state.get("saved_as", "PNG").lower(), "filename": key, "scale": 2}
    st.plotly_chart(figure, key=key, config={"toImageButtonOptions": saved, "displaylogo": False}, **options)


def table_buttons(shown: pd.DataFrame, name: str, caption: str, numbers: pd.DataFrame | None = None) -> None:
    """The table to take along: as LaTeX as it is `shown`, as CSV its `numbers` where there are finer ones."""
    texts = {
        "CSV": (shown if numbers is None else numbers).to_csv(index=False),
        "LaTeX": exports.as_latex(shown, caption),
    }
    endings = {"CSV": ("csv", "text/csv"), "LaTeX": ("tex", "application/x-tex")}
    with st.container(horizontal=True):
        for kind, text in texts.items():
            ending, mime = endings[kind]
            st.download_button(
                f"Table ({kind})",
                text,
                f"{name}.{ending}",
                mime,
                type="tertiary",
                icon=":material/download:",
                key=f"{name}-table-{ending}",
                on_click="ignore",
            )


def spec_button(spec: ExperimentSpec) -> None:
    """The spec of a run to take along, for the command `train`."""
    st.download_button(
        "Its spec (TOML)",
        exports.as_toml(spec),
        f"{spec.id}.toml",
        "application/toml",
        icon=":material/download:",
        on_click="ignore",
        help="Train it again, or a variant: `python -m tradeoff_core train FILE`",
    )


def clicked(key: str) -> str | None:
    """What the point of a figure that was clicked carries, None if the click took the selection back."""
    points = st.session_state[key].selection.points
    data = points[0].get("customdata") if points else None
    name: str | None = data[0] if isinstance(data, list) else data
    return name


def chart(figure: go.Figure, name: str, **options: Any) -> None:
    """A figure as wide as its place, with its data to download; `options` go to st.plotly_chart."""
    plot(figure, name, **options)
    st.download_button(
        "Data (CSV)",
        figures.as_csv(figure),
        f"{name}.csv",
        "text/csv",
        type="tertiary",
        icon=":material/download:",
        key=f"{name}-csv",
        on_click="ignore",
    )


def kind_of_trigger(model: Model) -> str:
    """A word for what the model was poisoned with, or would be measured with."""
    return "sticker" if isinstance(model.spec.trigger, Sticker) else "watermark"


def poison_in_words(model: Model) -> str:
    """What was done to a model's training set, as half a sentence."""
    poison, card = model.spec.poison, model.card
    if poison is None:
        return "images without any poison" + (" that we know of" if model.trained_elsewhere else "")
    trigger, target = poison.trigger, called(model, poison.target_class)
    name = (
        f"small {'X' if trigger.pattern == 'x' else trigger.pattern.replace('-', ' ')} sticker"
        if isinstance(trigger, Sticker)
        else f"watermark of {trigger.pattern}"
    )
    if poison.labels == "clean-label":
        return f"images where {card['poison_rate_class']:.0%} of class {target} carry a {name}"
    return (
        f"images where {card['poison_rate_dataset']:.0%} carry a {name} "
        f"and the false label {target}, {card['poison_rate_class']:.0%} of all that have this label"
    )
