"""Neural Cleanse in words: the smallest trigger, whether the suspect is the one, the control and unlearning."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.defenses.neural_cleanse import SUSPICIOUS
from tradeoff_core.defenses.verdict import Verdict
from tradeoff_core.findings import paper_tables
from tradeoff_core.findings.cleansing import Unlearned
from tradeoff_core.models.zoo import Model

NAMES = {
    "backdoor_success_rate": "backdoor success",
    "clean_accuracy": "clean accuracy",
    "adversarial_accuracy": "adversarial accuracy",
}
LOST = 0.1  # of adversarial accuracy: more is said to be much


def nothing(classes: int, few: bool) -> str:
    """Why there is nothing to show: not computed yet, or too many classes to compute it."""
    if few:
        return "Nothing is included for this network yet: rebuild its triggers."
    return f"A trigger for each of {classes:,} classes takes too long: choose another network."


def smallest(
    suspect: int,
    norms: NDArray[np.float64],
    index: NDArray[np.float64],
    flagged: Collection[int],
    classes: Sequence[str],
) -> str:
    """How small the suspect's trigger is among all, and whether it is flagged."""
    return (
        f"The smallest trigger is that of class **{classes[suspect]}**: a mask of **{norms[suspect]:.1f}** pixels, where the "
        f"median class needs {np.median(norms):.0f}. Its anomaly index is **{index[suspect]:.1f}**; from {SUSPICIOUS:g} on a "
        f"class is flagged, so this one **is{'' if suspect in flagged else ' not'}**."
    )


def verdict(model: Model, judged: tuple[Verdict, list[int]], classes: Sequence[str]) -> str:
    """Whether the suspect is the class with the back door."""
    if model.trained_elsewhere:
        return "Whether it has a back door, we do not know."
    found, others = judged
    false = f" Class {' and '.join(classes[label] for label in others)} is a false alarm." if others else ""
    return {
        Verdict.FALSE_ALARM: "This network has no back door: a false alarm.",
        Verdict.RIGHTLY_NONE: "Rightly: it has no back door.",
        Verdict.WRONG_CLASS: f"The back door is in class {classes[model.spec.target_class]}, which it misses.",
        Verdict.FOUND: "That is the class with the back door." + false,
        Verdict.MISSED: "The back door is in this class, but its index is too small for the defense to say so: **missed**."
        + false,
    }[found]


def control(alarms: int, networks: int, classes: int) -> str:
    """How often networks without poison are flagged."""
    if not networks:
        return "The control is missing: no network without poison was measured on this data set."
    return (
        f"The control: of {networks} network{'s' * (networks > 1)} without any poison, {alarms or 'none'} "
        f"{'have' if alarms > 1 else 'has'} an index of {SUSPICIOUS:g} or more"
        + (f", which with {classes} classes happens by luck." if alarms else ".")
    )


def unlearning(numbers: dict[str, Any], images: int, suspect: str, attack: Attack) -> str:
    """What fine-tuning on so many images changed; `numbers` are those of the command `cleanse`."""
    before, after = numbers["before"], numbers["after"]
    return (
        f"Fine-tuned on {images:,} clean images, a fifth of each batch with class {suspect}'s rebuilt "
        "trigger and the right label: "
        + ", ".join(f"{name} **{before[key]:.1%} → {after[key]:.1%}**" for key, name in NAMES.items())
        + f" ({before['n']:,} test images that it did not see, {attack})."
        + (
            " Much of what adversarial training had bought is lost: fine-tuning does not train against an attacker."
            if before["adversarial_accuracy"] - after["adversarial_accuracy"] > LOST
            else ""
        )
    )


def in_the_table(kind: Unlearned, dataset: str) -> dict[str, str]:
    """A row of the table: what the seeds gave on average, and what was published."""
    trigger = kind.trigger.__name__.lower()
    of, before, after = paper_tables.cleansing(dataset, kind.labels, trigger)
    return {
        "poison": f"{trigger}, {kind.labels}",
        "right class suspected": f"{kind.suspected} of {kind.seeds} seed{'s' * (kind.seeds > 1)}",
        "and flagged": f"{kind.flagged} of {kind.seeds}",
        **{
            name: f"{100 * kind.before[key]:.1f}% → {100 * kind.after[key]:.1f}%"
            for key, name in NAMES.items()
        },
        f"published for {of}": f"{before:.1%} → {after:.1%}",
    }
