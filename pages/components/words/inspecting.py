"""Inspecting in words: the scores, where marks are kept, and what they are worth."""

from collections.abc import Mapping, Sequence

from pages.components.words.glossary import link
from tradeoff_core.findings.reviewing import Reviewed, Worked
from tradeoff_core.inspection.judging import Agreement, Judged
from tradeoff_core.inspection.table import MEAN_RANK, Score
from tradeoff_core.rates import Rate

TITLES = {
    Score.SPECTRAL: "spectral score",
    Score.CLUSTER: "near the smaller cluster",
    Score.SILHOUETTE: "silhouette",
    Score.LOSS: "loss",
    Score.SELF_CONFIDENCE: "confidence in its label",
    Score.CONFIDENCE: "confidence in what it reads",
    Score.DISTANCE: "distance to the middle of the class",
    Score.NEIGHBOUR: "label of the nearest image",
    Score.NEAREST: "distance to the nearest of its class",
    Score.DISAGREEMENT: "how far the two defenses disagree",
    Score.PATCH: "how much of its saliency is in its strongest patch",
    Score.COVERED: "confidence lost with the strongest patch covered",
    Score.MASK: "saliency under Neural Cleanse's mask",
}
GALLERIES = {
    "spectral": "Spectral signatures",
    "clustering": "Activation clustering",
    "features-A": "Features",
    "features-B": "Features",
    "game": "Find it yourself",
}
DEFENSES = (Score.SPECTRAL.value, Score.LOSS.value)  # that people would sort by first
MEAN = "mean rank of all scores"
FURTHER = "More scores to sort by"
FURTHER_HELP = "Detectors that came later. Each is asked when you choose it, which takes seconds. The mean rank of all scores leaves them out."
WHERE_THEY_ARE = "Choose it in *Sort by*, or on the plot of two scores."
IMPORTED = "imported score"
OVER_EPOCHS = "mean loss over the epochs"
IMPORT_HELP = (
    "A CSV table with a first line. `index,score` scores every image shown here, high is suspicious; `index,mark` marks "
    "some: keep, remove or unsure. The index counts in the training set, as in the download."
)


def task(label: str, n: int) -> str:
    """What is to be done."""
    return (
        f"{n:,} training images labelled {label}. Click one, or a range with shift, then press **R** to remove, **K** to "
        "keep, or **U** if you are unsure."
    )


def tells(title: str, what: str) -> str:
    """What a further score tells."""
    return f"**{title}**: {what}."


def asking(title: str) -> str:
    """What is waited for."""
    return f"Asking {title}"


def no_losses(title: str) -> str:
    """Why loss isolation has no column."""
    return f"**{title}** needs the losses of the first epochs, which were not kept when this network was trained."


def of_digits_alone(title: str) -> str:
    """Why a detector has no column of photographs."""
    return f"**{title}** is asked of digits alone: on photographs it takes minutes to hours."


def selected(gallery: str, count: int) -> str:
    """Which images a gallery showed."""
    return f"{count:,} from {GALLERIES.get(gallery, 'another page')}"


WHY = (
    "Adversarial training, clean-label poison: spectral signatures find no more of the poison than chance, and clustering "
    "sees two groups of about one size. Neither can say which group is poison. Looking can."
)
AT_A_GLANCE = (
    "Before the last click: the group that is shown has a white square in every corner, the other has none."
)


def inspect_these(count: int) -> str:
    """The button that opens the page with them."""
    return "Inspect this training image" if count == 1 else f"Inspect these {count:,} training images"


def kept(shared: bool) -> str:
    """Where marks are kept."""
    return "kept for this visit: download them" if shared else "saved"


def worth(judged: Judged, label: str) -> str:
    """What the person's marks are worth."""
    found, right = judged.recall, judged.precision
    if not found.n:
        return f"Nothing labelled {label} is poisoned: all {right.n:,} that you remove are clean."
    if not right.n:
        return f"{found.n:,} of the images labelled {label} are poisoned. You have removed none yet."
    return (
        f"Of the **{right.n:,}** you remove, **{right.value:.0%}** are poisoned (precision); they hold "
        f"**{found.value:.0%}** of the {found.n:,} poisoned (recall)."
    )


