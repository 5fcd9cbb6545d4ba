"""What the conditions of the paper's tables gave here, from the committed results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tradeoff_core import conditions, results
from tradeoff_core.evaluation import Rate
from tradeoff_core.results import Run

HERE = {
    "mnist": "mnist-5k",
    "cifar10": "cifar10",
    "imagenet": "tiny-imagenet-20",
}  # the paper's data set -> ours
MEASURED = {  # the name in assets/results/grids/tables-*.toml that measures a row
    "main-1a none": "standard",
    "main-1a pgd-at": "adversarial",
    "main-1a lipschitz": "lipschitz",
    "main-1a lipschitz+pgd-at": "lipschitz-adversarial",
    "main-1a denoising": "denoising",
    "main-1a denoising+pgd-at": "denoising-adversarial",
    "main-1b none": "ibp-standard",
    "main-1b ibp": "ibp",
    "supplement-1 none": "standard",
    "supplement-1 linf 0.15 10 pgd-at": "adversarial-0.15",
    "supplement-1 linf 0.3 10 pgd-at": "adversarial",
    "supplement-1 linf 0.3 20 pgd-at": "adversarial-20-steps",
    "supplement-2 none": "standard-fgsm",
    "supplement-2 fgsm-at": "targeted-fgsm",
    "supplement-3 linf none": "standard",
    "supplement-3 linf pgd-at": "adversarial",
    "supplement-3 l2 none": "standard-l2",
    "supplement-3 l2 pgd-at": "l2",
    "supplement-4 [16, 32, 512] none": "standard",
    "supplement-4 [16, 32, 512] pgd-at": "adversarial",
    "supplement-4 [32, 64, 1024] none": "doubled-standard",
    "supplement-4 [32, 64, 1024] pgd-at": "doubled-adversarial",
    "supplement-1 linf 0.031373 5 pgd-at": "adversarial",
    "supplement-4 [16, 16, 32, 64] none": "standard",
    "supplement-4 [16, 16, 32, 64] pgd-at": "adversarial",
    "supplement-4 [64, 128, 256, 512] none": "standard",
    "supplement-4 [64, 128, 256, 512] pgd-at": "adversarial",
}
# in what our runs differ from the paper's, beside the digits (3,600 of 60,000), the width (half) and the seeds (3 of 10)
SHORTER = "20 epochs at a learning rate of up to 0.001"
ADVERSARIAL = "7 steps of the training attack of 0.1 each, 18 epochs at a learning rate of up to 0.0015"
DIFFERS = {
    "standard": SHORTER,
    "adversarial": ADVERSARIAL,
    "lipschitz": f"{SHORTER}; a quarter of each batch is regularised",
    "lipschitz-adversarial": f"{ADVERSARIAL}; a quarter of each batch is regularised",
    "denoising": SHORTER,
    "denoising-adversarial": ADVERSARIAL,
    "ibp-standard": f"a smaller network; {SHORTER}",
    "ibp": "a smaller network; 120 epochs of 36 steps in place of 60,001 steps",
    "adversarial-0.15": "7 steps of 0.05, 18 epochs",
    "adversarial-20-steps": "18 epochs at a learning rate of up to 0.0015",
    "standard-fgsm": f"{SHORTER}; the attack aims at the next class, not at a random one",
    "targeted-fgsm": "18 epochs; the measuring attack aims at the next class, not at a random one",
    "standard-l2": SHORTER,
    "l2": "7 steps, 18 epochs",
    "doubled-standard": SHORTER,
    "doubled-adversarial": ADVERSARIAL,
}
PICTURES = {
    "cifar10": "JPEG-coded pictures, 45,000 of 50,000",
    "imagenet": "Tiny ImageNet: 20 classes at 64 x 64, and ResNet-18 from random weights",
}
PHOTOGRAPHS = {  # how the networks for photographs were trained, and what they are attacked with
    "standard": "attacked with PGD-20",
    "adversarial": "trained against a single step; attacked with PGD-20",
}


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What every seed gave, by the names of the table's columns, the runs, and in what they differ."""

    rates: dict[str, tuple[float, ...]]
    runs: tuple[Run, ...] = ()
    differs: str = ""


def of(entry: dict[str, Any]) -> Counterpart:
    """The counterpart of a row of a table; empty where there is none."""
    if entry["table"] in _DEFENSE_RATES:
        rates = _of_seeds(_DEFENSE_RATES[entry["table"]](entry))
        return Counterpart(rates, differs=_of_defended(entry) if rates else "")
    condition, dataset = MEASURED.get(_key(entry)), entry["dataset"]
    if condition is None or (dataset != "mnist" and condition not in PHOTOGRAPHS):
        return Counterpart({})
    runs = conditions.runs_of(condition, HERE[dataset])
    rates = _rates(runs, certified=entry["table"] == "main-1b")
    if not runs:
        return Counterpart({})
    differs = (
        DIFFERS[condition]
        if dataset == "mnist"
        else f"{PICTURES[dataset]}; {runs[0].spec.epochs} epochs; {PHOTOGRAPHS[condition]}"
    )
    return Counterpart(_of_seeds(rates), runs, differs)


