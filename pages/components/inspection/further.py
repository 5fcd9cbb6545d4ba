"""Columns by the detectors that take seconds: each is computed when it is asked for, and kept as every score is."""

from collections.abc import Callable

import streamlit as st

from pages.components import cache, visitors_turn
from pages.components.inspection import detail
from pages.components.words import inspecting as words
from pages.components.words.since_then import FINDERS
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.finding import LATER, WORDS, Evidence, Finder, suspicion
from tradeoff_core.inspection.table import GREY, Table
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks.inference import Floats

OVER_EPOCHS = "loss_over_epochs"
IMPORTED = "imported"  # the column of scores that were brought in
OF_EVERYTHING = (
    Finder.SPECTRE,
    Finder.ISOLATION,
)  # the others look at the pictures again: of photographs for minutes


def chosen(model: Model, table: Table) -> dict[str, Floats]:
    """The columns that are asked for, by their names in files, with what each tells or why it cannot be had."""
    asked = st.pills(
        words.FURTHER,
        LATER,
        selection_mode="multi",
        format_func=lambda finder: FINDERS[finder],
        key="scores",
        bind="query-params",
        help=words.FURTHER_HELP,
    )
    refused = {finder: why for finder in asked if (why := why_not(finder, model, table))}
    columns = {finder.value: column(finder, model, table) for finder in asked if finder not in refused}
    told = [refused.get(finder) or words.tells(FINDERS[finder], WORDS[finder]) for finder in asked]
    if told:
        st.caption("\n\n".join(told + [words.WHERE_THEY_ARE] * bool(columns)))
    return columns


def why_not(finder: Finder, model: Model, table: Table) -> str:
    """Why a detector cannot be asked, in a sentence; nothing where it can."""
    if finder is Finder.ISOLATION and detail.by_epoch(model, table) is None:
        return words.no_losses(FINDERS[finder])
    if finder not in OF_EVERYTHING and cache.image_shape(model)[0] != GREY:
        return words.of_digits_alone(FINDERS[finder])
    return ""


def column(finder: Finder, model: Model, table: Table) -> Floats:
    """What a detector says of the table's examples (N,), computed once for these weights, behind a bar."""
    place = cache.place_of("further", model, table.label, table.layer, finder)
    if place.value is not None:
        kept: Floats = place.value
        return kept
    doing = words.asking(FINDERS[finder])
    bar = st.progress(0.0, doing)
    with visitors_turn.turn():
        found: Floats = place.filled(
            lambda: ask(finder, model, table, lambda share: bar.progress(share, doing))
        )
    bar.empty()
    return found


def ask(finder: Finder, model: Model, table: Table, progress: Callable[[float], None]) -> Floats:
    """What a detector says of them now. Raises TradeoffError as detectors do."""
    data = model.spec.dataset
    evidence = Evidence(
        cache.network(model),
        cache.poisoned(model),
        cache.examples(model, table.label, table.layer).seen,
        load_dataset(data, Split.VALIDATION),
        detail.by_epoch(model, table),
        model.spec.seed,
    )
    return suspicion(finder, evidence, progress=progress)


def title_of(name: str) -> str:
    """A column that not every table has, in words."""
    return {OVER_EPOCHS: words.OVER_EPOCHS, IMPORTED: words.IMPORTED}.get(name) or FINDERS[name]
