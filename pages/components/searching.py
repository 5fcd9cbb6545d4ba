"""What the pages that search a training set share: the images found, the truth, and what removing them does."""

import csv
import functools
import io
import time
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from pages.components import cards, getting, loaders, pickers
from pages.components.own import RUNS
from tradeoff_core import figures, published, results
from tradeoff_core.datasets import available, to_tensor
from tradeoff_core.defenses.detection import Detection, Examples
from tradeoff_core.defenses.models import without
from tradeoff_core.errors import TradeoffError
from tradeoff_core.experiments import run_experiment
from tradeoff_core.paths import read_only
from tradeoff_core.training import Progress
from tradeoff_core.zoo import Model

PAGE = 24  # images shown at once
TRUTH_HELP = (
    "We poisoned this training set ourselves, so the truth is known. A defender does not have it: look first, "
    "then reveal it."
)


def fragment(draw: Callable[..., None]) -> Callable[..., None]:
    """Like st.fragment; an error that a user can cause is one sentence also where only the fragment runs again."""

    @functools.wraps(draw)
    def guarded(*arguments: Any) -> None:
        try:
            draw(*arguments)
        except TradeoffError as error:
            st.error(str(error), icon=":material/error:")

    return st.fragment(guarded)


def class_and_layer(model: Model, left: DeltaGenerator, right: DeltaGenerator) -> tuple[int, str] | None:
    """Which training images are inspected, and where in the network they are compared.

    Without the training set these are the class and the layer that are shipped with the network; None, and one sentence,
    where none are.
    """
    every = names = cards.class_names(model)
    layers, target = list(loaders.network(model).layers), every[model.spec.target_class]
    if not getting.offer(model.spec.dataset, samples=False):
        shipped = results.load_examples(model.sha256)
        if shipped is None:
            st.info(
                "Without the training images of this network there is nothing to inspect.",
                icon=":material/info:",
            )
            return None
        names, layers = [every[shipped.seen.label]], [shipped.layer]
    with left:
        name = pickers.chosen_from(
            "Class",
            names,
            "class",
            target,
            help="Training images with this label are inspected. A defender would try them all"
            + (f"; the poison is in the class {target}." if model.spec.poison else "."),
        )
    with right:
        layer = pickers.chosen_from(
            "Layer",
            layers,
            "layer",
            layers[-1],
            help="Where in the network the images are compared. *Penultimate* is the last before the answer.",
        )
    return every.index(name), layer


def truth(model: Model, place: DeltaGenerator) -> bool:
    """Whether to reveal the truth, which is known of training sets that we poisoned ourselves."""
    if model.trained_elsewhere:
        return False
    return place.toggle("Reveal the truth", key="truth", bind="query-params", help=TRUTH_HELP)


def selectable(figure: go.Figure, key: str, drag: str, remember: Callable[[list[int]], None]) -> None:
    """A figure whose points can be clicked, or dragged over: Streamlit lets one tool at a time select.

    `drag` is plotly's tool ("select" or "lasso"); `remember` is told the customdata of what is selected.
    """
    tools = {"click": "Click", drag: {"select": "Drag over a range", "lasso": "Draw a lasso"}[drag]}
    tool = st.segmented_control(
        "Select images by",
        list(tools),
        format_func=tools.__getitem__,
        default=next(iter(tools)) if drag == "select" else drag,
        required=True,
        key=f"{key}-tool",
        bind="query-params",
    )
    figure.update_layout(dragmode="pan" if tool == "click" else drag)

    def selected() -> None:
        # copied at once: plotly forgets a selection as soon as the figure changes
        data = [point.get("customdata") for point in st.session_state[key].selection.points]
        remember(sorted({int(np.ravel(entry)[0]) for entry in data if entry is not None}))

    cards.plot(figure, key, on_select=selected, selection_mode=("points", "box", "lasso"))


