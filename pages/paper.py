"""Every number the paper published, and ours beside it."""

import streamlit as st

from pages.components import cards, pickers
from pages.components.paper import (
    as_numbers,
    as_shown,
    beside_chance,
    counted,
    photographs,
    trained_twice,
    verdicts,
)
from tradeoff_core import figures, published

EVERYTHING = "all"

pickers.through_the_router()
st.title("Does it hold in every condition of the paper?")

st.markdown(counted(published.comparisons()))

tables = {name: table.title for name, table in published.TABLES.items()}
chosen = st.selectbox(
    "Table of the paper",
    [*tables, EVERYTHING],
    format_func=lambda name: tables.get(
        name,
        f"All {sum(bool(row.published) for row in published.rows())} published rows, and ours",
    ),
    key="table",
    bind="query-params",
    help="Main tables 1 and 3, and the supplement's. Main table 2 could not be found.",
)
rows = published.rows(None if chosen == EVERYTHING else chosen)
comparisons = published.comparisons(chosen) if chosen in published.TRADEOFFS else []

if comparisons:
    cards.chart(figures.arrows(comparisons), name=f"paper-{chosen}-figure")
    st.markdown(verdicts(comparisons))
    st.caption(
        "An arrow goes from a network without a defense against adversarial examples to one with it: to the right, its "
        "back door opens. Dotted: published. Solid: measured here, with a tick for each seed."
    )

shown = as_shown(rows)
st.dataframe(
    shown,
    hide_index=True,
    width="stretch",
    height="content" if len(rows) < 25 else 600,
    column_config={
        "Data set": st.column_config.Column(pinned=True, width=85),
        "Condition": st.column_config.Column(pinned=True, width=250),
        "Ours differs in": st.column_config.Column(width=420),
    },
)
if chosen != EVERYTHING and published.TABLES[chosen].note:
    st.caption(published.TABLES[chosen].note)
cards.table_buttons(shown, f"paper-{chosen}", tables.get(chosen, "Every published row"), as_numbers(rows))
st.caption(
    "*here*: mean of the seeds and, in brackets, the lowest and the highest of them."
    + (
        " *Clean* and *Adversarial* are accuracies, *Backdoor* is backdoor success; on 1,000 test digits or 10,000 pictures "
        "of CIFAR-10. *PGD-40* is the attack that the rest of this app measures digits with (l∞ ε "
        "0.3); the other columns are under the attack of the paper's row, or under PGD-20 where that is said."
        if any(published.RATES[0] in published.TABLES[row.table].metrics for row in rows)
        else ""
    )
)

runs = {f"{run.spec.dataset}, {run.condition}, seed {run.seed}": run for row in rows for run in row.runs}
if runs:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        again = st.selectbox("A run to train again, or to vary", list(runs), key="run", width=380)
        cards.spec_button(runs[again].spec)

st.subheader("To be read with open eyes")
st.markdown(
    f"""
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
)

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
For a defense $d$ and no defense $0$, trained on the same poisoned data with the same seed $s$, we take the
differences

$$
\Delta_\text{adversarial} = \frac1S \sum_s \big(a_{d,s} - a_{0,s}\big), \qquad
\Delta_\text{backdoor} = \frac1S \sum_s \big(b_{d,s} - b_{0,s}\big)
$$

of adversarial accuracy $a$ and backdoor success $b$. There is a **trade-off** where both are above 0: the network
gained robustness, and its back door opened. The sign is **reproduced** where our $\Delta_\text{backdoor}$ has the
published sign. Three seeds are few: where not all three agree, we say so.

`python -m tradeoff_core sweep assets/results/grids/tables.toml` trains and measures every row of digits again,
`tables-cifar10.toml` and `tables-tiny-imagenet-20.toml` beside it the others.

"""
        + cards.CITATION
    )