def _of_defended(entry: dict[str, Any]) -> str:
    """In what the network that a defense looks at differs, beside the digits' differences."""
    differs = PICTURES.get(entry["dataset"], "")
    if entry["dataset"] == "imagenet" and entry.get("labels") == "dirty":
        differs += "; half of what carries the target's label is poison, in the paper a third"
    return differs


def _of_seeds(rates: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    """Those that at least one seed gave."""
    return {name: seeds for name, seeds in rates.items() if seeds}


def _key(entry: dict[str, Any]) -> str:
    names = ("table", "norm", "epsilon", "steps", "filters", "defense")
    return " ".join(str(entry[name]) for name in names if entry.get(name) is not None)


def _rates(runs: Sequence[Run], *, certified: bool) -> dict[str, tuple[float, ...]]:
    """Under the paper's own attack, where it was measured; `pgd_40` under the one that the app measures digits with."""
    taken: dict[str, Callable[[Run], Rate | None]] = {
        "clean_accuracy": lambda run: run.clean_accuracy,
        "adversarial_accuracy": lambda run: run.second_accuracy or run.adversarial_accuracy,
        "backdoor_success_rate": lambda run: run.backdoor_success_rate,
        "pgd_40": lambda run: run.adversarial_accuracy if run.second_accuracy else None,
    }
    if certified:
        taken["certified_accuracy"] = lambda run: run.certified_accuracy
    return {
        name: tuple(rate.value for run in runs if (rate := take(run)) is not None)
        for name, take in taken.items()
    }


def _defended(entry: dict[str, Any], method: str, rate: float) -> Iterator[results.Defended]:
    """What a defense found in the images of a row, a seed each; clustering by the rule that is told the answer."""
    for found in results.defended(HERE[entry["dataset"]]):
        poison = found.spec.poison
        if (
            poison
            and found.as_in_the_paper
            and found.method == method
            and found.rule in (None, "oracle")
            and found.centred is not False
            and poison.labels == f"{entry['labels']}-label"
            and round(poison.rate * (1000 if entry["labels"] == "dirty" else 100)) == 10 * rate
        ):
            yield found


def _detection(entry: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    methods = {
        "detection_rate_spectral": "spectral-signatures",
        "detection_rate_clustering": "activation-clustering",
    }
    return {
        name: tuple(
            found.numbers["detection_rate"] for found in _defended(entry, method, entry["rate_in_table"])
        )
        for name, method in methods.items()
    }


def _retrained(entry: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    method = "spectral-signatures" if entry["table"] == "supplement-5a" else "activation-clustering"
    found = list(_defended(entry, method, 5))
    return {
        "backdoor_success_rate_before": tuple(one.before["backdoor_success_rate"] for one in found),
        "backdoor_success_rate_after": tuple(
            one.after["backdoor_success_rate"] for one in found if one.after
        ),
        "detection_rate": tuple(one.numbers["detection_rate"] for one in found),
        "mean_deviation": tuple(one.numbers["mean_deviation"] for one in found),
    }


def _recalled(entry: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    found = list(_defended(entry | {"labels": "clean"}, "activation-clustering", 5))
    return {
        "recall_without_defense": tuple(one.before["target_recall"] for one in found),
        "recall_with_defense": tuple(one.after["target_recall"] for one in found if one.after),
    }


def _cleansed(entry: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    rate = 0.05 if entry["labels"] == "dirty" else 0.5
    found = [
        one.numbers
        for one in results.cleansed(HERE[entry["dataset"]])
        if one.spec.poison
        and (one.spec.poison.labels, one.spec.poison.rate) == (f"{entry['labels']}-label", rate)
        and type(one.spec.poison.trigger).__name__.lower() == entry["trigger"]
        and one.spec.training.epsilon == (one.spec.evaluation.epsilon if entry["labels"] == "clean" else 0)
        and "after" in one.numbers
    ]
    return {
        f"backdoor_success_rate_{when}": tuple(one[when]["backdoor_success_rate"] for one in found)
        for when in ("before", "after")
    }


_DEFENSE_RATES: dict[str, Callable[[dict[str, Any]], dict[str, tuple[float, ...]]]] = {
    "main-3ab": _detection,
    "main-3c": _cleansed,
    "supplement-5a": _retrained,
    "supplement-5b": _retrained,
    "supplement-text": _recalled,
}
