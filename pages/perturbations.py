"""How adversarial perturbations look, and what they do to both networks, as ε moves."""

import streamlit as st

from pages.components import cards, getting, loaders, photograph, pickers
from tradeoff_core import figures, pictures, regions, results
from tradeoff_core.attacks import Attack, Norm, fgsm, in_levels
from tradeoff_core.datasets import to_uint8
from tradeoff_core.zoo import Model

L2_DIGITS, L2_PHOTOGRAPHS = (
    (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
    (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0),
)
STARTS = (8 / 255, 0.2, 0.5, 2.0)  # the ε that the slider starts at, whichever of them the grid has
NORMS = {Norm.LINF: "l∞ (each pixel)", Norm.L2: "l2 (all pixels together)"}
NO_TARGET = "any wrong class"


def trained_epsilon(model: Model, norm: Norm) -> float:
    """The ε that a model was trained at in this norm, 0 for none."""
    training = model.spec.training
    trained = training.attack.norm if training.attack else Norm.LINF  # the norm of interval bounds
    return training.epsilon if trained is norm else 0.0


models = pickers.two_models()
first = models[0][1]
classes = cards.class_names(first)
st.title("How little does it take to fool a network?")
getting.offer(first.spec.dataset)

columns = st.columns(4)
norm = columns[0].selectbox(
    "Measure of size",
    list(NORMS),
    format_func=NORMS.__getitem__,
    key="norm",
    bind="query-params",
    help="l∞: no pixel changes by more than ε (0 is black, 1 is white). l2: the change as a whole, as one arrow "
    "in the space of all pixels, is no longer than ε.",
)
steps = columns[1].select_slider(
    "Attack steps",
    [1, 5, 10, 20, 40],
    10,
    key="steps",
    bind="query-params",
    help="Projected gradient descent (PGD) climbs the network's error in this many steps. 1 is the fast gradient "
    "sign method (FGSM).",
)
target = columns[2].selectbox(
    "The attacker wants",
    [NO_TARGET, *classes],
    key="target" if first.spec.dataset == pickers.FIRST else f"target-{first.spec.dataset}",
    bind="query-params",
    help="Any mistake, or one class of the attacker's choice (a targeted attack).",
)
number = columns[3].number_input(
    "Set of images",
    1,
    50,
    key="set",
    bind="query-params",
    help="1 shows the first test image of the first few classes but the backdoor's, 2 the second, and so on.",
)

aim = None if target == NO_TARGET else classes.index(target)
channels = loaders.image_shape(first)[0]
l2 = L2_DIGITS if channels == 1 else L2_PHOTOGRAPHS
epsilons = results.epsilons(channels) if norm is Norm.LINF else l2
start = next(at for at, epsilon in enumerate(epsilons) if epsilon in STARTS)
largest = epsilons[-1]
attack = (
    fgsm(largest, norm, targeted=aim is not None)
    if steps == 1
    else Attack(norm, largest, steps, targeted=aim is not None)
)


def draw(places: tuple[int, ...]) -> None:
    """The slider's pictures: the images, and for each network what the attack makes of them and what it added."""
    images, labels = loaders.sample(first, places)
    names = [cards.called(first, label) for label in labels.tolist()]
    others = labels.numpy() != aim  # a true 3 need not be turned into one
    wanted = "misread" if aim is None else f"turned into {cards.an(classes[aim])}"
    rows = [
        pictures.PictureRow(
            "Original",
            [to_uint8(images)] * len(epsilons),
            [[f"true: {name}" for name in names]] * len(epsilons),
        )
    ]
    flips = []
    for letter, model in models:
        adversarial, probabilities = loaders.adversarial_at(model, places, attack, epsilons, aim)
        predicted = probabilities.argmax(-1)  # (E, N)
        flips.append((predicted != labels.numpy() if aim is None else (predicted == aim)[:, others]).sum(1))
        rows.append(
            pictures.PictureRow(
                f"{letter}, {pickers.describe(model)}: after the attack",
                [to_uint8(after) for after in adversarial],
                [cards.verdicts(model, row, labels) for row in probabilities],
            )
        )
        rows.append(
            pictures.PictureRow(
                f"{letter}: what it added, "
                + "enlarged to be seen: grey nothing, white brighter, black darker ("
                + ("½ + δ / 2ε)" if norm is Norm.LINF else "½ + 4δ / ε)"),
                [
                    to_uint8(pictures.drawn_perturbation(images, after, epsilon, norm))
                    for after, epsilon in zip(adversarial, epsilons, strict=True)
                ],
            )
        )
    sentences = [
        f"At ε = {in_levels(epsilon)}, {flips[0][at]} of {others.sum()} images are {wanted} by A"
        + (f"<br>and {flips[1][at]} of {others.sum()} by B." if len(flips) > 1 else ".")
        for at, epsilon in enumerate(epsilons)
    ]
    st.caption(
        "Drag the slider: ε is how much the attacker may change. ✓ read correctly, ✗ misread; then what the network says and how sure it is."
    )
    cards.plot(pictures.perturbation_slider(rows, sentences, epsilons, start), "slider")


pictured = loaders.shown(first) is not None
places = loaders.first_of_each_class(first, number - 1) if pictured else ()
if pictured:
    draw(places)

if channels == 1 and st.toggle(
    "Show what is proved",
    key="certified",
    bind="query-params",
    help="Interval bounds prove that no perturbation up to some ε can make the network misread a digit: not this "
    "attack, not any other.",
):
    if norm is not Norm.LINF or aim is not None:
        st.markdown(
            "Interval bounds are for l∞ and any wrong class: choose these above to see what is proved."
        )
    else:
        known = [loaders.regions(model, places, attack) for _, model in models]
        named = [
            (f"{letter}, {pickers.describe(model)}", found)
            for (letter, model), found in zip(models, known, strict=True)
        ]
        if any(known):
            labels = loaders.sample(first, places)[1]
            figure = figures.certified_regions(named, [str(label) for label in labels.tolist()])
            cards.chart(figure, name="certified-regions")
        st.markdown("\n\n".join(regions.in_words(name[0], found) for name, found in named))

shipped = [results.measurement(model.sha256) for _, model in models]
is_shipped = (
    norm is Norm.LINF
    and aim is None
    and all(entry and entry.epsilons == epsilons and steps in entry.accuracies for entry in shipped)
)
curves = [entry.accuracies[steps] for entry in shipped if entry] if is_shipped else []
if is_shipped or pictured:
    st.subheader("Accuracy as the attacker gets stronger")
if pictured and not is_shipped:
    most = min(loaders.LIVE, len(loaders.test_split(first)))
    choices = [*(count for count in (10, 20, 50, 100, 200, 500) if count < most), most]
    usual = min(most, 100 if channels == 1 else 20)
    count = (
        st.select_slider(
            "Test images to attack",
            choices,
            usual,
            key="count" if channels == 1 else f"count-{first.spec.dataset}",
            bind="query-params",
            help="The shipped curve covers 10 and 40 steps in l∞; anything else is measured on this many images.",
        )
        if len(choices) > 1
        else most
    )
    settings = (*(model.sha256 for _, model in models), count, attack, aim)
    if st.session_state.get("attacked") == settings or st.button(
        "Measure at these settings",
        icon=":material/show_chart:",
        on_click=lambda: st.session_state.update(attacked=settings),
    ):
        curves = loaders.with_a_bar(
            models,
            "Attacking at every ε",
            lambda model, tell: loaders.accuracies(model, count, attack, epsilons, aim, tell),
        )
if curves:
    cards.chart(
        figures.accuracy_by_epsilon(
            [
                (f"{letter}, {pickers.describe(model)}", epsilons, rates, trained_epsilon(model, norm))
                for (letter, model), rates in zip(models, curves, strict=True)
            ],
            f"{'accuracy' if aim is None else f'not turned into {cards.an(classes[aim])}'} ({str(attack).rpartition(' ')[0]})",
        ),
        name="accuracy-by-epsilon",
    )
    st.markdown(
        f"At ε = {in_levels(epsilons[start])}, "
        + " and ".join(
            f"{letter} keeps **{rates[start].value:.0%}**"
            for (letter, _), rates in zip(models, curves, strict=True)
        )
        + f" of {curves[0][start].n:,} test images."
    )

photograph.attacked()

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
**Projected gradient descent** (PGD, Madry et al. 2018) starts at a random point within $\varepsilon$ of the
image $x$, climbs the network's loss in $k$ steps, and after every step goes back into the allowed set:

$$
x_{i+1} = \Pi_{\lVert x' - x \rVert \le \varepsilon,\; x' \in [0, 1]}
\big(x_i + \alpha \, \mathrm{sign} \, \nabla_x \mathcal{L}(f(x_i), y)\big), \qquad \alpha = 2.5\,\varepsilon / k
$$

In $\ell_2$ the step follows the gradient itself, scaled to length $\alpha$. One step of size $\varepsilon$ from
the image is **FGSM** (Goodfellow et al. 2015). A targeted attack descends towards the class it wants. The slider's
pictures show the attack's last step. The curve counts an image as fooled if any step, or a smaller ε, fools it, so
it can only fall.

**Interval bounds** (Gowal et al. 2018) prove what attacks can only fail to disprove. Every pixel becomes an
interval, $[x - \varepsilon, x + \varepsilon]$ within $[0, 1]$. A linear layer or a convolution $Wx + b$ turns
intervals of middle $\mu$ and radius $r$ into

$$
\mu' = W \mu + b, \qquad r' = |W| \, r
$$

where $|W|$ is $W$ without its signs, and ReLU or max-pooling, which can only rise with what goes in, is applied to both ends $\mu \pm r$. If the lower
bound of the own class's logit minus any other's stays above 0, no image within $\varepsilon$ is misread: the digit is
**certified**. The intervals grow wider than what the network can really give, so a digit without a certificate may
be safe all the same; training on the bounds keeps them narrow.

Gowal et al.: *On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models*,
[arXiv 1810.12715](https://arxiv.org/abs/1810.12715)

"""
        + cards.CITATION
    )
