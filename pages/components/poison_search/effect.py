"""What removing the flagged images does, in the runs that were measured."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from pages.components import cards
from pages.components.words.models import called
from pages.components.words.searching import against_chance, before_and_after, of_seeds
from tradeoff_core import figures
from tradeoff_core.findings import paper_tables, results
from tradeoff_core.models.zoo import Model


def of_removing(model: Model, ways: dict[str, Callable[[results.Defended], bool]]) -> None:
    """What retraining without the flagged images gave in the measured runs with this kind of poison.

    `ways` names the rows to show beside "nothing removed" and "as many at random", each with what picks its runs.
    """
    st.header("What does removing them do?")
    measured = [
        entry
        for entry in results.defended(model.spec.dataset)
        if entry.spec.training == model.spec.training and entry.spec.poison == model.spec.poison
    ]
    base = [entry for entry in measured if entry.method == "spectral-signatures" and entry.centred]
    if not (base and any(entry.after for entry in measured)):
        st.caption("No retrained networks come with this one; train one above.")
        return
    rows = [("nothing removed", [entry.before for entry in base])]
    ways = {"as many at random": lambda entry: entry.method == "random", **ways}
    rows += [row for name, belongs in ways.items() if (row := _row(name, list(filter(belongs, measured))))]
    cards.chart(figures.before_and_after(rows), name="before-and-after")
    st.markdown(before_and_after(rows))
    st.caption(of_seeds(base, called(model, model.spec.target_class)))


def _row(name: str, entries: Sequence[results.Defended]) -> tuple[str, list[dict[str, Any]]] | None:
    """A way's name and what the networks were after it; None if there are none, or not all of them were retrained."""
    if not entries or any(entry.numbers["n_removed"] and not entry.after for entry in entries):
        return None
    nothing = not any(entry.numbers["n_removed"] for entry in entries)
    after = [entry.after or entry.before for entry in entries]
    return (f"{name}<br>(flags nothing)" if nothing else name), after


def at_other_rates(
    model: Model,
    belongs: Callable[[results.Defended], bool],
    published: Sequence[paper_tables.PublishedDetection] = (),
) -> None:
    """Detection rate against chance over all measured poison rates and seeds, both kinds of poison."""
    every = results.defended(model.spec.dataset)
    entries = [entry for entry in every if entry.as_in_the_paper and belongs(entry)]
    if not entries:
        return
    st.header("At other poison rates, and by chance")
    cards.chart(figures.found_against_chance(entries, published), name="against-chance")
    st.markdown(against_chance(entries, bool(published)))