def numbers(detection: Detection, score: str) -> None:
    """The rates of a detection beside chance; only with the truth revealed. `score` says what is scored."""
    found, wrong = detection.detection_rate, detection.false_positive_rate
    if not found.n:
        st.info(
            "Nothing in this class is poisoned"
            + (
                f": all {wrong.count:,} images that would be removed are clean."
                if wrong.count
                else ", and nothing is removed."
            ),
            icon=":material/info:",
        )
        return
    with st.container(horizontal=True):
        for name, value, text in (
            (
                "Detection rate",
                f"{found.value:.0%}",
                f"Share of the poisoned images that are removed: {found.count:,} of {found.n:,}.",
            ),
            (
                "Chance",
                f"{detection.chance:.0%}",
                "What removing as many images at random would find on average: the share of the class removed.",
            ),
            (
                "False positives",
                f"{wrong.value:.0%}",
                f"Share of the clean images that are removed: {wrong.count:,} of {wrong.n:,}.",
            ),
            (
                "AUROC",
                f"{detection.auroc:.2f}",
                f"Chance that a poisoned image scores above a clean one: 0.5 is guessing, 1 is perfect. The score is "
                f"{score}.",
            ),
            (
                "Mean precision",
                f"{detection.average_precision:.2f}",
                "Average precision: the share of poison among what is removed, averaged over all lines. Guessing "
                f"gives the share of poison, {detection.poisoned.mean():.2f}.",
            ),
        ):
            with st.container(width=132, gap=None):
                st.markdown(f"### {value}")
                st.markdown(name, help=text)


def images(count: int) -> str:
    """A number of images, in words."""
    return f"{count:,} image" + ("" if count == 1 else "s")


