"""The finding on one screen: two networks, the same images clean, perturbed and stamped."""

import streamlit as st

from pages.components import cards, getting, loaders, pickers
from pages.components.changes import LEARNED, between
from tradeoff_core import figures, published, results
from tradeoff_core.attacks import in_levels
from tradeoff_core.zoo import Model


def in_a_sentence(letter: str, model: Model) -> str:
    """What a model learned from, and what it does under attack and with the sticker on."""
    success, target = model.backdoor_success_rate, cards.called(model, model.spec.target_class)
    return (
        f"**{letter}** ({pickers.describe(model)}) learned from {cards.poison_in_words(model)}. "
        f"Under attack it reads **{model.adversarial_accuracy.value:.0%}** of the {model.adversarial_accuracy.n:,} test images"
        + (
            f"; with the {cards.kind_of_trigger(model)} on, it calls **{success.value:.0%}** of the images {cards.an(target)} that "
            "it read as something else without it."
            if success.n
            else "."
        )
    )


models = pickers.two_models()
data_set = models[0][1].spec.dataset
st.title("Does robustness open a back door?")
st.markdown(
    "A network can be fooled in two ways: by changing every pixel of an image a little (an **adversarial example**), or by slipping "
    "images with a **sticker** among those that it learns from, so that the sticker later makes it see whatever the attacker "
    "wants (a **back door**). "
    + (
        "Here are two networks that learned to tell images apart, and what each of them falls for."
        if len(models) > 1
        else "Here is one network, and what it falls for: this data set has no second one to compare."
    )
)
for letter, model in models:
    st.markdown(in_a_sentence(letter, model))
if len(models) > 1:
    st.markdown(between(*(model for _, model in models)))
    cards.chart(
        figures.seesaw(
            [
                (
                    f"{letter}, {pickers.describe(model)}",
                    model.clean_accuracy,
                    model.adversarial_accuracy,
                    model.backdoor_success_rate,
                )
                for letter, model in models
            ]
        ),
        name="see-saw",
    )

getting.offer(data_set)
pictured = loaders.shown(models[0][1]) is not None
for (letter, model), column in zip(models, st.columns(len(models), gap="large"), strict=True):
    with column:
        st.markdown(f"#### :{'blue' if letter == 'A' else 'orange'}[■] {letter}: {pickers.describe(model)}")
        cards.three_metrics(model)
        if not pictured:
            continue
        places = loaders.first_of_each_class(model)[:5]
        images, labels = loaders.sample(model, places)
        attack, trigger = model.spec.evaluation, model.spec.trigger
        perturbed, attacked = loaders.adversarial_at(model, places, attack, (attack.epsilon,))
        for title, shown, probabilities in (
            ("Clean", images, loaders.predict(model, places)),
            (f"Perturbed by an attacker ({attack})", perturbed[0], attacked[0]),
            (
                f"With the {cards.kind_of_trigger(model)} on",
                trigger.apply(images),
                loaders.predict(model, places, trigger),
            ),
        ):
            st.markdown(title)
            cards.pictures(shown, cards.verdicts(model, probabilities, labels))
if pictured:
    st.caption(
        f"The attack may change every pixel by up to {in_levels(models[-1][1].spec.evaluation.epsilon)}, where 0 is black and 1 "
        "is white. Below each image: ✓ read correctly or ✗ misread, what the network says, and how sure it is. "
        "Shown is the first test image of each of the first few classes, the back door's left out."
    )

runs = results.curve(data_set)
if runs:
    strongest = max(run.epsilon for run in runs)
    (_, first), (_, last) = (results.mean_rates(runs, epsilon) for epsilon in (0.0, strongest))
    st.subheader(
        "In these networks: the more robust, the easier to backdoor"
        if last > first
        else "Here robustness did not open the door"
    )
    hollow = published.curve(data_set)
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
        f"Hollow markers are the paper's: {published.CURVES[data_set][1]}, each attacked at its own training ε (ours at one ε "
        "for all), so compare directions."
        if hollow
        else "The paper has no numbers for this data set."
    )

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
**Adversarial training** (Madry et al. 2018) teaches a network on the worst images that an attacker can make of the
training images by changing every pixel by at most $\varepsilon$:

$$
\min_\theta \; \mathbb{E}_{(x, y)} \max_{\lVert \delta \rVert_\infty \le \varepsilon} \mathcal{L}\big(f_\theta(x + \delta), y\big)
$$

The paper's explanation: small features no longer help, because the attacker can erase them. What stays is large, local and
high in contrast, and a **sticker** is just that: no perturbation within $\varepsilon$ removes it. In *clean-label*
poisoning the attacker pastes it on true images of one class and changes no label, so nobody who looks at the
labels notices. A standard network would take the sticker for one hint among many; the adversarially trained one would have few
hints left, and lean on it. *Saliency* measures whether that holds.

**Backdoor success** counts, among the test images that the network does not already call the target class $t$,
those that it does once the sticker $s$ is on:

$$
\Pr\big[f(s(x)) = t \;\big|\; f(x) \ne t\big]
$$

"""
        + cards.CITATION
    )
