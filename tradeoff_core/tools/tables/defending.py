"""Tables of the defenses against poison, and of what speaks for the paper's explanation."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from tradeoff_core import datasets
from tradeoff_core.explanations.attribution import Method
from tradeoff_core.explanations.sticker_share import correlate
from tradeoff_core.findings import results
from tradeoff_core.findings.results import Cause, Cleansed, Defended
from tradeoff_core.findings.reviewing import reviewed, worked
from tradeoff_core.inspection.table import MEAN_RANK
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.tools.tables.markdown import change, listed, percent, table

DEFENSES = {
    "spectral-signatures": "spectral signatures",
    "activation-clustering": "activation clustering",
    "random": "as many at random",
}
MEASURES = ("backdoor_success_rate", "clean_accuracy", "adversarial_accuracy")


def with_lines(prefix: str) -> list[str]:
    """The data sets that have a file of such lines."""
    return [name for name in datasets.DATASETS if results.lines_of(f"{prefix}-{name}.jsonl")]


def detection(dataset: str) -> str:
    """What each defense finds and what training anew without it gives, a row a kind of poison and defense."""
    groups: dict[tuple[str, ...], list[Defended]] = {}
    for one in results.defended(dataset):
        groups.setdefault((_trained(one.spec), _rate(one.spec), _defense(one)), []).append(one)
    rows, last = [], ""
    for (trained, rate, defense), found in groups.items():
        title = f"{trained}, {rate}"
        rows.append(["" if title == last else title, defense, *_found(found)])
        last = title
    head = [
        "poison and training",
        "defense",
        "found",
        "chance",
        "backdoor success",
        "recall of the target class",
    ]
    return table(head, rows)


def _trained(spec: Any) -> str:
    trigger = type(spec.trigger).__name__.lower()
    return f"{spec.poison.labels.value} {trigger}, {spec.training.title}"


def _rate(spec: Any) -> str:
    return f"{spec.poison.rate:.1%} of {'all' if spec.poison.labels is PoisonLabels.DIRTY else 'the class'}"


def _defense(one: Defended) -> str:
    name = DEFENSES[one.method]
    if one.rule:
        return f"{name}, {'told which (oracle)' if one.rule == 'oracle' else one.rule + ' rule'}"
    return name + ("" if one.centred else ", not centred")


def _found(found: Sequence[Defended]) -> list[str]:
    seeds = sorted(found, key=lambda one: one.spec.seed)
    kept = [one for one in seeds if one.after]
    removed = any(one.numbers["n_removed"] for one in seeds)
    retrained = [
        f"{listed([one.before[name] for one in kept])} → {listed([one.after[name] for one in kept if one.after])}"
        if kept
        else ("" if removed else "nothing removed")
        for name in ("backdoor_success_rate", "target_recall")
    ]
    return [
        listed([one.numbers["detection_rate"] for one in seeds]),
        percent(fmean(one.numbers["chance"] for one in seeds)),
        retrained[0],
        retrained[1] if kept else "",
    ]


LOOKED_BY = ("spectral", "cluster", "self_confidence", "patch_share", "covered_drop", MEAN_RANK)


def reviewing(dataset: str) -> str:
    """How many images a person looks at until 90% of the poison is found, a row a network."""
    rows = []
    for one in reviewed(dataset):
        least = one.scores[one.least[0]]["looks_until_90"]
        rows.append(
            [
                f"`{one.model}`",
                f"{one.poisoned:,} of {one.n:,}",
                f"{-(-9 * one.poisoned // 10):,}",
                f"{least:,}: {', '.join(one.least).replace('_', ' ')}",
                *(
                    f"{one.scores[name]['looks_until_90']:,}" if name in one.scores else ""
                    for name in LOOKED_BY
                ),
                f"{round(0.9 * one.n):,}",
            ]
        )
    head = [
        "network",
        "poisoned",
        "at best",
        "by the best scores",
        *(name.replace("_", " ") for name in LOOKED_BY),
    ]
    return table([*head, "in no order"], rows)


def worked_example(dataset: str) -> str:
    """What the clicks of the worked example give, in a sentence."""
    one = worked(dataset)
    if one is None:
        return ""
    rates = ", ".join(
        f"{name.replace('_', ' ').removesuffix(' rate')} {one.before[name]:.1%} → {one.after[name]:.1%}"
        for name in (*MEASURES, "target_recall")
    )
    return (
        f"The worked example: {one.clicks} clicks over the adversarially trained clean-label digits remove {one.removed:,} of "
        f"{one.n:,} images, and with them {one.recall:.1%} of the {one.poisoned:,} poisoned; trained anew without them: {rates}."
    )


def cleansing(dataset: str) -> str:
    """The index of the target class and what unlearning leaves, a row a kind of poison; a control has no target."""
    groups: dict[str, list[Cleansed]] = {}
    for one in results.cleansed(dataset):
        title = _trained(one.spec) if one.spec.poison else f"no poison, {one.spec.training.title}"
        groups.setdefault(title, []).append(one)
    rows = []
    for title, found in groups.items():
        poisoned = found[0].spec.poison is not None
        index = [_index(one, poisoned=poisoned) for one in found]
        suspected = (
            sum(one.numbers["suspect"] == one.spec.target_class for one in found) if poisoned else None
        )
        flagged = sum(bool(one.numbers["flagged_classes"]) for one in found)
        unlearned = [one.numbers for one in found if "after" in one.numbers] if poisoned else []
        changes = [
            change([one["before"][name] for one in unlearned], [one["after"][name] for one in unlearned])
            if unlearned
            else ""
            for name in MEASURES
        ]
        suspect = "" if suspected is None else f"{suspected} of {len(found)}"
        numbers = ", ".join(f"{value:.1f}" for value in index)
        rows.append([title, numbers, suspect, f"{flagged} of {len(found)}", *changes])
    head = ["network", "index", "target suspected", "some class flagged"]
    return table([*head, "backdoor success", "clean accuracy", "adversarial accuracy"], rows)


def _index(one: Cleansed, *, poisoned: bool) -> float:
    """The anomaly index of the target class, or of the control's most conspicuous one."""
    index = one.numbers["anomaly_index"]
    return float(index[one.spec.target_class] if poisoned else index[one.numbers["suspect"]])


