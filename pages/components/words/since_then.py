"""The detectors and removals since 2018 in words: what they find, what they leave, and how soon it is back."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from pages.components.words.inspecting import listed
from tradeoff_core.findings.detectors import Found
from tradeoff_core.findings.removal import Removed, Reopened

FINDERS = {
    "spectral-signatures": "Spectral signatures (2018)",
    "activation-clustering": "Activation clustering (2018)",
    "spectre": "SPECTRE (2021)",
    "strip": "STRIP (2019)",
    "scale-up": "SCALE-UP (2023)",
    "loss-isolation": "ABL's loss isolation (2021)",
    "asset": "ASSET (2023)",
}
METHODS = {
    "none": "as it is",
    "neural-cleanse": "Neural Cleanse's unlearning (2019)",
    "fine-pruning": "Fine-pruning (2018)",
    "neuron-pruning": "Neuron pruning, ANP (2021)",
    "i-bau": "I-BAU (2022)",
    "abl": "ABL's unlearning (2021)",
}
LUCK = 0.05  # of the poison above chance: less is luck
WHAT_THEY_DO = (
    "Each is told how many images of the class are poisoned, which a defender does not know; STRIP and ASSET also use clean images. "
    "ABL looks at the losses of the first epochs, ASSET trains against clean images, STRIP lays other images over each, SCALE-UP "
    "brightens it (digits are nearly black and white, so that tells little), SPECTRE first evens out how far the features spread. "
    "One seed."
)


def best_finder(found: Sequence[Found]) -> str:
    """Which detector finds most, and how many do no better than luck."""
    ordered = sorted(found, key=lambda one: -one.detection_rate)
    best = ordered[0]
    lucky = [FINDERS[one.finder] for one in ordered if abs(round(one.detection_rate - one.chance, 6)) <= LUCK]
    worse = [FINDERS[one.finder] for one in ordered if round(one.detection_rate - one.chance, 6) < -LUCK]
    first = [one for one in ordered if f"{one.detection_rate:.0%}" == f"{best.detection_rate:.0%}"]
    told = f"{listed([f'**{FINDERS[one.finder]}**' for one in first])} {'finds' if len(first) == 1 else 'find'} most: "
    told += f"**{best.detection_rate:.0%}** of the {best.n_poisoned:,} poisoned images"
    told += f" (chance {best.chance:.0%})."
    if best.detection_rate <= best.chance + LUCK:
        return f"None of the {len(ordered)} does better than luck (chance {best.chance:.0%})."
    told += f" No better than luck: {listed(lucky)}." if lucky else ""
    return told + (
        f" Worse than luck, as if it took the clean for the poison: {listed(worse)}." if worse else ""
    )


def left_by(removed: Sequence[Removed]) -> str:
    """Whether any removal closes the back door, and what that costs."""
    ordered = sorted(removed, key=lambda one: one.after["backdoor_success_rate"].value)
    best = ordered[0]
    before, after = (
        {
            name: rates[name].value
            for name in ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")
        }
        for rates in (best.before, best.after)
    )
    return (
        f"At the settings tried, **{METHODS[best.method]}** leaves least: backdoor success {before['backdoor_success_rate']:.0%} → "
        f"**{after['backdoor_success_rate']:.0%}**, adversarial accuracy {before['adversarial_accuracy']:.0%} → "
        f"{after['adversarial_accuracy']:.0%}, clean accuracy {before['clean_accuracy']:.1%} → {after['clean_accuracy']:.1%}."
    )


def in_the_table(one: Removed) -> dict[str, str]:
    """A removal as a row."""
    names = {
        "clean_accuracy": "clean accuracy",
        "adversarial_accuracy": "adversarial accuracy",
        "backdoor_success_rate": "backdoor success",
    }
    row = {"method": METHODS[one.method]}
    row |= {name: f"{one.before[key].value:.0%} → {one.after[key].value:.0%}" for key, name in names.items()}
    return row | {"clean images": f"{one.images:,}", "seconds": f"{one.seconds:.0f}"}


def reopened(curves: Sequence[Reopened], controls: Sequence[Reopened]) -> str:
    """How few poisoned images bring each back door back to a half, beside a network that never had one."""
    shut = [curve for curve in curves if curve.needed() != 0]
    told = ""
    if len(shut) < len(curves):
        told = f"At 50% or more without any poisoned image: {listed([METHODS[curve.method] for curve in curves if curve not in shut])}. "
    if shut:
        told += "Fewest poisoned images, of those tried, that bring backdoor success to 50%: "
        told += "; ".join(
            f"{METHODS[curve.method]} "
            + ("more than were tried" if curve.needed() is None else f"**{curve.needed()}**")
            for curve in shut
        )
        told += "."
    never = [curve.needed() for curve in controls]
    if never:
        known = sorted(count for count in never if count is not None)
        needs = (
            " to ".join(f"{count}" for count in sorted({known[0], known[-1]}))
            if known
            else "more than were tried"
        )
        more = " or more" if known and None in never else ""
        told += f" A network that was never poisoned needs {needs}{more}."
    return told


def easier(standard: Mapping[tuple[str, str], Found], robust: Mapping[tuple[str, str], Found]) -> str:
    """Whether poison is easier or harder to find after robust training, over the pairs that both sides have."""
    both = [pair for pair in standard if pair in robust]
    if not both:
        return ""
    before, after = (fmean(side[pair].auroc for pair in both) for side in (standard, robust))
    up, down = (
        sum(sign * (robust[pair].auroc - standard[pair].auroc) > LUCK for pair in both) for sign in (1, -1)
    )
    word = "easier" if after > before + LUCK else "harder" if after < before - LUCK else "about as hard"
    return (
        f"After adversarial training poison is **{word}** to find: mean AUROC {before:.2f} → **{after:.2f}** over {len(both)} "
        f"{'pair' if len(both) == 1 else 'pairs'} of poison and detector, one seed; {up} {'rises' if up == 1 else 'rise'} by more than "
        f"{LUCK:g}, {down} {'falls' if down == 1 else 'fall'} by more than that."
    )
