"""What came after: the detectors and the removals since 2018, for one network, where they are measured."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.components import cards
from pages.components.words import since_then as words
from tradeoff_core import figures
from tradeoff_core.findings import detectors, removal
from tradeoff_core.findings.removal import Removed, Reopened
from tradeoff_core.models.zoo import Model

OTHER_WAYS = "Other ways to close it, and how few poisoned images bring it back"


def found(model: Model) -> None:
    """What every detector finds in the network."""
    measured = detectors.of_network(model.spec.dataset, model.sha256)
    if not measured:
        return
    st.header("What do other detectors find?")
    st.markdown(words.best_finder(measured))
    cards.chart(figures.detectors(measured, words.FINDERS), name="detectors")
    st.caption(words.WHAT_THEY_DO)


def removed(model: Model) -> None:
    """What every removal leaves of the network's back door, and how few poisoned images bring it back."""
    data = model.spec.dataset
    measured = [one for one in removal.removals(data) if one.sha256 == model.sha256]
    curves = [one for one in removal.reopenings(data) if one.sha256 == model.sha256 and not one.is_control]
    if not (measured or curves):
        return
    place = st.expander(OTHER_WAYS, icon=":material/healing:", key="removals", on_change="rerun")
    if place.open:
        with place:
            _left(measured)
            _back(curves, data)


def _left(measured: Sequence[Removed]) -> None:
    """What every removal leaves."""
    if measured:
        st.header("Other ways to close it")
        st.markdown(words.left_by(measured))
        table = pd.DataFrame([words.in_the_table(one) for one in measured])
        st.table(table.set_index("method"), border="horizontal")
        cards.table_buttons(table, "removals", "What each removal leaves", called="Removals")
        st.caption(
            "One seed and few settings tried: others may do better. ABL isolates by the final losses, and uses training images too."
        )


def _back(curves: Sequence[Reopened], data: str) -> None:
    """How few poisoned images bring the back door back."""
    if curves:
        every = removal.reopenings(data)
        controls = [one for one in every if one.is_control and one.trigger == curves[0].trigger]
        st.header("How few poisoned images bring it back?")
        st.markdown(words.reopened(curves, controls))
        cards.chart(figures.reopening(curves, words.METHODS), name="reopening")
        st.caption(
            "Each network is fine-tuned on 400 clean images and so many images of other digits that carry the trigger and the target's "
            "label (after arXiv 2410.09838, simplified)."
        )
