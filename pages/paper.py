"""Every number the paper published, and ours beside it."""

from collections.abc import Sequence

import streamlit as st

from pages.components import agreement, cards, model_picker
from pages.components.departures import ledger_sentence, ledger_table
from pages.components.words import how_it_works
from pages.components.words.paper import (
    as_numbers,
    as_shown,
    beside_chance,
    counted,
    in_short,
    photographs,
    trained_twice,
    verdicts,
)
from tradeoff_core import figures
from tradeoff_core.findings import ledger, paper_tables
from tradeoff_core.findings.paper_tables import Comparison, Row

EVERYTHING = "all"
TABLES, NEARNESS, DEPARTURES = "Table by table", "How near it comes", "What we do otherwise"


def table_by_table(everywhere: Sequence[Comparison]) -> None:
    """A table of the paper: its figure, its verdicts, every row, and a run to train again."""
    tables = {name: table.title for name, table in paper_tables.TABLES.items()}
    chosen: str = st.selectbox(
        "Table of the paper",
        [*tables, EVERYTHING],
        format_func=lambda name: tables.get(
            name,
            f"All {sum(bool(row.published) for row in paper_tables.rows())} published rows, and ours",
        ),
        key="table",
        bind="query-params",
        help="Main tables 1 and 3, and the supplement's. Main table 2 could not be found.",
    )
    rows = paper_tables.rows(None if chosen == EVERYTHING else chosen)
    comparisons = paper_tables.comparisons(chosen) if chosen in paper_tables.TRADEOFFS else []

    if comparisons:
        cards.chart(figures.arrows(comparisons), name=f"paper-{chosen}-figure")
        st.markdown(verdicts(comparisons))
        st.caption(
            "An arrow goes from a network without a defense against adversarial examples to one with it: to the right, its "
            "back door opens. Dotted: published. Solid: measured here, with a tick for each seed."
        )

    st.markdown(counted(everywhere))
    every_row(rows, chosen, tables.get(chosen, "Every published row"))
    runs = {f"{run.spec.dataset}, {run.condition}, seed {run.seed}": run for row in rows for run in row.runs}
    if runs:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            again = st.selectbox("A run to train again, or to vary", list(runs), key="run", width=380)
            cards.spec_button(runs[again].spec)


def every_row(rows: Sequence[Row], name: str, title: str) -> None:
    """The rows as a table, with what its columns mean."""
    shown = as_shown(rows)
    st.dataframe(
        shown,
        hide_index=True,
        width="stretch",
        height="content" if len(rows) < 25 else 600,
        column_config={
            "Data set": st.column_config.Column(pinned=True, width=85),
            "Condition": st.column_config.Column(pinned=True, width=250),
            "Ours differs in, or why there is none": st.column_config.Column(width=420),
        },
    )
    if name != EVERYTHING and paper_tables.TABLES[name].note:
        st.caption(paper_tables.note(name))
    cards.table_buttons(shown, f"paper-{name}", title, as_numbers(rows))
    st.caption(
        "*here*: mean of the seeds and, in brackets, the lowest and the highest of them."
        + (
            " *Clean* and *Adversarial* are accuracies, *Backdoor* is backdoor success; on 1,000 test digits or 10,000 pictures "
            "of CIFAR-10. *PGD-40* is the attack that the rest of this app measures digits with (l∞ ε "
            "0.3); the other columns are under the attack of the paper's row, or under PGD-20 where that is said."
            if any(paper_tables.RATES[0] in paper_tables.TABLES[row.table].metrics for row in rows)
            else ""
        )
    )


def what_we_do_otherwise() -> None:
    """The ledger of departures, and what the numbers should not be taken for."""
    departures = ledger.entries()
    st.markdown(ledger_sentence(departures))
    kept = ledger_table(departures)
    st.dataframe(
        kept,
        hide_index=True,
        width="stretch",
        height="content",
        column_config={
            "Ours": st.column_config.Column(width=230),
            "The paper's": st.column_config.Column(width=330),
        },
    )
    st.caption(
        "Digits: the mean of the seeds (and the lowest and highest) our way → the paper's way, all else alike. For targeted FGSM, l2 and CIFAR-10's wide "
        "network the authors published no code."
    )
    st.header("To be read with open eyes")
    st.markdown(open_eyes())


def open_eyes() -> str:
    """What a reader should know of the numbers."""
    return f"""
- **Fewer digits, narrower networks.** We train on 3,600 digits where the paper has 60,000, at half of its width, with
  a shorter schedule and three seeds for its ten. Compare directions and sizes of effects, not decimals.
- **Trained twice.** {trained_twice()}
- **Photographs for a laptop.** {photographs()}
- **Weak attacks flatter.** PGD with 5 or 10 steps leaves more than a stronger attack would. *PGD-40* is beside ours;
  each digits model's card also holds PGD-100 with five restarts and AutoAttack.
- **A typing error, or not.** Two MNIST rows of supplement table 1 print the same number for clean and adversarial
  accuracy; main table 1a has another clean accuracy for one of them.
- **Chance.** A defense that removes k of a class's n examples finds k/n of its poison by luck. After adversarial training on
  CIFAR-10's clean-label poison, {beside_chance()}: no more than luck. That they fail there is what the paper reports.
- **One seed.** The paper's CIFAR-10 and ImageNet numbers come from a single run each.
- **Later work disputes the generality.** Adversarial training *resists* triggers that change pixels by less than the training ε, and training
  against patches resists stickers ([arXiv 2202.10627](https://arxiv.org/abs/2202.10627)). The maps on the
  *Trade-off* page show where the finding turns.
"""


model_picker.through_the_router()
st.title("Does it hold in every condition of the paper?")

everywhere = paper_tables.comparisons()
st.markdown(in_short(everywhere))

first = NEARNESS if agreement.ADDRESS in st.query_params else TABLES
of_tables, of_nearness, of_departures = st.tabs(
    [TABLES, NEARNESS, DEPARTURES], default=first, key="part", bind="query-params"
)
with of_tables:
    if of_tables.open:
        table_by_table(everywhere)
with of_nearness:
    if of_nearness.open:
        agreement.section()
with of_departures:
    if of_departures.open:
        what_we_do_otherwise()

cards.how_it_works(how_it_works.PAPER)
