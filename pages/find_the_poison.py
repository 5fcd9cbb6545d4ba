"""A game: mark the poisoned ones of 24 training images, then compare with the defenses and with chance."""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.components import cards, classroom, get_data, history, inspection, model_picker
from pages.components.poison_search.gallery import zipped
from pages.components.words import game as words
from pages.components.words import how_it_works
from pages.components.words.since_then import FINDERS
from tradeoff_core import figures
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.figures.pictures import as_uris
from tradeoff_core.findings.game import DEALT, Game, Level, images_of, levels_of

WIDTH = 104

model_picker.through_the_router()
st.title("Can you find the poison yourself?")


@st.cache_data(max_entries=16, show_spinner="Dealing")
def images(data_set: str, number: int) -> NDArray[np.uint8] | None:
    """The images of a level, None where others are on this machine than it was made with."""
    return images_of(levels_of(data_set)[number])


data_set, models = model_picker.data_set()
levels = levels_of(data_set)
here = get_data.offer(data_set, samples=False) and all(
    images(data_set, number) is not None for number in range(len(levels))
)
if not (here and levels):
    st.info(words.no_game(bool(levels)), icon=":material/info:")
    cards.how_it_works(how_it_works.FIND_THE_POISON)
    raise model_picker.PageEnds

of_data = "" if data_set == model_picker.FIRST else f"-{data_set}"
if history.moved():
    st.session_state.pop(f"game-{data_set}", None)
game: Game = st.session_state.setdefault(
    f"game-{data_set}", Game.read(st.query_params.get(f"marks{of_data}", ""), len(levels))
)
if game.answers or game.deals:  # so that a reload keeps them
    st.query_params[f"marks{of_data}"] = game.written()

if st.session_state.setdefault(f"level{of_data}", 0) not in range(len(levels)):
    st.session_state[f"level{of_data}"] = 0
number = st.segmented_control(
    "Level",
    range(len(levels)),
    default=0,
    format_func=lambda number: f"{number + 1}" + (" ✓" if number in game.answers else ""),
    required=True,
    key=f"level{of_data}",
    bind="query-params",
    help="Stickers first, from what is easiest to see to what is hardest; then patterns over the whole image.",
)
level = levels[number]
dealt = game.hand(number, level)
target = load_dataset(data_set, Split.TEST).classes[level.spec.target_class].replace("_", " ")
pictures = as_uris(images(data_set, number)[dealt], WIDTH)
st.markdown(words.task(number, len(levels), level, target))


def hint() -> NDArray[np.bool_] | None:
    """Which of the hand a detector suspects that is asked for it; None where none is."""
    if not level.later:
        if any(one.later for one in levels):
            st.caption(words.NO_HINT)
        return None
    asked = st.segmented_control(
        words.HINT,
        list(level.later),
        format_func=FINDERS.__getitem__,
        key=f"hint{of_data}-{number}",
        help=words.HINT_HELP,
    )
    if asked is None:
        return None
    suspected = level.later[asked][dealt]
    st.markdown(words.suspects(asked, int(suspected.sum())))
    return suspected


def ask() -> None:
    """The hand with a box under each image, the button that answers, and the hint that is asked for below both."""
    hand = st.container()
    suspected = hint()
    with hand, st.form("marks", border=False):
        with st.container(horizontal=True, key="hand"):
            ticked = []
            for place in range(DEALT):
                with st.container(width=WIDTH, gap=None):
                    show(place)
                    key = f"mark{of_data}-{number}-{game.deals.get(number, 0)}-{place}"
                    ticked.append(st.checkbox(f"{place + 1}: poisoned", key=key))
                    if suspected is not None:
                        st.caption("**suspected**" if suspected[place] else "not suspected")
        asked = st.form_submit_button("Show the answer", type="primary", icon=":material/visibility:")
        if asked and not any(ticked):
            st.warning("Tick at least one image first.", icon=":material/check_box:")
        elif asked:
            game.answers[number] = tuple(int(place) for place in np.flatnonzero(ticked))
            st.rerun()


def show(place: int) -> None:
    """An image of the hand."""
    st.image(pictures[place], width=WIDTH, alt=f"training image {place + 1}")


def answer(level: Level) -> None:
    """Who was right about what, the images with the truth, and the ways on."""
    scores = game.scores(number, level)
    best = max(score.right for score in scores.values())
    with st.container(horizontal=True):
        for name, score in scores.items():
            with st.container(width=190, gap=None):
                cards.number(
                    f"{score.right:.{0 if score.right == int(score.right) else 1}f} of {DEALT} right"
                )
                st.markdown(f"**{name}**" if score.right == best else name)
                st.caption(words.in_detail(score))
    if level.later:
        st.markdown(words.later(game.later(number, level)))
    with st.container(horizontal=True, key="hand"):
        for place in range(DEALT):
            with st.container(width=WIDTH, gap=None):
                show(place)
                st.caption(words.outcome(bool(level.poisoned[dealt][place]), place in game.answers[number]))
    classroom.show(game, number, level.poisoned[dealt], data_set)
    downloads(game.verdicts(number, level))
    model = next((model for model in models.values() if model.spec == level.spec), None)
    if model:
        inspection.button("game", model, level.spec.target_class, level.index[dealt].tolist())
    st.markdown(words.told(level, target))
    left, right = st.columns(2)
    if left.button("Deal this level again", icon=":material/replay:"):
        game.deal_again(number)
        st.rerun()
    if number + 1 < len(levels) and right.button(
        "Next level",
        type="primary",
        icon=":material/arrow_forward:",
        on_click=lambda: st.session_state.update({f"level{of_data}": number + 1}),
    ):
        st.rerun()


def downloads(columns: dict[str, NDArray[np.int64]]) -> None:
    """The hand to take along: who said what of each image, and the images."""
    rows = zip(*columns.values(), strict=True)
    table = "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)])
    pack = zipped(images(data_set, number)[dealt], columns["index"], table)
    with st.container(horizontal=True):
        for name, content, ending in (("verdicts (CSV)", table, "csv"), ("images (zip)", pack, "zip")):
            st.download_button(
                f"These {DEALT} {name}",
                content,
                f"level-{number + 1}.{ending}",
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
            )


if number in game.answers:
    answer(level)
else:
    ask()

if game.answers:
    st.header("So far" if len(game.answers) < len(levels) else "The end")
    totals = game.totals(levels)
    played = [f"{done + 1}: {words.trigger(levels[done])}" for done in sorted(game.answers)]
    cards.chart(figures.game_scores(played, totals, DEALT), name="game")
    st.markdown(words.so_far(totals, len(levels)))

cards.how_it_works(how_it_works.FIND_THE_POISON)
