"""Pictures, numbers and words that several pages show."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor

from pages.components import take_along
from pages.components.words import models as words
from pages.components.words.glossary import TERMS, link, linked
from pages.components.words.how_it_works import CITATION
from pages.components.words.models import called
from pages.components.words.questions import QUESTIONS
from tradeoff_core import figures
from tradeoff_core.common.names import plain
from tradeoff_core.common.tables import csv_table
from tradeoff_core.datasets import to_tensor, to_uint8
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.figures import exports
from tradeoff_core.figures.latex import as_latex
from tradeoff_core.figures.pictures import as_uris
from tradeoff_core.figures.plain import Figure
from tradeoff_core.models.compared import Compared, describe
from tradeoff_core.models.zoo import Model
from tradeoff_core.poisoning.poison import PoisonedDataset


def how_it_works(text: str) -> None:
    """The last part of every page: its method and formulas, folded away, and the paper."""
    with st.expander("How it works", icon=":material/function:"):
        st.markdown(linked(text) + CITATION)


def question(page: str) -> None:
    """Below a page: something to think about, and an answer that is folded away."""
    asked, answer = QUESTIONS[page]
    st.markdown(f"**To think about.** {asked}")
    with st.expander("One answer", icon=":material/psychology:"):
        st.markdown(answer)


def heading(one: Compared, level: int = 2) -> None:
    """Over what belongs to one of the two models: its colour in all figures, its letter, and how it was trained."""
    st.html(f'<h{level} class="of-{one.letter}">{escape(f"{one.letter}: {describe(one.model)}")}</h{level}>')


def number(text: str) -> None:
    """A number that is seen first, and is no heading."""
    st.html(f'<p class="number">{escape(text)}</p>')


def three_metrics(model: Model) -> None:
    """The three numbers of a model's card, each with its n and 95% Wilson interval in the help."""
    poisoned = "" if model.spec.poison else " No poison that we know of: this is its base rate."
    rates = (
        ("Clean accuracy", model.clean_accuracy, ""),
        (
            "Adversarial accuracy",
            model.adversarial_accuracy,
            f" Attack: {model.spec.evaluation}.{words.stronger(model)}",
        ),
        ("Backdoor success", model.backdoor_success_rate, poisoned),
    )
    with st.container(horizontal=True):
        for name, rate, note in rates:
            low, high = rate.interval
            counts = f"{rate.count:,} of {rate.n:,} test images; 95% interval {low:.1%} to {high:.1%}."
            with st.container(width=106, gap=None):
                number(f"{rate.value:.0%}" if rate.n else "–")
                st.markdown(link(name), help=f"{TERMS[name]}\n\n{counts}{note}")


def beware(warnings: list[str], whose: str = "Its") -> None:
    """Say what speaks against an adversarial accuracy, if anything does."""
    if warnings:
        st.warning(
            f"{whose} adversarial accuracy may be too high: {'; '.join(warnings)}.",
            icon=":material/visibility_off:",
        )


def verdicts(model: Model, probabilities: NDArray[np.float32], labels: Tensor) -> list[str]:
    """Predictions (N, classes) in a few characters each: the class, right or wrong, the confidence."""
    return [
        f"{called(model, int(row.argmax()))} {words.verdict(row.argmax() == label)} · {row.max():.0%}"
        for row, label in zip(probabilities, labels.tolist(), strict=True)
    ]


def pictures(
    images: Tensor, captions: Sequence[str], width: int | None = None, what: str = "Test image"
) -> None:
    """Small images (N, C, H, W) in [0, 1] in a row that wraps, enlarged pixel by pixel, as PNG; each is a `what`."""
    of_words = 74 if images.shape[1] == 1 else 84  # a digit, or a long word, "automobile"
    width = width or (128 if images.shape[2] == 224 else of_words)
    shown(as_uris(to_uint8(images), width), captions, width, what)


def shown(uris: Sequence[str], captions: Sequence[str], width: int, what: str) -> None:
    """Pictures with captions, and in words for whoever does not see them."""
    wrong = words.verdict(False)
    st.image(
        list(uris),
        caption=[caption.replace(wrong, f"**{wrong}**") for caption in captions],
        width=width,
        alt=[
            f"{what} {number}: {caption.replace('*', '')}" for number, caption in enumerate(captions, start=1)
        ],
    )


