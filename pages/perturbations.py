"""How adversarial perturbations look, and what they do to both networks, as ε moves."""

import streamlit as st

from pages.components import cache, cards, get_data, model_picker, perturbed, photograph
from pages.components.words import how_it_works
from pages.components.words.models import BELOW, an, called, class_names
from pages.components.words.regions import regions_in_words
from tradeoff_core import figures
from tradeoff_core.attacks.attack import Attack, Norm, fgsm, in_levels
from tradeoff_core.datasets import to_uint8
from tradeoff_core.figures import pictures
from tradeoff_core.findings import first_draws, results
from tradeoff_core.models.zoo import Model

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


models = model_picker.two_models()
first = models[0][1]
classes = class_names(first)
st.title("How little does it take to fool a network?")
get_data.offer(first.spec.dataset)

columns = st.container(key="controls").columns(4)
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
    first_draws.STEPS,
    key="steps",
    bind="query-params",
    help="Projected gradient descent (PGD) climbs the network's error in this many steps. 1 is the fast gradient "
    "sign method (FGSM).",
)
target = columns[2].selectbox(
    "The attacker wants",
    [NO_TARGET, *classes],
    key="target" if first.spec.dataset == model_picker.FIRST else f"target-{first.spec.dataset}",
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
channels = cache.image_shape(first)[0]
l2 = L2_DIGITS if channels == 1 else L2_PHOTOGRAPHS
epsilons = results.epsilons(channels) if norm is Norm.LINF else l2
start = next(at for at, epsilon in enumerate(epsilons) if epsilon in STARTS)
at = perturbed.chosen(epsilons, start)
largest = epsilons[-1]
attack = (
    fgsm(largest, norm, targeted=aim is not None)
    if steps == 1
    else Attack(norm, largest, steps, targeted=aim is not None)
)


def draw(places: tuple[int, ...], those: tuple[float, ...]) -> None:
    """The slider's pictures at these ε: the images, and for each network what the attack makes of them and what it added."""
    images, labels = cache.sample(first, places)
    names = [called(first, label) for label in labels.tolist()]
    others = labels.numpy() != aim  # a true 3 need not be turned into one
    wanted = "misread" if aim is None else f"turned into {an(classes[aim])}"
    rows = [
        pictures.PictureRow(
            "Original",
            [to_uint8(images)],
            [[f"true: {name}" for name in names]],
        )
    ]
    flips = []
    for letter, model in models:
        adversarial, probabilities = cache.adversarial_at(model, places, attack, those, aim)
        predicted = probabilities.argmax(-1)  # (E, N)
        flips.append((predicted != labels.numpy() if aim is None else (predicted == aim)[:, others]).sum(1))
        rows.append(
            pictures.PictureRow(
                f"{letter}, {model_picker.describe(model)}: after the attack",
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
                    for after, epsilon in zip(adversarial, those, strict=True)
                ],
            )
        )
    sentences = [
        f"At ε = {in_levels(epsilon)}, {flips[0][place]} of {others.sum()} images are {wanted} by A"
        + (f" and {flips[1][place]} of {others.sum()} by B." if len(flips) > 1 else ".")
        for place, epsilon in enumerate(those)
    ]
    perturbed.show(rows, sentences, epsilons, at, "How much the attacker may change")
    st.caption(BELOW)


pictured = cache.shown(first) is not None
places = cache.first_of_each_class(first, number - 1) if pictured else ()
asked = (*(model.sha256 for _, model in models), places, attack, aim)
# where new pictures take seconds, those at the slider's ε come first
first_look = pictured and channels > 1 and st.session_state.setdefault("drawn", asked) != asked
if pictured:
    draw(places, epsilons[at : at + 1] if first_look else epsilons)

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
        known = [cache.regions(model, places, attack) for _, model in models]
        regions = list(zip(models, known, strict=True))
        if any(known):
            labels = cache.sample(first, places)[1]
            figure = figures.certified_regions(regions, [str(label) for label in labels.tolist()])
            cards.chart(figure, name="certified-regions")
        st.markdown("\n\n".join(regions_in_words(one.letter, found) for one, found in regions))

shipped = [results.measurement(model.sha256) for _, model in models]
is_shipped = (
    norm is Norm.LINF
    and aim is None
    and all(entry and entry.epsilons == epsilons and steps in entry.accuracies for entry in shipped)
)
curves = [entry.accuracies[steps] for entry in shipped if entry] if is_shipped else []
if is_shipped or pictured:
    st.header("Accuracy as the attacker gets stronger")
if pictured and not is_shipped:
    most = min(cache.LIVE, len(cache.test_split(first)))
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
        curves = cache.with_a_bar(
            models,
            "Attacking at every ε",
            lambda model, tell: cache.accuracies(model, count, attack, epsilons, aim, tell),
        )
if curves:
    cards.chart(
        figures.accuracy_by_epsilon(
            [
                (one.name, epsilons, rates, trained_epsilon(one.model, norm))
                for one, rates in zip(models, curves, strict=True)
            ],
            f"{'accuracy' if aim is None else f'not turned into {an(classes[aim])}'} ({str(attack).rpartition(' ')[0]})",
        ),
        name="accuracy-by-epsilon",
    )
    st.markdown(
        f"At ε = {in_levels(epsilons[at])}, "
        + " and ".join(
            f"{letter} keeps **{rates[at].value:.0%}**"
            for (letter, _), rates in zip(models, curves, strict=True)
        )
        + f" of {curves[0][at].n:,} test images."
    )

photograph.link()

cards.how_it_works(how_it_works.PERTURBATIONS)

if first_look:
    st.session_state["drawn"] = asked
    st.rerun()
