"""How much of the paper is measured here, and how near it comes: two figures, a verdict by data set, and the clicked row's run."""

from collections.abc import Sequence

import streamlit as st

from pages.components import cards
from pages.components.words.paper import measured_on
from tradeoff_core import figures
from tradeoff_core.findings import agreement, paper_tables
from tradeoff_core.findings.agreement import Covered, Verdict
from tradeoff_core.findings.paper_tables import DATASETS, METRICS, TABLES, Row
from tradeoff_core.models import zoo

FIGURE, ADDRESS = "published-against-ours", "row"


def coverage_sentence(covered: Sequence[Covered]) -> str:
    """How many of the published rows have ours beside them, in all and by data set."""
    here, published = (sum(getattr(one, name) for one in covered) for name in ("here", "published"))
    each = ", ".join(f"{DATASETS[one.dataset]} {one.here} of {one.published}" for one in covered)
    return f"**{here} of {published}** published rows have ours beside them: {each}. *Table by table* says why the others have none."


def verdict_line(one: Verdict) -> str:
    """What a data set's rows say together."""
    name = measured_on(one.dataset)
    if not one.known or one.distance is None:
        return f"- **{name}**: no defense is measured yet."
    line = f"- **{name}**: backdoor success moves the paper's way in {one.alike} of {one.known} rows"
    if one.alike:
        line += f", in {'all' if one.steady == one.alike else one.steady} of these with every seed"
    return f"{line}. For half of all its rows it is within {100 * one.distance:.0f} points of the published number."


def row_in_words(row: Row) -> str:
    """A row's published numbers and ours."""
    numbers = "; ".join(
        f"{METRICS[name].lower()} {row.published[name]:.1%} published, {mean:.1%} here"
        for name in agreement.KINDS
        if name in row.published and (mean := row.mean(name)) is not None
    )
    return f"{TABLES[row.table].title.partition(':')[0]}, {measured_on(row.dataset)}, {row.condition}: {numbers}."


def _models() -> dict[object, str]:
    """The networks of the repository by how they were trained."""
    return {zoo.find_model(name).spec.as_trained: name for name in zoo.model_ids()}


def _included(row: Row) -> str | None:
    """The model of the repository that a row was measured of, None if it is not included."""
    models = _models()
    return next((models[spec.as_trained] for spec in row.specs if spec.as_trained in models), None)


def _pick(rows: dict[str, Row]) -> None:
    """Note the clicked row in the address, and make its network model B if it is in the repository."""
    name = cards.clicked(FIGURE)
    if name in rows:
        st.query_params[ADDRESS] = name
        if model := _included(rows[name]):
            st.session_state["B"] = model


def section() -> None:
    """Coverage, the verdicts, every number against the published one, and the run of the row that was clicked."""
    rows = {row.name: row for row in paper_tables.rows() if row.published and row.measured}
    picked = st.query_params.get(ADDRESS)
    covered = agreement.covered()
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown(coverage_sentence(covered))
        cards.chart(figures.coverage_bars(covered), name="paper-coverage")
        st.markdown("\n".join(verdict_line(one) for one in agreement.verdicts()))
    with right:
        cards.chart(
            figures.published_against_ours(agreement.pairs(), picked if picked in rows else None),
            name=FIGURE,
            on_select=lambda: _pick(rows),
            selection_mode="points",
        )
        st.caption(
            "A point is one number of a row, here the mean of the seeds. Circles: MNIST. Squares: CIFAR-10. Diamonds: ImageNet. "
            "Click a point to open its run."
        )
    if picked in rows:
        _opened(rows[picked])


def _opened(row: Row) -> None:
    model = _included(row)
    st.info(
        row_in_words(row)
        + (" It is now model B on every page." if model else " Its network is not included.")
        + (f" Ours differs: {row.differs}." if row.differs else ""),
        icon=":material/ads_click:",
    )
    if row.specs:
        cards.spec_button(row.specs[0])