def shares(dataset: str) -> str:
    """The share of the input gradient on the sticker, backdoor success, and where untargeted attacks land."""
    rows = []
    for cause in results.causes(dataset):
        share = cause.shares.get(Method.INPUT_GRADIENT)
        landed = int(cause.landing.sum())
        rows.append(
            [
                f"`{cause.model}`",
                percent(share[0].value if share else None),
                percent(share[1].value if share else None),
                percent(cause.covered),
                percent(cause.success.value),
                percent(cause.landing[cause.spec.target_class] / landed if landed else None),
            ]
        )
    head = ["model", "share on the sticker's place", "once it is on", "it covers", "backdoor success"]
    return table([*head, "adversarial examples that land in the target class"], rows)


def correlations() -> str:
    """How the share on the sticker and backdoor success rise together, over the networks with clean-label stickers."""
    rows = []
    for dataset in with_lines("cause"):
        chosen = [cause for cause in results.causes(dataset) if cause.shares and _is_clean_label(cause)]
        for method in chosen[0].shares if chosen else ():
            found = correlate(
                [cause.shares[method][1].value for cause in chosen], [cause.success.value for cause in chosen]
            )
            if found:
                p = "< 0.001" if found.p < 0.001 else f"{found.p:.3f}"
                rows.append(
                    [
                        datasets.title(dataset),
                        method.replace("-", " "),
                        str(found.n),
                        f"{found.value:+.2f}",
                        p,
                    ]
                )
    return table(["images", "attribution", "networks", "rank correlation", "p, by permutations"], rows)


def _is_clean_label(cause: Cause) -> bool:
    return cause.spec.poison is not None and cause.spec.poison.labels is PoisonLabels.CLEAN
