"""Inspect: a person looks at the training images of a class and decides which to remove."""

import streamlit as st

from pages.components import cache, cards, inspection, model_picker
from pages.components.fragments import fragment
from pages.components.inspection import further, keeping, worth
from pages.components.poison_search import retraining, selection
from pages.components.words import how_it_works
from pages.components.words import inspecting as words
from pages.components.words.models import called
from tradeoff_core.common.paths import read_only
from tradeoff_core.datasets import available
from tradeoff_core.inspection.review import Mark, standing
from tradeoff_core.models.zoo import Model

FIRST_NAME = "mine"

model_picker.through_the_router()
st.title("Which of these would you remove?")
model = model_picker.one_model()


@fragment
def deciding(model: Model, label: int, layer: str, name: str, truth: bool) -> None:
    """The grid, and what follows from its marks."""
    table = cache.table(model, label, layer)
    kept = keeping.keeper(worth.subject_of(model, table), name)
    grid = st.container()
    beside = further.chosen(model, table) | worth.imported(model, table)
    with grid:
        inspection.show(model, table, kept, name, truth, beside)
    stands = standing(kept.decisions())
    removed = stands.array(table.index, Mark.REMOVE)
    if truth:
        worth.told(model, table, stands, beside)
    worth.compared(model, table, stands, name)
    with st.container(key="retraining"):
        if model.backdoor_success_rate.n:
            st.markdown(words.now(model.backdoor_success_rate))
        retraining.button(model, worth.detection(table, removed))
    worth.taken_along(model, table, stands, truth)
    worth.brought_in(model, table, kept)


columns = st.container(key="row").columns(4, vertical_alignment="bottom")
place = selection.class_and_layer(model, *columns[:2])
name = (
    columns[2]
    .text_input(
        "Your review",
        FIRST_NAME,
        key="review",
        bind="query-params",
        max_chars=60,
        help="Marks are saved under this name"
        + (
            ", for this visit."
            if read_only()
            else ", in the folder of the runs. Another name begins another review."
        ),
    )
    .strip()
)
truth = selection.truth(model, columns[3])
if place and available(model.spec.dataset):
    label, layer = place
    count = int((cache.poisoned(model).data.labels == label).sum())
    st.markdown(words.task(called(model, label), count))
    deciding(model, label, layer, name or FIRST_NAME, truth)
elif place:
    st.info(words.nothing_here(called(model, place[0])), icon=":material/info:")

worth.example(model)
worth.by_score(model)

cards.how_it_works(how_it_works.INSPECTING)
