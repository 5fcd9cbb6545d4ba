"""The paper's tables as data, every published row, and beside it what the same condition gave here."""

from dataclasses import dataclass
from functools import cache
from statistics import fmean
from typing import Any

from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.common.files import read_json
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings import coverage, our_rows, results
from tradeoff_core.findings.results import Run

DATASETS = {"mnist": "MNIST", "cifar10": "CIFAR-10", "imagenet": "ImageNet"}
METRICS = {
    "clean_accuracy": "Clean",
    "certified_accuracy": "Certified",
    "adversarial_accuracy": "Adversarial",
    "backdoor_success_rate": "Backdoor",
    "backdoor_success_rate_before": "Backdoor before",
    "backdoor_success_rate_after": "Backdoor after",
    "detection_rate": "Found",
    "detection_rate_spectral": "Spectral found",
    "detection_rate_clustering": "Clustering found",
    "mean_deviation": "Mean deviation",
    "recall_without_defense": "Recall without",
    "recall_with_defense": "Recall with",
}
RATES = ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the paper: what it varies, and its columns, which are keys of METRICS."""

    title: str
    metrics: tuple[str, ...]
    note: str = ""


TABLES = {
    "main-1a": Table("Main table 1a: defenses against adversarial examples", RATES),
    "main-1b": Table(
        "Main table 1b: a certified defense",
        ("clean_accuracy", "certified_accuracy", "adversarial_accuracy", "backdoor_success_rate"),
        "Certified accuracy and the attack are at ε 0.4 for digits. Our network is the small one of Gowal et al. "
        "(2018), trained for 120 epochs of 36 steps; the paper's has seven layers and 60,001 steps.",
    ),
    "supplement-1": Table(
        "Supplement table 1: strength and iterations of PGD",
        RATES,
        "Two of the published MNIST rows print an accuracy equal to the adversarial accuracy (93.4 and 94.7); main table 1a "
        "has a clean accuracy of 98.8 for the first of them.",
    ),
    "supplement-2": Table(
        "Supplement table 2: single-step targeted FGSM",
        RATES,
        "Adversarial accuracy is under targeted FGSM here. A network that was trained on a single step can resist just "
        "that step: the column *PGD-40* tells.",
    ),
    "supplement-3": Table(
        "Supplement table 3: another norm",
        RATES,
        "The paper has no MNIST row here. The l2 rows are attacked and trained at l2 ε 2 on digits.",
    ),
    "supplement-4": Table(
        "Supplement table 4: capacity",
        RATES,
        "The paper has no MNIST row here. Our doubled network has the paper's own width, since ours is half of that.",
    ),
    "main-3ab": Table(
        "Main tables 3a and 3b: finding the poison",
        ("detection_rate_spectral", "detection_rate_clustering"),
        "Removing as many at random finds, for clean-label poison, 50, 10 and 5% of it, and for dirty-label poison 33, 9 "
        "and 5%. Clustering is told which of its groups is the poisoned one, as in the paper's code. The header "
        "says 5, 1 and 0.5% of ImageNet's images; the code poisons 650, 130 and 65 of one class's 1,300.",
    ),
    "main-3c": Table(
        "Main table 3c: Neural Cleanse",
        ("backdoor_success_rate_before", "backdoor_success_rate_after"),
        "The paper has no watermark for digits: the stripes, and their amplitude of 0.5, are ours.",
    ),
    "supplement-5a": Table(
        "Supplement table 5a: spectral signatures and retraining",
        ("backdoor_success_rate_before", "backdoor_success_rate_after", "detection_rate", "mean_deviation"),
        "Chance is a third for dirty-label poison here, and one half for clean-label poison.",
    ),
    "supplement-5b": Table(
        "Supplement table 5b: activation clustering and retraining",
        ("backdoor_success_rate_before", "backdoor_success_rate_after", "detection_rate"),
        "Clustering is told which of its groups is the poisoned one, as in the paper's code.",
    ),
    "supplement-text": Table(
        "Supplement, section 2.2: the target class after activation clustering",
        ("recall_without_defense", "recall_with_defense"),
        "Adversarially trained with clean-label poison. A network that hardly ever answers with a class cannot be "
        "sent to it: its backdoor is shut, and so is the class.",
    ),
}
ON_TINY_IMAGENET = {  # what a table's note adds while Tiny ImageNet stands for ImageNet
    "main-3ab": "On Tiny ImageNet, where only the largest rate was trained, chance is 50% for dirty-label poison too.",
    "main-3c": "On Tiny ImageNet only the dirty-label sticker was unlearned: the clean-label one was never learned, and no "
    "watermark was trained.",
    "supplement-5a": "On Tiny ImageNet chance is one half for dirty-label poison too.",
}
TRADEOFFS = ("main-1a", "main-1b", "supplement-1", "supplement-2", "supplement-3", "supplement-4")

DEFENSES = {
    "none": "no defense",
    "pgd-at": "adversarial training",
    "fgsm-at": "targeted FGSM training",
    "lipschitz": "cross-Lipschitz",
    "lipschitz+pgd-at": "cross-Lipschitz and adversarial training",
    "denoising": "denoising blocks",
    "denoising+pgd-at": "denoising blocks and adversarial training",
    "ibp": "interval bound propagation",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: what was published, in [0, 1], and what every seed gave here, as the table names them.

    `published` is empty for a condition that the paper did not measure on this data set, `measured` for one that was
    not measured here. `group` is shared by the rows that are compared with the same undefended one; `differs` says in
    what our run differs from the paper's, `missing` what a published row lacks here and why; `specs` are those of its networks.
    """

    table: str
    dataset: str
    condition: str
    group: tuple[Any, ...]
    defended: bool
    published: dict[str, float]
    measured: dict[str, tuple[float, ...]]
    runs: tuple[Run, ...]
    differs: str
    missing: str = ""
    specs: tuple[ExperimentSpec, ...] = ()

    @property
    def name(self) -> str:
        """What tells it from all others, for an address."""
        return f"{self.table}: {self.dataset}, {self.condition}"

    def mean(self, metric: str) -> float | None:
        """The mean over the seeds, None if it was not measured."""
        seeds = self.measured.get(metric)
        return fmean(seeds) if seeds else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a defense changes against none: adversarial accuracy and backdoor success, published and by seed here."""

    row: Row
    base: Row

    @property
    def published(self) -> tuple[float, float] | None:
        """The changes as published, None if they were not."""
        pair = (self.row.published, self.base.published)
        if not all(name in rates for rates in pair for name in RATES[1:]):
            return None
        adversarial, backdoor = (pair[0][name] - pair[1][name] for name in RATES[1:])
        return adversarial, backdoor

    @property
    def measured(self) -> tuple[tuple[float, float], ...]:
        """The changes of each seed that both sides have."""
        after, before = (
            {
                run.seed: rates
                for run, *rates in zip(
                    side.runs, *(side.measured.get(name, ()) for name in RATES[1:]), strict=True
                )
            }
            for side in (self.row, self.base)
        )
        return tuple(
            (after[seed][0] - before[seed][0], after[seed][1] - before[seed][1])
            for seed in after
            if seed in before
        )

    @property
    def means(self) -> tuple[float, float] | None:
        """The mean changes over the seeds, None if not measured."""
        seeds = self.measured
        return (fmean(a for a, _ in seeds), fmean(b for _, b in seeds)) if seeds else None

    @property
    def reproduced(self) -> bool | None:
        """Whether backdoor success moves the way it was published to, None where one side is missing."""
        if self.published is None or self.means is None:
            return None
        return self.published[1] * self.means[1] > 0

    @property
    def in_every_seed(self) -> bool:
        """Whether backdoor success moves the same way in every seed."""
        signs = {change > 0 for _, change in self.measured}
        return len(signs) == 1


NOTICEABLE = 0.02  # of a rate: less is no change to speak of


def is_tradeoff(change: tuple[float, float]) -> bool:
    """Whether adversarial accuracy and backdoor success both rise noticeably."""
    return min(change) >= NOTICEABLE


def note(table: str) -> str:
    """What is to be said under a table."""
    measured = results.cleansed if table == "main-3c" else results.defended
    tiny = our_rows.here("imagenet", measured) == "tiny-imagenet-20"
    return f"{TABLES[table].note} {ON_TINY_IMAGENET.get(table, '') if tiny else ''}".strip()


@cache
def rows(table: str | None = None) -> tuple[Row, ...]:
    """The rows of a table, or of all: digits first, the published ones as the paper has them, then the added ones."""
    everything = [*_document(), *our_rows.ADDED]
    chosen = [_row(entry) for entry in everything if table is None or entry["table"] == table]
    order = list(DATASETS)
    return tuple(sorted(chosen, key=lambda row: (list(TABLES).index(row.table), order.index(row.dataset))))


def comparisons(table: str | None = None) -> list[Comparison]:
    """Every defended row of the trade-off tables beside the undefended one of its group."""
    found = []
    for name in TRADEOFFS if table is None else (table,):
        base = {row.group: row for row in rows(name) if not row.defended}
        found += [Comparison(row, base[row.group]) for row in rows(name) if row.defended]
    return found


@cache
def _document() -> tuple[dict[str, Any], ...]:
    return tuple(read_json(RESULTS / "published.json")["rows"])


def _row(entry: dict[str, Any]) -> Row:
    table = entry["table"]
    published = {
        name: entry[name] if name == "mean_deviation" else entry[name] / 100
        for name in TABLES[table].metrics
        if entry.get(name) is not None
    }
    counterpart = our_rows.of(entry)
    group = (
        table,
        entry["dataset"],
        entry.get("norm") if table == "supplement-3" else None,
        str(entry.get("filters")),
        entry.get("rate_in_table"),
    )
    return Row(
        table,
        entry["dataset"],
        _in_words(entry),
        group,
        entry.get("defense", "none") != "none",
        published,
        counterpart.rates,
        counterpart.runs,
        counterpart.differs,
        coverage.missing(entry, counterpart) if published else "",
        counterpart.specs,
    )


def _in_words(entry: dict[str, Any]) -> str:
    """A row's condition."""
    table, defense = entry["table"], DEFENSES[entry.get("defense", "none")]
    if table == "supplement-1" and entry["epsilon"]:
        epsilon = (
            f"{entry['epsilon']:g}" if entry["dataset"] == "mnist" else f"{255 * entry['epsilon']:.0f}/255"
        )
        return f"{defense}, ε {epsilon}, {entry['steps']} iterations"
    if table == "supplement-3":
        return f"{'l∞' if entry['norm'] == 'linf' else 'l2'}: {defense}"
    if table == "supplement-4":
        return f"{defense}, channels {entry['filters']}"
    if table == "main-1b":
        return f"{defense}, {entry['rate_in_table']:g}% poisoned"
    if table == "main-3ab":
        return f"{entry['labels']}-label, {entry['rate_in_table']:g}% poisoned"
    if table in ("main-3c", "supplement-5a", "supplement-5b"):
        training = "standard" if entry["defense"] == "none" else "adversarial"
        return f"{entry['labels']}-label {entry['trigger']}, {training} training"
    return "recall of the target class" if table == "supplement-text" else defense


