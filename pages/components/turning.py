"""Where the finding turns: by the poison rate, and by the trigger's size and amplitude."""

from collections.abc import Callable, Sequence

import streamlit as st

from pages.components import cards
from pages.components.words.turning import conspicuous, map_in_words, rates_in_words, theories_in_words
from tradeoff_core import figures
from tradeoff_core.findings import results, theories
from tradeoff_core.findings.results import Run
from tradeoff_core.poisoning.triggers import Sticker, Watermark


def maps(dataset: str) -> tuple[Run, ...]:
    """The runs of both maps."""
    return results.sweep("maps", dataset)


def section(
    dataset: str, rates: Sequence[Run], pick: Callable[[str], None], tell_picked: Callable[[], None]
) -> None:
    """The curves of `rates`, a click on which calls `pick`, and both maps, as far as they are measured."""
    if rates:
        st.header("How much poison does it take?")
        cards.chart(
            figures.by_poison_rate(rates),
            name="by_poison_rate",
            on_select=lambda: pick("by_poison_rate"),
            selection_mode="points",
        )
        tell_picked()
        st.markdown(rates_in_words(rates))
        st.caption(
            "Clean-label: the sticker is on this share of the true sevens, a tenth of it of the whole data set. Trained with "
            f"the fast recipe (PGD-5, half width).{conspicuous(rates)}"
        )
    if maps(dataset):
        st.header("Where does the finding turn?")
        _both_maps(dataset)


def _both_maps(dataset: str) -> None:
    """The sticker's size and the watermark's amplitude against the training ε."""
    stickers = [run for run in maps(dataset) if isinstance(run.spec.trigger, Sticker)]
    watermarks = [run for run in maps(dataset) if isinstance(run.spec.trigger, Watermark)]
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("The sticker's size")
        cards.chart(
            figures.turning_map(stickers, lambda run: run.spec.trigger.size, "side in pixels"),
            name="map-size",
        )
        st.markdown(map_in_words(stickers, lambda run: run.spec.trigger.size, "side", "pixel"))
    with right:
        st.subheader("The watermark's amplitude")
        cards.chart(
            figures.turning_map(
                watermarks,
                lambda run: run.spec.trigger.amplitude,
                "amplitude of the stripes",
                budget=True,
                scale=theories.core_scale(dataset, watermarks[0].spec.target_class) if watermarks else None,
            ),
            name="map-amplitude",
        )
        st.markdown(map_in_words(watermarks, lambda run: run.spec.trigger.amplitude, "amplitude", ""))
    st.markdown(theories_in_words(theories.right(theories.map_cells(dataset))))
    st.caption(
        "Brightness and the number in each cell: backdoor success, seed 0, the fast recipe (PGD-5, half width). Below the "
        "orange line a perturbation within the training ε can erase the watermark."
    )
