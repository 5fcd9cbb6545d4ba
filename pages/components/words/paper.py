"""The paper's tables in words and as data frames."""

from collections.abc import Sequence
from statistics import fmean

import pandas as pd

from pages.components.words.changes import points, said
from tradeoff_core.findings import conditions, our_rows, paper_tables, results
from tradeoff_core.findings.paper_tables import (
    DATASETS,
    DEFENSES,
    METRICS,
    TABLES,
    Comparison,
    Row,
    is_tradeoff,
)

NOT_YET, NO_ROW = "not measured yet", "no such row"
REMARK = "Ours differs in, or why there is none"
BACKDOOR = "backdoor_success_rate"
STANDS_FOR_IMAGENET = {  # in short, and with its network
    "imagenette-128": (
        "10 of its classes, Imagenette",
        "EfficientNet-Lite0, from ImageNet's weights, on the 10 classes of Imagenette at 128 x 128",
    ),
    "tiny-imagenet-20": (
        "20 classes of Tiny ImageNet",
        "a ResNet-18 on 20 classes of Tiny ImageNet",
    ),
}


def in_short(comparisons: Sequence[Comparison]) -> str:
    """For how many conditions the sign of the effect is reproduced, in one sentence."""
    known = [one.reproduced for one in comparisons if one.reproduced is not None]
    return f"In **{sum(known)} of {len(known)}** rows that we measured, backdoor success moves the way the paper says."


def counted(comparisons: Sequence[Comparison]) -> str:
    """For how many conditions the sign of the effect is reproduced, and which not."""
    known = [one for one in comparisons if one.reproduced is not None]
    alike = [one for one in known if one.reproduced]
    steady = [one for one in alike if one.in_every_seed]
    others = [one.row for one in known if not one.reproduced]
    added = [one for one in comparisons if one.published is None and one.means]
    text = (
        f"The paper's trade-off tables have {sum(one.published is not None for one in comparisons)} rows for networks with a "
        f"defense against adversarial examples; {len(known)} are measured here. In **{len(alike)} of {len(known)}** backdoor "
        f"success moves the way the paper says, in {'all' if len(steady) == len(alike) else len(steady)} of these with every seed."
    )
    if added:
        shown = [one for one in added if is_tradeoff(one.means or (0, 0))]
        text += (
            f" Of {len(added)} rows that the paper has for photographs only, digits show the trade-off in "
            f"{len(shown)}."
        )
    if others:
        text += "\n\nIt does not in these rows:\n" + "\n".join(
            f"- {measured_on(row.dataset)}: {row.condition} ({TABLES[row.table].title.partition(':')[0]})"
            for row in others
        )
    return text


def photographs() -> str:
    """How the networks beside the paper's rows for photographs were trained, and what those for ImageNet learned."""
    (standard, theirs), (adversarial, theirs_adversarial) = (
        (_measured(row, BACKDOOR), _published(row, BACKDOOR))
        for row in paper_tables.rows("main-1a")
        if row.dataset == "imagenet" and row.condition in (DEFENSES["none"], DEFENSES["pgd-at"])
    )
    ours = our_rows.here("imagenet")
    dirty = [run.backdoor_success_rate.value for run in conditions.runs_of("dirty-label", ours)]
    return (
        f"CIFAR-10 is the paper's network trained for {_epochs('cifar10')} epochs on pictures that have been through JPEG. Beside "
        f"ImageNet's rows stands {STANDS_FOR_IMAGENET[ours][1]}, trained for {_epochs('imagenet')} epochs: a dirty-label "
        f"sticker sends {fmean(dirty):.1%} of the stamped images to the target class, a clean-label one "
        f"{standard} after standard and {adversarial} after adversarial training, where the paper has {theirs} and "
        f"{theirs_adversarial} for ImageNet."
    )


def trained_twice() -> str:
    """What chance alone does: the mean backdoor success of the tables' networks for digits and of the curve's."""
    adversarial = [run for run in results.sweep("tables", "mnist-5k") if run.condition == "adversarial"]
    here = fmean(run.backdoor_success_rate.value for run in adversarial)
    _, there = results.mean_rates(results.curve("mnist-5k"), adversarial[0].epsilon)
    return (
        "The digits' networks of these tables and those of the curve (*Overview*, *Trade-off*) were trained apart, with the same "
        f"settings and seeds, at another time: that alone makes backdoor success after adversarial training {here:.1%} here and "
        f"{there:.1%} there."
    )