@dataclass(frozen=True, slots=True)
class Published:
    """One row of the paper's tables; rates in [0, 1], without n (the paper gives means of 10 seeds)."""

    name: str
    epsilon: float
    clean_accuracy: float
    adversarial_accuracy: float
    backdoor_success_rate: float


ALL_OF_IMAGENET = ("imagenet", "all of ImageNet at 224 x 224, five or ten steps, a weaker attack (PGD-5)")
CURVES = {  # a data set here: the paper's that it is compared with, and in what its numbers differ
    "mnist-5k": ("mnist", "60,000 training digits, and a weaker attack (PGD-10)"),
    "cifar10": ("cifar10", "ten times the training, five or ten steps, and a weaker attack (PGD-5)"),
    "imagenette-128": ALL_OF_IMAGENET,
    "tiny-imagenet-20": ALL_OF_IMAGENET,
}


@cache
def curve(dataset: str) -> tuple[Published, ...]:
    """Supplement table 1 for a data set: no adversarial training, then each ε, with the fewest iterations it has."""
    if dataset not in CURVES:
        return ()
    found: dict[float, Published] = {}
    for row in _document():
        epsilon = row.get("epsilon") or 0.0
        if row["dataset"] != "mnist":
            epsilon = round(255 * epsilon) / 255  # printed with six digits
        if row["table"] == "supplement-1" and row["dataset"] == CURVES[dataset][0] and epsilon not in found:
            found[epsilon] = Published(
                "supplement table 1, " + (f"ε {in_levels(epsilon)}" if epsilon else "standard training"),
                epsilon,
                *(
                    row[name] / 100
                    for name in ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")
                ),
            )
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class PublishedDetection:
    """A published detection rate of spectral signatures, with chance at as many removed as were poisoned."""

    labels: str
    poison_rate_dataset: float
    detection_rate: float
    chance: float


@cache
def detection() -> tuple[PublishedDetection, ...]:
    """Main table 3's CIFAR-10 rows: ten classes of equal size, the target one's share follows from the rate."""
    published = []
    for row in _document():
        if row["table"] == "main-3ab" and row["dataset"] == "cifar10":
            share = row["poison_rate_dataset"] / 100 * 10  # of the target class's own examples
            published.append(
                PublishedDetection(
                    f"{row['labels']}-label",
                    row["poison_rate_dataset"] / 100,
                    row["detection_rate_spectral"] / 100,
                    share if row["labels"] == "clean" else share / (1 + share),
                )
            )
    return tuple(published)


@cache
def cleansing(dataset: str, labels: str, trigger: str) -> tuple[str, float, float]:
    """Main table 3c: the paper's data set, and backdoor success before and after, in [0, 1]; it has no row for digits."""
    of = "imagenet" if dataset in our_rows.HERE["imagenet"] else "cifar10"
    (row,) = (
        row
        for row in _document()
        if row["table"] == "main-3c"
        and row["dataset"] == of
        and f"{row['labels']}-label" == labels
        and row["trigger"] == trigger
    )
    return DATASETS[of], row["backdoor_success_rate_before"] / 100, row["backdoor_success_rate_after"] / 100