def fewest_looks(looks: dict[str, int | None], poisoned: int, n: int) -> str:
    """Which score wastes least of a person's time."""
    known = {name: count for name, count in looks.items() if count is not None}
    if not known:
        return ""
    best = min(known, key=lambda name: known[name])
    at_best = round(0.9 * poisoned)
    by_chance = round(0.9 * n)
    return (
        f"Sorted by **{best}**, a person finds 90% of the poison within the first **{known[best]:,}** images. At best it "
        f"takes {at_best:,}; in random order about {by_chance:,}."
    )


def title_of(name: str) -> str:
    """A score in words, by the name that it has in files."""
    return MEAN if name == MEAN_RANK else TITLES[Score(name)]


def wastes(name: str, one: Reviewed) -> str:
    """How much of a person's time a score takes, over the examples of a network."""
    looks, wasted = one.scores[name]["looks_until_90"], one.wasted(name)
    return f"**{looks:,}** looks ({wasted:,} wasted)"


def wastes_least(dirty: Reviewed | None, robust: Reviewed | None) -> str:
    """Which scores waste least of a person's time over the two networks that the paper is about, and what differs."""
    told = []
    for one, called in ((dirty, "Dirty-label network"), (robust, "Adversarial clean-label network")):
        if one is not None:
            told.append(
                f"**{called}**: 90% of the {one.poisoned:,} poisoned images are found in {wastes(one.least[0], one)}, sorted by "
                f"{listed([f'*{title_of(name)}*' for name in one.least], 'or')}."
            )
    if dirty is not None and robust is not None:
        others = [
            name for name in (*dirty.least, *DEFENSES) if name not in robust.least and name in robust.scores
        ]
        told += [
            f"Over the latter, sorted by {listed([f'*{title_of(name)}* it takes {wastes(name, robust)}' for name in dict.fromkeys(others)])}; "
            f"in random order about {round(0.9 * robust.n):,}."
        ] * bool(others)
    return "\n\n".join(told)


def listed(names: Sequence[str], last: str = "and") -> str:
    """One after the other."""
    return ", ".join(names[:-1]) + f" {last} " * (len(names) > 1) + names[-1]


def by_chance(known: Mapping[str, Reviewed]) -> str:
    """How long it takes at best, and in random order."""
    return " ".join(
        f"{kind}: of {one.n:,} images {one.poisoned:,} are poisoned, so it takes at best {-(-9 * one.poisoned // 10):,} looks, "
        f"in random order about {round(0.9 * one.n):,}."
        for kind, one in known.items()
    )


def example(one: Worked) -> str:
    """What the clicks of the worked example give."""
    before, after = one.before["backdoor_success_rate"], one.after["backdoor_success_rate"]
    return (
        f"**{one.clicks} clicks** remove {one.removed:,} of the {one.n:,} images; they hold **{one.recall:.0%}** of the "
        f"{one.poisoned:,} poisoned. Trained anew without them, backdoor success goes from **{before:.0%}** to "
        f"**{after:.0%}**, clean accuracy from {one.before['clean_accuracy']:.1%} to {one.after['clean_accuracy']:.1%}."
    )


def would_remove(other: str, removed: int, n: int, shared: int) -> str:
    """What another removes of n images, and how many of these the person removes too."""
    too = f"; you remove **{shared:,}** of those too" if removed else ""
    return f"{other} **{removed:,}** of the {n:,} images{too}."


def agrees(one: Agreement) -> str:
    """How far two agree, where that could be more than luck."""
    if one.kappa != one.kappa:
        return ""
    kappa = link("Cohen's kappa", "Cohen's κ")
    return f"You agree on **{one.agreed:,}** of {one.n:,} that both decided: {kappa} **{one.kappa:.2f}** (0 is luck, 1 always)."


def now(success: Rate) -> str:
    """What the network does before it is cleaned."""
    return f"This network's backdoor success is **{success.value:.0%}** (n = {success.n:,})."


def nothing_here(label: str) -> str:
    """Why there is no grid."""
    return f"To decide on the images labelled {label}, get their pictures first. What defenses say of them is on the pages above."
