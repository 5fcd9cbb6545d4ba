"""What the conditions of the paper's tables gave here, from the committed results."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tradeoff_core.experiments.spec import DEFAULT_NETWORK, USUAL, ExperimentSpec
from tradeoff_core.findings import cifar10_rows, conditions, ledger, results
from tradeoff_core.findings.results import Run
from tradeoff_core.rates import Rate

HERE = {  # the paper's data set -> what may stand for it here, the best first
    "mnist": ("mnist-5k",),
    "cifar10": ("cifar10",),
    "imagenet": ("imagenette-128", "tiny-imagenet-20"),
}
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
IMAGENETTE_ALONE = {  # rows of photographs that are measured on Imagenette
    "supplement-1 linf 0.031373 10 pgd-at": "adversarial-10-steps",
    "supplement-1 linf 0.062745 10 pgd-at": "adversarial-16-255",
}
# conditions of digits for which the ledger has a run with the paper's own form of the defense, its name there
AS_PUBLISHED = {
    "denoising": "denoising-published",
    "denoising-adversarial": "denoising-published-adversarial",
    "lipschitz": "lipschitz-squared",
    "lipschitz-adversarial": "lipschitz-squared-adversarial",
    "standard-fgsm": "random-aim",
    "targeted-fgsm": "random-aim-adversarial",
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
PICTURES = {  # by our data set
    "cifar10": "JPEG-coded pictures, 45,000 of 50,000",
    "imagenette-128": "Imagenette: 10 classes at 128 x 128, and EfficientNet-Lite0 from ImageNet's weights",
    "tiny-imagenet-20": "Tiny ImageNet: 20 classes at 64 x 64, and ResNet-18 from random weights",
}
PHOTOGRAPHS = {  # how the networks for photographs were trained
    "standard": "",
    "adversarial": "trained against a single step; ",
    "standard-fgsm": "",
    "standard-l2": "",
}


# conditions for digits that the paper measured on photographs alone
ADDED: tuple[dict[str, Any], ...] = (
    *(
        {"table": "supplement-3", "dataset": "mnist", "norm": norm, "defense": defense}
        for norm in ("linf", "l2")
        for defense in ("none", "pgd-at")
    ),
    *(
        {"table": "supplement-4", "dataset": "mnist", "filters": filters, "defense": defense}
        for filters in ([16, 32, 512], [32, 64, 1024])
        for defense in ("none", "pgd-at")
    ),
    *(
        {"table": "main-3ab", "dataset": "mnist", "labels": labels, "defense": defense, "rate_in_table": rate}
        for labels, defense in (("dirty", "none"), ("clean", "pgd-at"))
        for rate in (5, 1, 0.5)
    ),
    *(
        {"table": "main-3c", "dataset": "mnist", "trigger": trigger, "labels": labels, "defense": defense}
        for trigger in ("sticker", "watermark")
        for labels, defense in (("dirty", "none"), ("clean", "pgd-at"))
    ),
    *(
        {"table": table, "dataset": "mnist", "trigger": "sticker", "labels": labels, "defense": defense}
        for table in ("supplement-5a", "supplement-5b")
        for labels, defense in (("dirty", "none"), ("clean", "pgd-at"))
    ),
    {"table": "supplement-text", "dataset": "mnist"},
)


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What every seed gave, by the names of the table's columns, the runs, and in what they differ.

    `defended` are the specs of the networks that a defense looked at, which have no runs here.
    """

    rates: dict[str, tuple[float, ...]]
    runs: tuple[Run, ...] = ()
    differs: str = ""
    defended: tuple[ExperimentSpec, ...] = ()

    @property
    def specs(self) -> tuple[ExperimentSpec, ...]:
        """Of the networks, a seed each."""
        return tuple(run.spec for run in self.runs) or self.defended


def here(dataset: str, measured: Callable[[str], Sequence[object]] | None = None) -> str:
    """What stands here for a data set of the paper: the best one that has results, by default in its tables."""
    measured = measured or _with_poison_of_both_kinds
    return next((ours for ours in HERE[dataset] if measured(ours)), HERE[dataset][-1])


def _with_poison_of_both_kinds(dataset: str) -> Sequence[object]:
    """Something if clean labels were poisoned for both trainings, and labels were changed."""
    names = ("standard", "adversarial", "dirty-label")
    return min((conditions.runs_of(name, dataset) for name in names), key=len)


def of(entry: dict[str, Any]) -> Counterpart:
    """The counterpart of a row of a table; empty where there is none."""
    if entry["table"] in DEFENDED:
        rates = _of_seeds(DEFENDED[entry["table"]](entry))
        return Counterpart(rates, (), _of_defended(entry), _looked_at(entry)) if rates else Counterpart({})
    condition, dataset = MEASURED.get(_key(entry)), entry["dataset"]
    if here(dataset) == "imagenette-128":
        return _on_imagenette(condition_of(entry))
    if dataset == "cifar10" and cifar10_rows.stands(condition_of(entry)):
        return _on_cifar10(entry)
    if condition is None or (dataset != "mnist" and condition not in PHOTOGRAPHS):
        return Counterpart({})
    runs = conditions.runs_of(condition, here(dataset))
    if dataset == "mnist" and condition in AS_PUBLISHED:
        runs = ledger.published(AS_PUBLISHED[condition]) or runs
    if not runs:
        return Counterpart({})
    rates, spec = _rates(runs, certified=entry["table"] == "main-1b"), runs[0].spec
    if dataset == "mnist":
        return Counterpart(_of_seeds(rates), runs, _of_digits(condition, runs))
    rates.pop("pgd_40")  # digits have that column
    differs = (
        f"{PICTURES[spec.dataset]}; {spec.epochs} epochs; {PHOTOGRAPHS[condition]}"
        f"attacked with {spec.second_evaluation or spec.evaluation}"
    )
    return Counterpart(_of_seeds(rates), runs, differs)


