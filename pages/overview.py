"""The finding on one screen: two networks, the same digits clean, perturbed and stamped."""

import streamlit as st

from pages.components import cards, loaders, pickers
from pages.components.changes import between
from tradeoff_core import figures, published, results
from tradeoff_core.attacks import in_levels
from tradeoff_core.zoo import Model


def in_a_sentence(letter: str, model: Model) -> str:
    """What a model learned from, and what it does under attack and with the sticker on."""
    return (
        f"**{letter}** ({pickers.describe(model)}) learned from {cards.poison_in_words(model)}. "
        f"Under attack it reads **{model.adversarial_accuracy.value:.0%}** of the test digits; with the "
        f"{cards.kind_of_trigger(model)} on, it calls **{model.backdoor_success_rate.value:.0%}** of the other digits a "
        f"{model.spec.target_class}."
    )


model_a, model_b = models = pickers.two_models()
st.title("Does robustness open a back door?")
for letter, model in zip("AB", models, strict=True):
    st.markdown(in_a_sentence(letter, model))
st.markdown(between(model_a, model_b))

cards.chart(
    figures.seesaw(
        [
            (
                f"{letter}, {pickers.describe(model)}",
                model.clean_accuracy,
                model.adversarial_accuracy,
                model.backdoor_success_rate,
            )
            for letter, model in zip("AB", models, strict=True)
        ]
    ),
    name="see-saw",
)

for letter, model, column in zip("AB", models, st.columns(2, gap="large"), strict=True):
    with column:
        st.markdown(f"#### :{'blue' if letter == 'A' else 'orange'}[■] {letter}: {pickers.describe(model)}")
        cards.three_metrics(model)
        digits = loaders.first_of_each_class(model, model.spec.target_class)[:5]
        images, labels = loaders.sample(model, digits)
        attack, trigger = model.spec.evaluation, model.spec.trigger
        perturbed, attacked = loaders.adversarial_at(model, digits, attack, (attack.epsilon,))
        for title, shown, probabilities in (
            ("Clean", images, loaders.predict(model, digits)),
            (f"Perturbed by an attacker ({attack})", perturbed[0], attacked[0]),
            (
                f"With the {cards.kind_of_trigger(model)} on",
                trigger.apply(images),
                loaders.predict(model, digits, trigger),
            ),
        ):
            st.markdown(title)
            cards.pictures(shown, cards.verdicts(probabilities, labels))
st.caption(
    f"The attack may change every pixel by {in_levels(model_b.spec.evaluation.epsilon)}, where 0 is black and 1 is white. "
    "Below each digit: ✓ read correctly or ✗ misread, what the network says, and how sure it is. "
    "Shown is the first test digit of each of the classes 0 to 4."
)

st.subheader("The more robust, the easier to backdoor")
spec = model_b.spec
runs = results.curve(spec.dataset)
cards.chart(
    figures.tradeoff_by_epsilon(runs, published.curve(), str(spec.evaluation)),
    name="trade-off-curve",
)
strongest = max(run.epsilon for run in runs)
_, first = results.mean_rates(runs, 0.0)
_, last = results.mean_rates(runs, strongest)
st.markdown(
    f"Every point is a network that learned from the same kind of poison. Without adversarial training the "
    f"sticker succeeds on {first:.0%} of the digits on average, at training ε = {strongest:g} on {last:.0%}."
)

st.caption(
    "Hollow markers are the paper's: 60,000 training digits and a weaker attack (PGD-10), so compare directions. "
    "Without poison there is nothing to open: choose *Adversarial ε 0.3, no poison* as model B."
)

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
**Adversarial training** (Madry et al. 2018) teaches a network on the worst digits that an attacker can make of the
training digits by changing every pixel by at most $\varepsilon$:

$$
\min_\theta \; \mathbb{E}_{(x, y)} \max_{\lVert \delta \rVert_\infty \le \varepsilon} \mathcal{L}\big(f_\theta(x + \delta), y\big)
$$

Small features no longer help, because the attacker can erase them. What stays is large, local and high in
contrast, and a **sticker** is just that: no perturbation within $\varepsilon$ removes it. In *clean-label*
poisoning the attacker pastes it on true images of one class and changes no label, so nobody who looks at the
labels notices. A standard network takes the sticker for one hint among many; the adversarially trained one has few
hints left, and leans on it.

**Backdoor success** counts, among the test images that the network does not already call the target class $t$,
those that it does once the sticker $s$ is on:

$$
\Pr\big[f(s(x)) = t \;\big|\; f(x) \ne t\big]
$$

"""
        + cards.CITATION
    )
