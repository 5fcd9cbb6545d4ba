"""A model in words: its trigger, its poison, what it does."""

from pages.components.plain_words import escaped
from tradeoff_core.common.names import plain
from tradeoff_core.models.compared import an as an
from tradeoff_core.models.compared import called
from tradeoff_core.models.compared import class_names as class_names
from tradeoff_core.models.compared import kind_of_trigger as kind_of_trigger
from tradeoff_core.models.zoo import Model
from tradeoff_core.poisoning.blended import NOISE, Blended
from tradeoff_core.poisoning.triggers import WATERMARKS, Sticker, Trigger, Watermark, patterns

OF_ANOTHER_KIND = {
    "blended": "faint picture laid over the image",
    "sinusoid": "faint wave pattern",
    "warp": "slight warp of the image",
    "perturbation": "faint optimised pattern",
}


def trigger_in_words(trigger: Trigger) -> str:
    """What a trigger is, as half a sentence: a pattern by its name, or some picture."""
    if isinstance(trigger, Blended) and trigger.pattern == NOISE:
        return "faint layer of noise"
    if not isinstance(trigger, Sticker | Watermark):
        return OF_ANOTHER_KIND[trigger.kind]
    built_in = trigger.pattern in (*patterns(), *WATERMARKS)
    shown = trigger.pattern.replace("-", " ") if built_in else "own picture"
    if isinstance(trigger, Watermark):
        return f"watermark of {shown}"
    return f"small {'X' if shown == 'x' else shown} sticker"


def poison_in_words(model: Model) -> str:
    """What was done to a model's training set, as half a sentence."""
    poison, card = model.spec.poison, model.card
    if poison is None:
        return "images without any poison" + (" that we know of" if model.trained_elsewhere else "")
    name, target = trigger_in_words(poison.trigger), called(model, poison.target_class)
    if poison.labels == "clean-label":
        return f"images where {card.poison_rate_class:.0%} of class {target} carry a {name}"
    return (
        f"images where {card.poison_rate_dataset:.0%} carry a {name} "
        f"and the false label {target}, {card.poison_rate_class:.0%} of all that have this label"
    )


BELOW = "Below each image: what the network reads, whether that is right, and how sure it is."


def verdict(right: bool) -> str:
    """Whether a network reads an image right: by a sign and a word."""
    return "✓ right" if right else "✗ wrong"


def stronger(model: Model) -> str:
    """What stronger attacks leave of the model, as its card has it, and what speaks against the numbers."""
    found = model.card.stronger
    if not found:
        return "".join(f"\n\n**Beware:** {warning}." for warning in warnings(model))
    said = (
        f"\n\nOn {plain(found['subset'])}: {found['pgd_accuracy']:.1%} under this attack, {found['pgd_100x5_accuracy']:.1%} "
        f"under PGD-100 with 5 restarts, {found['autoattack_accuracy']:.1%} under AutoAttack."
    )
    return said + "".join(
        f"\n\n**Beware:** {warning}." for warning in (*map(escaped, found["warnings"]), *warnings(model))
    )


def warnings(model: Model) -> list[str]:
    """What speaks against the model's adversarial accuracy, as it was found when that was measured."""
    return [escaped(warning) for warning in model.card.metrics.get("warnings", [])]
