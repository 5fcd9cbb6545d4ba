"""The finding on one screen: two networks, the same images clean, perturbed and stamped."""

import streamlit as st

from pages.components import cache, cards, first_screen, get_data, model_picker
from pages.components.words import first_screen as words
from pages.components.words import how_it_works
from pages.components.words.changes import LEARNED, between
from pages.components.words.glossary import linked
from pages.components.words.models import BELOW, kind_of_trigger, poison_in_words
from tradeoff_core import figures
from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.findings import paper_tables, results

FEW = 4  # of the first screen's images

models = model_picker.two_models()
data_set = models[0].model.spec.dataset
st.title("Does robustness open a back door?")
pictured = cache.shown(models[0].model) is not None
if pictured:
    first_screen.show(models)
    st.caption(linked(words.what_happens(models[-1].model)))
    with st.container(horizontal=True):
        for page, question in words.NEXT.items():
            st.page_link(f"pages/{page}.py", label=question)
        st.page_link("pages/overview.py", label=words.TOUR, query_params={"tour": "1"})
get_data.offer(data_set)
st.header("The same on more images" if pictured else "In numbers")
for one, column in zip(models, st.columns(len(models), gap="large"), strict=True):
    model = one.model
    with column:
        cards.heading(one, level=3)
        cards.three_metrics(model)
        st.markdown(f"Learned from {poison_in_words(model)}.")
        if not pictured:
            continue
        places = cache.first_of_each_class(model)
        images, labels = cache.sample(model, places)
        attack, trigger = model.spec.evaluation, model.spec.trigger
        perturbed, attacked = cache.adversarial_at(model, places, attack, (attack.epsilon,))
        for title, shown, probabilities in (
            ("Clean", images, cache.predict(model, places)),
            (f"Perturbed by an attacker ({attack})", perturbed[0], attacked[0]),
            (
                f"With the {kind_of_trigger(model)} on",
                trigger.apply(images),
                cache.predict(model, places, trigger),
            ),
        ):
            st.markdown(title)
            verdicts = cards.verdicts(model, probabilities[:FEW], labels[:FEW])
            cards.pictures(shown[:FEW], verdicts, what=f"{one.letter}, {title}, image")
if len(models) > 1:
    st.markdown(between(*(model for _, model in models)))
if pictured:
    st.caption(
        f"{BELOW} Shown is the first test image of each of the first few classes, the back door's left out."
    )

runs = results.curve(data_set)
if runs:
    strongest = max(run.epsilon for run in runs)
    (_, first), (_, last) = (results.mean_rates(runs, epsilon) for epsilon in (0.0, strongest))
    st.header(
        "In these networks: the more robust, the easier to backdoor"
        if last > first
        else "Here robustness did not open the door"
    )
    hollow = paper_tables.curve(data_set)
    cards.chart(
        figures.tradeoff_by_epsilon(runs, hollow, str(runs[0].spec.evaluation)),
        name="trade-off-curve",
    )
    st.markdown(
        f"Every point is a network that learned from the same kind of poison. Without adversarial training the "
        f"sticker succeeds on {first:.1%} of the images on average, at training ε = {in_levels(strongest)} on {last:.1%}."
        + (
            " Neither of them learned the sticker in its short training: that speaks neither for the finding nor against it."
            if max(first, last) < LEARNED
            else ""
        )
    )
    st.caption(
        f"Hollow markers are the paper's: {paper_tables.CURVES[data_set][1]}, each attacked at its own training ε (ours at one ε "
        "for all), so compare directions."
        if hollow
        else "The paper has no numbers for this data set."
    )

cards.how_it_works(how_it_works.OVERVIEW)