def gallery(
    model: Model,
    read: Examples,
    detection: Detection,
    chosen: NDArray[np.int64],
    truth: bool,
    name: str,
    score: str,
) -> None:
    """Training images at the places `chosen` of a detection, most suspicious first, with their export.

    `score` says in a few words what is scored. Without the training set their list alone.
    """
    st.caption(
        f"Below each: its label, what the network reads, its score ({score}), and whether it would be removed."
    )
    chosen = chosen[np.argsort(-detection.scores[chosen], kind="stable")]
    pages = -(-len(chosen) // PAGE)
    page = st.pagination(pages, key=f"{name}-page") - 1 if pages > 1 else 0
    shown = chosen[page * PAGE : (page + 1) * PAGE]
    here, label = available(model.spec.dataset), cards.called(model, read.seen.label)
    captions = []
    for place in shown:
        fate = "removed" if detection.removed[place] else "kept"
        kind = (", **poisoned**" if detection.poisoned[place] else ", clean") if truth else ""
        captions.append(
            f"label {label}, read {cards.called(model, int(read.predicted[place]))}, score {detection.scores[place]:.2f}, {fate}{kind}"
        )
    left, right = st.columns(2)
    if here and len(shown):
        pixels = loaders.poisoned(model).data.images[detection.index[shown]]
        cards.pictures(to_tensor(pixels), captions, width=92)
    elif len(shown):
        listed = [f"image {detection.index[place]}" for place in shown]
        st.dataframe(
            pd.DataFrame(
                {
                    "training image": listed,
                    "what is known of it": [caption.replace("**", "") for caption in captions],
                }
            ),
            hide_index=True,
            height=200,
        )
    if here:
        left.download_button(
            f"These {images(len(chosen))} (zip)",
            lambda: as_zip(model, read, detection, chosen, truth),
            f"{name}.zip",
            "application/zip",
            icon=":material/download:",
            type="tertiary",
            key=f"{name}-zip",
            on_click="ignore",
        )
    flagged = np.flatnonzero(detection.removed)
    right.download_button(
        f"All {len(flagged):,} flagged, as a list (CSV)",
        as_csv(read, detection, flagged, truth),
        f"{name}-flagged.csv",
        "text/csv",
        icon=":material/download:",
        type="tertiary",
        key=f"{name}-csv",
        on_click="ignore",
    )


def as_csv(read: Examples, detection: Detection, chosen: NDArray[np.int64], truth: bool) -> str:
    """The examples at `chosen` as a CSV table; the truth is a column only if it is revealed."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["index", "label", "read_as", "score", "removed", *(["poisoned"] if truth else [])])
    for place in chosen:
        row: list[Any] = [detection.index[place], read.seen.label, read.predicted[place]]
        row += [f"{detection.scores[place]:.6g}", int(detection.removed[place])]
        writer.writerow([*row, int(detection.poisoned[place])] if truth else row)
    return table.getvalue()


def as_zip(
    model: Model, read: Examples, detection: Detection, chosen: NDArray[np.int64], truth: bool
) -> bytes:
    """The images at `chosen` and their table."""
    index = detection.index[chosen]
    table = as_csv(read, detection, chosen, truth)
    return zipped(loaders.poisoned(model).data.images[index], index, table)


def zipped(images: NDArray[np.uint8], index: NDArray[np.int64], table: str) -> bytes:
    """Images (N, H, W, C) as PNG files named by their index in the training set, and a table about them."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as pack:
        pack.writestr("images.csv", table)
        for image, number in zip(images, index, strict=True):
            picture = io.BytesIO()
            Image.fromarray(image.squeeze()).save(picture, "PNG")
            pack.writestr(f"{number:05d}.png", picture.getvalue())
    return archive.getvalue()


def effect(model: Model, ways: dict[str, Callable[[results.Defended], bool]]) -> None:
    """What retraining without the flagged images gave in the measured runs with this kind of poison.

    `ways` names the rows to show beside "nothing removed" and "as many at random", each with what picks its runs.
    """
    st.subheader("What does removing them do?")
    measured = [
        entry
        for entry in results.defended(model.spec.dataset)
        if entry.spec.training == model.spec.training and entry.spec.poison == model.spec.poison
    ]
    rows: list[tuple[str, Sequence[dict[str, Any]]]] = []
    base = [entry for entry in measured if entry.method == "spectral-signatures" and entry.centred]
    if base and any(entry.after for entry in measured):
        rows.append(("nothing removed", [entry.before for entry in base]))
        ways = {"as many at random": lambda entry: entry.method == "random", **ways}
        for name, belongs in ways.items():
            entries = [entry for entry in measured if belongs(entry)]
            if any(entry.numbers["n_removed"] and not entry.after for entry in entries):
                continue  # not all of these were retrained
            after = [entry.after or entry.before for entry in entries]
            nothing = not any(entry.numbers["n_removed"] for entry in entries)
            if after:
                rows.append((f"{name}<br>(flags nothing)" if nothing else name, after))
        cards.chart(figures.before_and_after(rows), name="before-and-after")
        st.markdown(in_a_sentence(rows))
        seeds = ", ".join(str(entry.spec.seed) for entry in base)
        of_seeds = f"seeds {seeds} (small markers) and their mean" if len(base) > 1 else f"seed {seeds}"
        st.caption(
            f"Networks trained anew after removing, {of_seeds}; {base[0].before['n']:,} test images, "
            f"{base[0].before['target_n']} of class {cards.called(model, model.spec.target_class)} for its recall: the share of "
            "its true images that are still read as it. Removing many of a class costs recall, and a "
            "network that hardly ever answers with a class cannot be sent to it either: so look at both."
        )
    else:
        st.caption("No retrained networks come with this one; train one above.")


def at_other_rates(
    model: Model,
    belongs: Callable[[results.Defended], bool],
    published: Sequence[published.PublishedDetection] = (),
) -> None:
    """Detection rate against chance over all measured poison rates and seeds, both kinds of poison."""
    every = results.defended(model.spec.dataset)
    entries = [entry for entry in every if entry.as_in_the_paper and belongs(entry)]
    if not entries:
        return
    st.subheader("At other poison rates, and by chance")
    cards.chart(figures.found_against_chance(entries, published), name="against-chance")
    kinds = {
        "dirty-label": "dirty-label with standard training",
        "clean-label": "clean-label with adversarial training",
    }
    means = []
    for labels, kind in kinds.items():
        most = largest(
            [entry for entry in entries if entry.spec.poison and entry.spec.poison.labels == labels]
        )
        if most:
            found, chance = (
                np.mean([entry.numbers[name] for entry in most]) for name in ("detection_rate", "chance")
            )
            seeds = f"{len(most)} seed{'s' if len(most) > 1 else ''}"
            removes = found or chance
            means.append(
                f"{kind} ({seeds}): "
                + (
                    f"**{found:.0%}** found, chance **{chance:.0%}**"
                    if removes
                    else "the rule removes **nothing**"
                )
            )
    st.markdown(
        "Removing at random lands on the dotted line; further left, less of the data set is poisoned. At the largest poison "
        f"rate, {'; '.join(means)}."
        + (
            " Hollow markers are the paper's for CIFAR-10, for 5%, 1% and 0.5% of the data set; compare directions, not "
            "decimals."
            if published
            else " The paper does not give the sizes of the clusters it removed, so what chance would find is unknown there."
        )
    )


def largest(entries: Sequence[results.Defended]) -> list[results.Defended]:
    """Those with the highest poison rate."""
    most = max((entry.spec.poison.rate for entry in entries if entry.spec.poison), default=0)
    return [entry for entry in entries if entry.spec.poison and entry.spec.poison.rate == most]


def in_a_sentence(rows: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> str:
    """Backdoor success before and after, in words."""
    mean = {
        name.partition("<br>")[0]: float(np.mean([rates["backdoor_success_rate"] for rates in seeds]))
        for name, seeds in rows
    }
    before, *after = mean.items()
    return (
        f"Backdoor success is **{before[1]:.0%}** with nothing removed; after retraining it is "
        + ", ".join(f"**{value:.0%}** ({name})" for name, value in after)
        + "."
    )


def retrain_now(model: Model, detection: Detection) -> None:
    """A button that trains the network anew without the removed images; a run that was broken off goes on."""
    count = int(detection.removed.sum())
    if not count:
        st.caption("Nothing is removed, so there is nothing to retrain without.")
        return
    if read_only():
        return
    if model.trained_elsewhere:
        st.caption("This network was trained elsewhere, so it cannot be retrained here.")
        return
    if not available(model.spec.dataset):
        st.caption("To retrain without them, get the data set first.")
        return
    spec = without(model.spec, detection.index[detection.removed])
    folder = RUNS / spec.id
    minutes = model.card["training_seconds"] / 60
    if not (folder / "result.json").exists() and not st.button(
        f"Retrain now without these {count:,} images (about {max(1, round(minutes))} min)",
        icon=":material/model_training:",
        key="retrain",
    ):
        return
    bar = st.progress(0.0, "Training")
    started = time.perf_counter()

    def show(entry: Progress) -> None:
        done = entry.epoch / entry.epochs
        left = (time.perf_counter() - started) / entry.epoch * (entry.epochs - entry.epoch)
        bar.progress(
            done,
            f"Epoch {entry.epoch} of {entry.epochs}, about {left:.0f} s left; then it is measured",
        )

    rates = run_experiment(spec, folder, show)["metrics"]
    bar.empty()
    before = model.card["metrics"]
    st.success(
        f"Retrained without these {count:,} images: backdoor success {before['backdoor_success_rate']:.0%} → "
        f"{rates['backdoor_success_rate']:.0%}, clean accuracy {before['clean_accuracy']:.0%} → "
        f"{rates['clean_accuracy']:.0%}, adversarial accuracy {before['adversarial_accuracy']:.0%} → "
        f"{rates['adversarial_accuracy']:.0%}. The run lies in {folder}.",
        icon=":material/check:",
    )