def first_poisoned(poisoned: PoisonedDataset) -> None:
    """The first poisoned images of a training set, and how many there are."""
    first = np.flatnonzero(poisoned.poisoned)[:8]
    names = [plain(name.replace("_", " ")) for name in poisoned.data.classes]
    pictures(
        to_tensor(poisoned.data.images[first]),
        [f"label {names[label]}" for label in poisoned.data.labels[first]],
        what="Poisoned training image",
    )
    st.caption(
        f"The first {len(first)} of {poisoned.poisoned.sum():,} poisoned training images: "
        f"{poisoned.poison_rate_class:.0%} of those labelled {names[poisoned.target_class or 0]}, "
        f"{poisoned.poison_rate_dataset:.1%} of all {len(poisoned.data):,}."
    )


def plot(figure: Figure, key: str, of: str = "", **options: Any) -> None:
    """A figure as wide as its place, and in words for whoever does not see it; `options` go to st.plotly_chart.

    `of` is what tells it from another figure on the page, such as its network's letter.
    """
    bar = {"displaylogo": False, "modeBarButtonsToRemove": ["toImage"]}  # `take_along` saves it as it prints
    alt = ": ".join(filter(None, (of, figures.described(figure))))
    st.plotly_chart(figure, key=key, config=bar, alt=alt, **options)


def table_buttons(
    shown: pd.DataFrame, name: str, caption: str, numbers: pd.DataFrame | None = None, called: str = "Table"
) -> None:
    """The table to take along: as LaTeX as it is `shown`, as CSV its `numbers` where there are finer ones.

    `called` tells it from another table on the page.
    """
    made: dict[str, Callable[[], str]] = {  # when they are asked for
        "CSV": lambda: _as_csv(shown if numbers is None else numbers),
        "LaTeX": lambda: as_latex(shown, caption, f"tab:{name}"),
    }
    endings = {"CSV": ("csv", "text/csv"), "LaTeX": ("tex", "application/x-tex")}
    with st.container(horizontal=True):
        for kind, text in made.items():
            ending, mime = endings[kind]
            st.download_button(
                f"{called} ({kind})",
                text,
                f"{name}.{ending}",
                mime,
                type="tertiary",
                icon=":material/download:",
                key=f"{name}-table-{ending}",
                on_click="ignore",
            )


def _as_csv(table: pd.DataFrame) -> str:
    known = table.astype(object).where(table.notna(), None)
    return csv_table([str(name) for name in table.columns], known.itertuples(index=False))


def spec_button(spec: ExperimentSpec) -> None:
    """The spec of a run to take along, for the command `train`."""
    st.download_button(
        "Its spec (TOML)",
        exports.as_toml(spec),
        exports.toml_name(spec),
        "application/toml",
        icon=":material/download:",
        on_click="ignore",
        help="Train it again, or a variant: `python -m tradeoff_core train FILE`",
    )


def selected(key: str) -> list[Any]:
    """The first of what each selected point of a figure carries; a browser may send anything as points."""
    selection = dict(dict(st.session_state.get(key) or {}).get("selection") or {})
    points = selection.get("points")
    data = (
        [point.get("customdata") for point in points if isinstance(point, dict)]
        if isinstance(points, list)
        else []
    )
    return [entry[0] if isinstance(entry, list) and entry else entry for entry in data]


def clicked(key: str) -> str | None:
    """The name that the clicked point of a figure carries, None if the click took the selection back."""
    names = [name for name in selected(key) if isinstance(name, str)]
    return names[0] if names else None


def chart(figure: Figure, name: str, **options: Any) -> None:
    """A figure as wide as its place, to take along with its data; `options` go to `plot`."""
    plot(figure, name, **options)
    with st.container(horizontal=True):
        st.download_button(
            "Data (CSV)",
            lambda: figures.as_csv(figure),
            f"{name}.csv",
            "text/csv",
            type="tertiary",
            icon=":material/download:",
            key=f"{name}-csv",
            on_click="ignore",
        )
        take_along.button(figure, name)