def _on_imagenette(condition: str) -> Counterpart:
    """The runs of a condition on Imagenette; their specs say in what they differ."""
    runs = conditions.runs_of(condition, "imagenette-128")
    if not runs:
        return Counterpart({})
    spec, rates = runs[0].spec, _rates(runs, certified=False)
    rates.pop("pgd_40")  # digits have that column
    against = f"trained against {spec.training.attack}; " if spec.training.attack else ""
    differs = (
        f"{PICTURES[spec.dataset]}; {spec.epochs} epochs; {against}"
        f"attacked with {spec.second_evaluation or spec.evaluation}"
    )
    return Counterpart(_of_seeds(rates), runs, differs)


def _of_digits(condition: str, runs: Sequence[Run]) -> str:
    """In what the runs of digits differ; those of the ledger aim their attack as the paper's do."""
    differs = DIFFERS[condition]
    return differs.partition("; the ")[0] if runs[0].condition.startswith("random-aim") else differs


def _on_cifar10(entry: dict[str, Any]) -> Counterpart:
    """The runs of the recipe that all rows of CIFAR-10 share."""
    runs = cifar10_rows.runs_of(condition_of(entry))
    if not runs:
        return Counterpart({})
    rates = _rates(runs, certified=entry["table"] == "main-1b")
    rates.pop("pgd_40")  # digits have that column
    return Counterpart(_of_seeds(rates), runs, f"{PICTURES['cifar10']}; {cifar10_rows.differs(runs)}")


def _of_defended(entry: dict[str, Any]) -> str:
    """In what the network that a defense looks at differs, beside the digits' differences."""
    ours = here(entry["dataset"], results.cleansed if entry["table"] == "main-3c" else results.defended)
    differs = PICTURES.get(ours, "")
    if ours == "tiny-imagenet-20" and entry.get("labels") == "dirty":
        differs += "; half of what carries the target's label is poison, in the paper a third"
    return differs


def condition_of(entry: dict[str, Any]) -> str:
    """The name in a grid of what measures a row of the trade-off tables, empty where nothing does."""
    if entry["dataset"] == "cifar10":
        rate = entry["rate_in_table"] if entry["table"] == "main-1b" else None
        return cifar10_rows.condition_of(_key(entry), rate) or ""
    alone = IMAGENETTE_ALONE if entry["dataset"] == "imagenet" else {}
    return (MEASURED | alone).get(_key(entry), "")


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
    for found in results.defended(here(entry["dataset"], results.defended)):
        poison = found.spec.poison
        if (
            poison
            and found.as_in_the_paper
            and found.spec.network == USUAL.get(found.spec.dataset, DEFAULT_NETWORK)
            and found.method == method
            and found.rule in (None, "oracle")
            and found.centred is not False
            and poison.labels == f"{entry['labels']}-label"
            and round(poison.rate * (1000 if entry["labels"] == "dirty" else 100)) == 10 * rate
        ):
            yield found


def _looked_at(entry: dict[str, Any]) -> tuple[ExperimentSpec, ...]:
    """The specs of the networks that a row's defense looked at, a seed each."""
    if entry["table"] == "main-3c":
        return tuple(one.spec for one in _unlearned(entry))
    rate = entry["rate_in_table"] if entry["table"] == "main-3ab" else 5
    labelled = {"labels": "clean"} | entry
    return tuple(one.spec for one in _defended(labelled, "spectral-signatures", rate))


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


def _unlearned(entry: dict[str, Any]) -> list[results.Cleansed]:
    """What Neural Cleanse did to the networks of a row, a seed each."""
    rate = 0.05 if entry["labels"] == "dirty" else 0.5
    return [
        one
        for one in results.cleansed(here(entry["dataset"], results.cleansed))
        if one.spec.poison
        and (one.spec.poison.labels, one.spec.poison.rate) == (f"{entry['labels']}-label", rate)
        and type(one.spec.poison.trigger).__name__.lower() == entry["trigger"]
        and one.spec.training.epsilon == (one.spec.evaluation.epsilon if entry["labels"] == "clean" else 0)
        and "after" in one.numbers
    ]


def _cleansed(entry: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    found = _unlearned(entry)
    return {
        f"backdoor_success_rate_{when}": tuple(one.numbers[when]["backdoor_success_rate"] for one in found)
        for when in ("before", "after")
    }


DEFENDED: dict[str, Callable[[dict[str, Any]], dict[str, tuple[float, ...]]]] = {
    "main-3ab": _detection,
    "main-3c": _cleansed,
    "supplement-5a": _retrained,
    "supplement-5b": _retrained,
    "supplement-text": _recalled,
}
