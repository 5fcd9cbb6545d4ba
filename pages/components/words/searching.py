"""The search for poison in words: what was found among a class's training images, and what removing it gives."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pages.components.words.models import called
from tradeoff_core.defenses.detection import Detection, Examples
from tradeoff_core.findings.results import Defended
from tradeoff_core.models.zoo import Model

KINDS = {
    "dirty-label": "dirty-label with standard training",
    "clean-label": "clean-label with adversarial training",
}


UNCENTRED = (
    "Scored like this, the mean of the class is left in. If poisoned images lie farther along it than clean ones, or "
    "nearer, that alone separates them. The authors report about chance with this code on "
    "CIFAR-10, at another layer: do not take it for a defense that works."
)


NOTHING_LEFT = "All images of this class are removed. A class without images cannot be learned: keep some."


def images(count: int) -> str:
    """A number of images, in words."""
    return f"{count:,} image" + ("" if count == 1 else "s")


def caption(model: Model, read: Examples, detection: Detection, place: int, truth: bool) -> str:
    """What stands under an image of the gallery; whether it is poisoned only with the truth revealed."""
    fate = "removed" if detection.removed[place] else "kept"
    kind = (", **poisoned**" if detection.poisoned[place] else ", clean") if truth else ""
    label, seen = called(model, read.seen.label), called(model, int(read.predicted[place]))
    return f"label {label}, read {seen}, score {detection.scores[place]:.2f}, {fate}{kind}"


def nothing_poisoned(detection: Detection) -> str:
    """What is said of a class without poison."""
    wrong = detection.false_positive_rate
    return "Nothing in this class is poisoned" + (
        f": all {wrong.count:,} images that would be removed are clean."
        if wrong.count
        else ", and nothing is removed."
    )


def in_numbers(detection: Detection, score: str) -> list[tuple[str, str, str]]:
    """The rates of a detection: a name, the number and what it means. `score` says what is scored."""
    found, wrong = detection.detection_rate, detection.false_positive_rate
    return [
        (
            "Detection rate",
            f"{found.value:.0%}",
            f"Share of the poisoned images that are removed: {found.count:,} of {found.n:,}.",
        ),
        (
            "Chance",
            f"{detection.chance:.0%}",
            "What removing as many images at random would find on average: the share of the class removed.",
        ),
        (
            "False positives",
            f"{wrong.value:.0%}",
            f"Share of the clean images that are removed: {wrong.count:,} of {wrong.n:,}.",
        ),
        (
            "AUROC",
            f"{detection.auroc:.2f}",
            f"Chance that a poisoned image scores above a clean one: 0.5 is guessing, 1 is perfect. The score is "
            f"{score}.",
        ),
        (
            "Mean precision",
            f"{detection.average_precision:.2f}",
            "Average precision: the share of poison among what is removed, averaged over all lines. Guessing "
            f"gives the share of poison, {detection.poisoned.mean():.2f}.",
        ),
    ]


def before_and_after(rows: Sequence[tuple[str, Sequence[dict[str, Any]]]]) -> str:
    """Backdoor success before and after, in words."""
    mean = {
        name.partition("<br>")[0]: float(np.mean([rates["backdoor_success_rate"] for rates in seeds]))
        for name, seeds in rows
    }
    before, *after = mean.items()
    return (
        f"Backdoor success is **{before[1]:.0%}** with nothing removed; after retraining it is "
        + ", ".join(f"**{value:.0%}** ({name})" for name, value in after)
        + "."
    )


def of_seeds(base: Sequence[Defended], target: str) -> str:
    """On what the effect of removing was measured; `target` is the name of the target class."""
    seeds = ", ".join(str(entry.spec.seed) for entry in base)
    which = f"seeds {seeds} (small markers) and their mean" if len(base) > 1 else f"seed {seeds}"
    return (
        f"Networks trained anew after the removal: {which}, on {base[0].before['n']:,} test images. Recall is the share of "
        f"the {base[0].before['target_n']} images of class {target} that are still read as it. Removing many images of a "
        "class costs recall, and a network that rarely answers with a class rarely falls for its sticker: look at both."
    )


def against_chance(entries: Sequence[Defended], published: bool) -> str:
    """What is found of each kind of poison at its largest rate, beside chance; `published` numbers are in the figure."""
    means = []
    for labels, kind in KINDS.items():
        most = _largest([one for one in entries if one.spec.poison and one.spec.poison.labels == labels])
        if most:
            found, chance = (
                np.mean([entry.numbers[name] for entry in most]) for name in ("detection_rate", "chance")
            )
            seeds = f"{len(most)} seed{'s' if len(most) > 1 else ''}"
            removes = found or chance
            means.append(
                f"{kind} ({seeds}): "
                + (
                    f"**{found:.0%}** found, chance **{chance:.0%}**"
                    if removes
                    else "the rule removes **nothing**"
                )
            )
    return (
        "Removing at random lands on the dotted line; further left, less of the data set is poisoned. At the largest poison "
        f"rate, {'; '.join(means)}."
        + (
            " Hollow markers are the paper's for CIFAR-10, for 5%, 1% and 0.5% of the data set; compare directions, not "
            "decimals."
            if published
            else " The paper does not give the sizes of the clusters it removed, so what chance would find is unknown there."
        )
    )


def _largest(entries: Sequence[Defended]) -> list[Defended]:
    """Those with the highest poison rate."""
    most = max((entry.spec.poison.rate for entry in entries if entry.spec.poison), default=0)
    return [entry for entry in entries if entry.spec.poison and entry.spec.poison.rate == most]


def retrained(count: int, before: dict[str, Any], after: dict[str, Any]) -> str:
    """What training anew without so many images changed, and where the network is."""
    changes = ", ".join(
        f"{name} {before[key]:.0%} → {after[key]:.0%}"
        for name, key in (
            ("backdoor success", "backdoor_success_rate"),
            ("clean accuracy", "clean_accuracy"),
            ("adversarial accuracy", "adversarial_accuracy"),
        )
    )
    return f"Retrained without these {count:,} images: {changes}. It is in every menu of networks now, as *yours*, and on *Runs*."


def would_be_removed(detection: Detection, label: str, truth: bool) -> str:
    """How many of a class's images the line removes, and with the truth revealed, if there is poison, what that is worth."""
    found = detection.detection_rate
    sentence = f"**{int(detection.removed.sum()):,}** of the {len(detection.index):,} training images labelled {label} would be removed"
    if not truth:
        return f"{sentence}. Click a bar to see its images. Which are poisoned?"
    stays = (
        f" So **{1 - found.value:.0%}** of the poison would stay in the training set."
        if found.value < 1
        else " So none of it would stay."
    )
    return (
        f"{sentence}: they hold **{found.value:.0%}** of the poison, where chance finds "
        f"**{detection.chance:.0%}**. {how_far_out(detection.auroc)}{stays}"
    )


def how_far_out(auroc: float) -> str:
    """What the order of the scores is worth, wherever the line lies."""
    if auroc > 0.9:
        return "The poison stands out."
    if auroc > 0.6:
        return "It stands out in part."
    return "That is hardly better than guessing." if auroc > 0.4 else "The clean images stand out instead."


def gain_in_words(gain: float, apart: float, accused: int | None) -> str:
    """What the rule found, and whether the groups held more than it could know."""
    if gain > 0.5:
        return "The defense wins."
    if gain < -0.1:
        return "It accuses the wrong group."
    if accused is None and apart > 0.9:
        return "The groups **are** poison and clean, but the rule leaves both alone: nothing tells it which is which."
    if gain > 0.1:
        return "It finds some of it." if apart < 0.9 else "Told which group to take, it removes the poison."
    return "That is hardly better than guessing."
