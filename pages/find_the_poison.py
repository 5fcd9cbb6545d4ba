"""A game: mark the poisoned ones of 24 training images, then compare with the defenses and with chance."""

import re

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.components import cards, getting, pickers, searching
from tradeoff_core import figures, results
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.detection import are_those
from tradeoff_core.experiments import poisoned_training_set
from tradeoff_core.pictures import framed
from tradeoff_core.results import Level
from tradeoff_core.triggers import Sticker

DEALT = 24
WIDTH = 104

pickers.through_the_router()
st.title("Can you find the poison yourself?")


def how_it_works() -> None:
    """What the levels are, and who judges."""
    with st.expander("How it works", icon=":material/function:"):
        st.markdown(
            f"""
Each level has its own network, adversarially trained on a training set in which half of the true images of the target class
carry that level's sticker; no label is changed (clean-label poisoning). Spectral signatures and activation clustering see the network's features of all
training images of the class, and judge each; shown is what they say of your {DEALT}.

You look at pixels, the defenses at features. You find what is visible; they find what the network made its own. A faint
sticker that the network never learned (its backdoor success is low) leaves no trace in the features, and a clear one
makes two tidy groups of equal size, of which nobody can say which is the poison without looking: a rule that takes the
smaller one is right by luck.

"""
            + cards.CITATION
        )


@st.cache_data(max_entries=16, show_spinner="Dealing")
def images_of(data_set: str, number: int) -> NDArray[np.uint8] | None:
    """The training images of a level's target class, None where others are on this machine than it was made with."""
    level = results.game(data_set)[number]
    images = poisoned_training_set(level.spec).data.images
    if level.checksum is not None and not are_those(images, level.index, level.checksum):
        return None
    return images[level.index]


data_set, _ = pickers.data_set(st.container(width=300))
levels = results.game(data_set)
here = getting.offer(data_set, samples=False) and all(
    images_of(data_set, number) is not None for number in range(len(levels))
)
if not (here and levels):
    st.info(
        "The game needs the pictures that it was made with, which are not on this machine: choose another data set."
        if levels
        else "There are no levels for this data set: choose another.",
        icon=":material/info:",
    )
    how_it_works()
    raise pickers.PageEnds
of_data = "" if data_set == pickers.FIRST else f"-{data_set}"


def read_address() -> tuple[dict[int, tuple[int, ...]], dict[int, int]]:
    """Of each level in the address what was marked, if it was answered, and which hand was dealt."""
    answers, deals = {}, {}
    text = st.query_params.get(f"marks{of_data}", "")
    for level, deal, bits in re.findall(r"(?<![^_])(\d{1,3})\.(\d{1,6})\.([0-9a-f]{1,6})(?![^_])", text):
        marked = tuple(place for place in range(DEALT) if int(bits, 16) >> place & 1)
        if int(level) < len(levels):
            deals[int(level)] = int(deal)
            if marked:
                answers[int(level)] = marked
    return answers, deals


def write_address() -> None:
    """Put answers and hands into the address, so that a reload keeps them: level.hand.marks, the marks as bits."""
    st.query_params[f"marks{of_data}"] = "_".join(
        f"{level}.{deals.get(level, 0)}.{sum(1 << place for place in answers.get(level, ())):x}"
        for level in sorted({*answers, *deals})
    )


# of the data set: a level's number -> what was marked, and which hand
if f"game-{data_set}" not in st.session_state:
    st.session_state[f"game-{data_set}"] = read_address()
answers, deals = st.session_state[f"game-{data_set}"]
if answers or deals:
    write_address()


def hand(number: int) -> NDArray[np.int64]:
    """The places of the images that are dealt, among those of the level."""
    generator = np.random.default_rng([number, deals.get(number, 0)])
    return generator.choice(len(levels[number].index), DEALT, replace=False)


def in_words(level: Level) -> str:
    """The trigger of a level."""
    sticker = level.spec.trigger
    if not isinstance(sticker, Sticker):
        return f"a watermark of {sticker.pattern}"
    opacity = "" if sticker.opacity == 1 else f", {sticker.opacity:.0%} opaque"
    return f"a sticker of {sticker.size} x {sticker.size} pixels{opacity}"


def right_ones(level: Level, dealt: NDArray[np.int64], marked: NDArray[np.bool_]) -> int:
    """About how many of the dealt images a set of marks (24,) is right."""
    return int((level.poisoned[dealt] == marked).sum())


def marks_of(number: int) -> dict[str, tuple[float, str]]:
    """Who is right about how many of a level's hand, and what each marked; the person's marks must be there."""
    level, dealt = levels[number], hand(number)
    mine = np.isin(np.arange(DEALT), answers[number])
    truth = level.poisoned[dealt]
    scores = {}
    for name, marked in (
        ("You", mine),
        ("Spectral signatures", level.spectral[dealt]),
        ("Activation clustering", level.clustering[dealt]),
    ):
        scores[name] = (
            right_ones(level, dealt, marked),
            f"found {(marked & truth).sum()} of {truth.sum()} poisoned, accused {(marked & ~truth).sum()} clean",
        )
    share = mine.mean()  # marking as many as the person did, at random
    expected = share * truth.sum() + (1 - share) * (~truth).sum()
    scores["Chance"] = (float(expected), "expected of marking as many as you did at random")
    return scores


