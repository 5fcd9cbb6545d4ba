"""What is proved of the digits: against every perturbation, and against every poison, beside each other."""

from collections.abc import Sequence

import streamlit as st

from pages.components import cards
from tradeoff_core import figures
from tradeoff_core.findings import certificates
from tradeoff_core.findings.certificates import Certificate
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import describe


def are_measured(dataset: str) -> bool:
    """Whether both certificates are there for a data set."""
    return bool(certificates.over_epsilon(dataset) and certificates.over_poison(dataset))


def section(dataset: str) -> None:
    """Both certificates, on a data set where they are measured."""
    bounds, votes = certificates.over_epsilon(dataset), certificates.over_poison(dataset)
    st.header("What is proved, against perturbations and against poison?")
    st.markdown(in_words(bounds, votes))
    left, right = st.columns(2, gap="large")
    with left:
        names = {
            one.name: describe(zoo.find_model(one.name)) for one in bounds if one.name in zoo.model_ids()
        }
        cards.chart(figures.certificates(bounds, "ε of any perturbation", names), name="proved-by-epsilon")
    with right:
        cards.chart(figures.certificates(votes, "poisoned training images", {}), name="proved-by-poison")
    st.caption(
        "Over ε: interval bounds. Over poisoned images: deep partition aggregation (2021), a vote of networks, each trained on its own part of the digits. "
        "An image that is added, removed or relabelled counts as one, a changed image as two."
    )


def in_words(bounds: Sequence[Certificate], votes: Sequence[Certificate]) -> str:
    """How much is proved at the largest ε, and against how many poisoned images half of it still holds."""
    first = bounds[0]
    best = max(votes, key=lambda one: len([rate for rate in one.accuracy if rate.value >= 0.5]))
    half = max(at for at, rate in zip(best.at, best.accuracy, strict=True) if rate.value >= 0.5)
    return (
        f"The network trained by interval bounds provably reads **{first.accuracy[-1].value:.0%}** of the test digits right under any "
        f"perturbation up to ε {first.at[-1]:g}. A vote of {best.name} reads **{best.accuracy[0].value:.0%}** right, and provably still half of "
        f"all digits after any **{half:g}** training images are added, removed or relabelled, or any **{half // 2:g}** are changed."
    )