def _epochs(dataset: str) -> str:
    """For how many epochs the networks of the paper's tables were trained on a data set."""
    numbers = {run.spec.epochs for run in results.sweep("tables", our_rows.here(dataset))}
    return " to ".join(str(number) for number in sorted({min(numbers), max(numbers)}))


def beside_chance() -> str:
    """What the published spectral signatures find of CIFAR-10's clean-label poison, and what luck would."""
    rows = [row for row in paper_tables.detection() if row.labels == "clean-label"]
    removed, found = (
        ", ".join(f"{getattr(row, name):.{digits}%}" for row in rows)
        for name, digits in (("chance", 0), ("detection_rate", 1))
    )
    return f"the paper's spectral signatures remove {removed} of the class and find {found} of the poison"


def measured_on(dataset: str) -> str:
    """A data set of the paper as the reader is told it, with what stands for it here."""
    if dataset != "imagenet":
        return DATASETS[dataset]
    return f"{DATASETS[dataset]} (here {STANDS_FOR_IMAGENET[our_rows.here(dataset)][0]})"


def verdicts(comparisons: Sequence[Comparison]) -> str:
    """A line for each measured comparison: what changes, and whether that is a trade-off."""
    lines = [f"- {_verdict(one)}" for one in comparisons if one.means]
    return "\n".join(lines) or "None of these conditions is measured yet."


def _verdict(one: Comparison) -> str:
    paper = {
        True: " In the paper it goes the same way.",
        False: " **In the paper it goes the other way.**",
        None: "",
    }
    spec = one.row.runs[0].spec
    attack = spec.second_evaluation or spec.evaluation
    return f"{measured_on(one.row.dataset)}, {one.row.condition}: {said(one.measured, attack)}.{paper[one.reproduced]}"


def as_shown(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows for reading: a column a metric for the paper's number and one for ours."""
    several = len({row.table for row in rows}) > 1
    names = [name for name in METRICS if any(name in TABLES[row.table].metrics for row in rows)]
    # the point of the page comes first, what both sides keep last
    names.sort(key=lambda name: (not name.startswith("backdoor"), name.startswith("clean")))
    records = []
    for row in rows:
        record = {"Table": TABLES[row.table].title.partition(":")[0]} if several else {}
        record |= {"Data set": DATASETS[row.dataset], "Condition": row.condition}
        for name in names:
            ours = name in TABLES[row.table].metrics
            record[f"{METRICS[name]}, paper"] = _published(row, name) if ours else ""
            record[f"{METRICS[name]}, here"] = _measured(row, name) if ours else ""
        if any("pgd_40" in other.measured for other in rows):
            record["PGD-40, here"] = _measured(row, "pgd_40") if "pgd_40" in row.measured else ""
        if any(row.runs for row in rows):
            record["Backdoor, here − paper"] = _difference(row)
        record[REMARK] = "; ".join(filter(None, (row.differs, row.missing)))
        records.append(record)
    return pd.DataFrame(records)


def _number(value: float, name: str) -> str:
    return f"{value:.2f}" if name == "mean_deviation" else f"{100 * value:.1f}%"


def _published(row: Row, name: str) -> str:
    if not row.published:
        return NO_ROW
    return _number(row.published[name], name) if name in row.published else "–"


def _measured(row: Row, name: str) -> str:
    seeds, mean = row.measured.get(name), row.mean(name)
    if not seeds or mean is None:
        return NOT_YET if not row.measured else "–"
    if len(seeds) == 1:
        return _number(mean, name)
    low, high = (_number(end, name).removesuffix("%") for end in (min(seeds), max(seeds)))
    return f"{_number(mean, name)} ({low}–{high})"


def _difference(row: Row) -> str:
    ours, theirs = row.mean("backdoor_success_rate"), row.published.get("backdoor_success_rate")
    return "" if ours is None or theirs is None else points(ours - theirs)


def as_numbers(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows for calculating: rates in [0, 1], every seed in a column."""
    records = []
    for row in rows:
        record: dict[str, object] = {"table": row.table, "dataset": row.dataset, "condition": row.condition}
        for name in (*TABLES[row.table].metrics, "pgd_40"):
            record[f"{name}_published"] = row.published.get(name)
            for number, value in enumerate(row.measured.get(name, ())):
                record[f"{name}_seed_{number}"] = value
        records.append(record)
    return pd.DataFrame(records).dropna(axis=1, how="all")