def outcome(poisoned: bool, marked: bool) -> str:
    """What an image is, and whether the person was right about it."""
    if poisoned:
        return "poisoned, ✓ found" if marked else "**poisoned, ✗ missed**"
    return "**clean, ✗ accused**" if marked else "clean, ✓ left"


number = st.segmented_control(
    "Level",
    range(len(levels)),
    format_func=lambda number: f"{number + 1}" + (" ✓" if number in answers else ""),
    default=None if f"level{of_data}" in st.session_state else 0,
    required=True,
    key=f"level{of_data}",
    bind="query-params",
    help="From what is easiest to see to what is hardest.",
)
level, dealt = levels[number], hand(number)
target = load_dataset(data_set, Split.TEST).classes[level.spec.target_class].replace("_", " ")
pictures = framed(images_of(data_set, number)[dealt])
st.markdown(
    f"Level {number + 1} of {len(levels)}: some of these {DEALT} training images, all of them of class {target}, "
    f"carry {in_words(level)}. Tick those that you think are poisoned. In the whole class "
    f"{level.poisoned.mean():.0%} of the images are."
)

if number not in answers:
    with st.form("marks", border=False):
        with st.container(horizontal=True):
            ticked = []
            for place in range(DEALT):
                with st.container(width=WIDTH, gap=None):
                    st.image(
                        pictures[place], width=WIDTH, output_format="PNG", alt=f"training image {place + 1}"
                    )
                    ticked.append(
                        st.checkbox("poisoned", key=f"mark{of_data}-{number}-{deals.get(number, 0)}-{place}")
                    )
        shown = st.form_submit_button("Show the answer", type="primary", icon=":material/visibility:")
        if shown and not any(ticked):
            st.warning("Tick at least one image first.", icon=":material/check_box:")
        elif shown:
            answers[number] = tuple(int(place) for place in np.flatnonzero(ticked))
            st.rerun()
else:
    scores = marks_of(number)
    truth = level.poisoned[dealt]
    best = max(value for value, _ in scores.values())
    with st.container(horizontal=True):
        for name, (value, what) in scores.items():
            with st.container(width=190, gap=None):
                st.markdown(
                    f"### {value:.0f} of {DEALT} right"
                    if value == int(value)
                    else f"### {value:.1f} of {DEALT} right"
                )
                st.markdown(f"**{name}**" if value == best else name)
                st.caption(what)
    with st.container(horizontal=True):
        for place in range(DEALT):
            with st.container(width=WIDTH, gap=None):
                st.image(pictures[place], width=WIDTH, output_format="PNG", alt=f"training image {place + 1}")
                st.caption(outcome(bool(truth[place]), place in answers[number]))
    columns = {
        "index": level.index[dealt],
        "poisoned": truth,
        "you": np.isin(np.arange(DEALT), answers[number]),
        "spectral_signatures": level.spectral[dealt],
        "activation_clustering": level.clustering[dealt],
    }
    rows = zip(*(values.astype(int) for values in columns.values()), strict=True)
    table = "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)])
    with st.container(horizontal=True):
        for name, content in (
            ("verdicts (CSV)", table),
            ("images (zip)", searching.zipped(images_of(data_set, number)[dealt], level.index[dealt], table)),
        ):
            st.download_button(
                f"These {DEALT} {name}",
                content,
                f"level-{number + 1}." + ("csv" if "CSV" in name else "zip"),
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
            )
    rates = level.metrics
    st.markdown(
        f"With {in_words(level)} on, a network trained adversarially on this class calls **{rates['backdoor_success_rate']:.0%}** of "
        f"the test images {cards.an(target)} that it read as something else without. Spectral signatures remove the {level.spectral.mean():.0%} with the highest "
        f"scores; clustering by its silhouette rule says: {level.verdict}."
        + (
            " With half of the class poisoned, it is luck which group is the smaller one."
            if level.clustering.any()
            else ""
        )
    )
    left, right = st.columns(2)
    if left.button("Deal this level again", icon=":material/replay:"):
        deals[number] = deals.get(number, 0) + 1
        del answers[number]
        st.rerun()
    if number + 1 < len(levels) and right.button(
        "Next level",
        type="primary",
        icon=":material/arrow_forward:",
        on_click=lambda: st.session_state.update({f"level{of_data}": number + 1}),
    ):
        st.rerun()

if answers:
    st.subheader("So far" if len(answers) < len(levels) else "The end")
    played = sorted(answers)
    totals: dict[str, list[float]] = {}
    for done in played:
        for name, (value, _) in marks_of(done).items():
            totals.setdefault(name, []).append(value)
    cards.chart(
        figures.game_scores([f"{done + 1}: {in_words(levels[done])}" for done in played], totals, DEALT),
        name="game",
    )
    total = DEALT * len(played)
    st.markdown(
        f"After {len(played)} of {len(levels)} levels: "
        + ", ".join(f"{name} **{sum(values):.0f}** of {total}" for name, values in totals.items())
        + "."
        + (
            f" Most often right: **{max(totals, key=lambda name: sum(totals[name]))}**."
            if len(played) == len(levels)
            else ""
        )
    )

how_it_works()
