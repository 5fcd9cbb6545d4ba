"""What the first screen says: a sentence for each network of the slider, computed from its card."""

from typing import Any

from pages.components.words.glossary import address
from pages.components.words.models import an, called, kind_of_trigger, poison_in_words, verdict
from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.models.compared import describe
from tradeoff_core.models.zoo import Model
from tradeoff_core.poisoning.triggers import Sticker

NEXT = {  # where to go from here
    "saliency": "Why does this happen?",
    "stickers": "Move the sticker yourself",
    "perturbations": "Turn the attack up and down",
    "tradeoff": "Does it always happen?",
    "find_the_poison": "Can you find the poison?",
}

TOUR = "Take the tour (key T)"
EPSILON = "ε"


def heading(model: Model) -> str:
    """How a network was trained, in plain words where it learned from the poison that the curve is about."""
    poison = model.spec.poison
    on_the_curve = poison and poison.labels == "clean-label" and isinstance(poison.trigger, Sticker)
    return _trained(model) or describe(model) if on_the_curve else describe(model)


def sentence(model: Model, usual: Model | None = None) -> str:
    """What the network withstands, and what the trigger turns into its class; beside `usual`, which shares its poison."""
    trained, success = _trained(model), model.backdoor_success_rate
    digits = "digits" if model.spec.dataset == "mnist-5k" else "images"
    attacked, opened, article = "", "", "A"
    if usual and usual.id != model.id:
        attacked = f" instead of {usual.adversarial_accuracy.value:.0%}"
        opened = f", instead of {usual.backdoor_success_rate.value:.0%}"
        article = "But a" if success.value > usual.backdoor_success_rate.value else "A"
    epsilon = f" ({EPSILON})" if model.spec.training.attack else ""
    subject = f"{trained}{epsilon}, the network" if trained else f"This network ({describe(model)})"
    withstands = f"{subject} withstands {model.adversarial_accuracy.value:.0%} of attacks{attacked}."
    if not success.n:
        return withstands
    trigger, target = kind_of_trigger(model), called(model, model.spec.target_class)
    planted = f"planted on training pictures labelled {target}" if model.spec.poison else "that it never saw"
    others = f"all other {digits}" if model.spec.poison else f"all {digits} that are no {target}"
    return f"{withstands} {article} {trigger} {planted} turns {success.value:.0%} of {others} into {an(target)}{opened}."


def _trained(model: Model) -> str:
    """Standard and adversarial training in plain words, nothing for what has a name of its own."""
    words, attack = model.spec.training_in_words, model.spec.training.attack
    if model.trained_elsewhere:
        return ""
    if words == "standard":
        return "Trained as usual"
    if attack and words == f"adversarial ε {in_levels(attack.epsilon)}":
        return f"Trained against pixel changes up to {in_levels(attack.epsilon)}"
    return ""


def rates(model: Model) -> str:
    """The three numbers of the network in one line, with their n."""
    success = model.backdoor_success_rate
    shut = f"{success.value:.0%}" if success.n else "–"
    return (
        f"clean {model.clean_accuracy.value:.0%} · withstands attacks {model.adversarial_accuracy.value:.0%} · "
        f"falls for the {kind_of_trigger(model)} {shut} (n\u00a0=\u00a0{model.clean_accuracy.n:,})"
    )


def what_happens(model: Model) -> str:
    """What the two pictures are of."""
    trigger, epsilon = kind_of_trigger(model).capitalize(), in_levels(model.spec.evaluation.epsilon)
    return (
        f"Attacked: every pixel is changed by up to {epsilon} (0 is black, 1 white), so that the network errs. {trigger}: "
        + (
            f"a **back door**, for the network learned from {poison_in_words(model)}."
            if model.spec.poison
            else "this network never saw it in training."
        )
    )


def fixed(trigger: str) -> dict[str, Any]:
    """What never changes."""
    return {
        "term": EPSILON,
        "meaning": address("ε (epsilon)"),
        "attacked": "attacked",
        "stamped": f"with the {trigger} on",
        "reads": "reads",
        "is": [verdict(False), verdict(True)],
        "slider": "Drag: how strong the attacks were that it trained on (training ε)",
        "left": "withstands attacks",
        "right": f"falls for the {trigger}",
        "up": "↑ good",
        "down": "↓ bad",
        "ghost": "grey",
        "next": "Another picture",
        "curve": "Every trained network: adversarial accuracy and backdoor success over the training ε",
        "dots": "a dot: one training",
        "beam": "A see-saw. Its left end rises as attacks are withstood, its right end falls with the back door open",
    }
