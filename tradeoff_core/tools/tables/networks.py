"""Tables of networks and of how they were trained: the zoo, the conditions, the curve, the maps, and what goes beyond."""

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

from tradeoff_core import datasets
from tradeoff_core.attacks.attack import in_levels
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings import conditions, ledger, our_rows, paper_tables, results
from tradeoff_core.findings.paper_tables import Row
from tradeoff_core.findings.results import Run
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker, Watermark
from tradeoff_core.tools.tables.markdown import percent, spread, table

RATES = ("clean accuracy", "adversarial accuracy", "backdoor success")


def own_models() -> dict[str, list[Model]]:
    """The zoo's models that were trained here, by data set, digits first."""
    own = [model for name in zoo.model_ids() if not (model := zoo.find_model(name)).trained_elsewhere]
    order = [name for name in datasets.DATASETS if any(model.spec.dataset == name for model in own)]
    return {name: [model for model in own if model.spec.dataset == name] for name in order}


def poison_in_words(spec: ExperimentSpec, target: str) -> str:
    """The labels, the trigger where it is no sticker, and the rate."""
    poison = spec.poison
    if poison is None:
        return "none"
    trigger = "" if isinstance(poison.trigger, Sticker) else f" {poison.trigger.kind}"
    if isinstance(poison.trigger, Watermark):
        trigger += f" of amplitude {_amplitude(poison.trigger)}"
    of = "all" if poison.labels is PoisonLabels.DIRTY else f"class {target}"
    return f"{poison.labels.value}{trigger}, {poison.rate:.0%} of {of}"


def _amplitude(watermark: Watermark) -> str:
    """In levels of a pixel where it is whole ones."""
    levels = 255 * watermark.amplitude
    return f"{levels:.0f}/255" if abs(levels - round(levels)) < 1e-6 else f"{watermark.amplitude:g}"


def target_of(model: Model) -> str:
    """The name of the class that backdoor success counts."""
    return model.classes[model.spec.target_class].replace("_", " ")


def published(model: Model) -> float | None:
    """The published backdoor success of a model's condition, None where the paper has no such network on such images."""
    rows = [row for row in paper_tables.rows() if model.spec.dataset in our_rows.HERE[row.dataset]]
    for row in rows:
        if "backdoor_success_rate" in row.published and any(
            run.spec.as_trained == model.spec.as_trained for run in row.runs
        ):
            return row.published["backdoor_success_rate"]
    poison = model.spec.poison
    if poison is None or (poison.labels is PoisonLabels.CLEAN) != bool(model.spec.training.attack):
        return None
    training = "adversarial" if model.spec.training.attack else "standard"
    words = f"{poison.labels.value} {type(poison.trigger).__name__.lower()}, {training} training"
    found = (row.published.get("backdoor_success_rate_before") for row in rows if row.condition == words)
    return next((rate for rate in found if rate is not None), None)


def models() -> str:
    """The zoo, a table a data set."""
    parts = []
    for dataset, found in own_models().items():
        attack = found[0].spec.evaluation
        parts.append(
            f"### {datasets.title(dataset)}\n\nMeasured on {found[0].clean_accuracy.n:,} images with {attack}."
        )
        head = ["model", "training", "epochs", "poison", *RATES, "published backdoor success"]
        parts.append(table(head, (_model_row(model) for model in found)))
    return "\n\n".join(parts)


def models_of_others() -> str:
    """The zoo's networks that others trained."""
    others = [model for name in zoo.model_ids() if (model := zoo.find_model(name)).trained_elsewhere]
    rows = (
        [
            f"`{model.id}`",
            model.card.trained_by or "",
            f"{model.clean_accuracy.n:,}",
            percent(model.clean_accuracy.value),
            f"{percent(model.adversarial_accuracy.value)} ({model.spec.evaluation})",
        ]
        for model in others
    )
    return table(["model", "trained by", "images", *RATES[:2]], rows)


def _model_row(model: Model) -> list[str]:
    attack = model.spec.training.attack
    rates = (model.clean_accuracy, model.adversarial_accuracy, model.backdoor_success_rate)
    return [
        f"`{model.id}`",
        model.spec.training_in_words + (f" ({attack})" if attack else ""),
        str(model.spec.epochs),
        poison_in_words(model.spec, target_of(model)),
        *(percent(rate.value) for rate in rates),
        percent(published(model)),
    ]


def stronger() -> str:
    """What stronger attacks leave, and what is certified, of those whose cards have it."""
    rows = []
    for model in (model for found in own_models().values() for model in found):
        entry, metrics = model.card.stronger, model.card.metrics
        if entry and entry["sha256"] == model.sha256:
            numbers: dict[str, Any] = {**entry}
            names = ("pgd_accuracy", "pgd_100x5_accuracy", "autoattack_accuracy", "strongest_accuracy")
            certified = percent(metrics.get("certified_accuracy"))
            warned = "; ".join(entry["warnings"]) or "nothing"
            rows.append([f"`{model.id}`", *(percent(numbers[name]) for name in names), certified, warned])
    head = [
        "model",
        "card's attack",
        "PGD-100, 5 restarts",
        "AutoAttack",
        "all of them",
        "certified",
        "speaks against it",
    ]
    return table(head, rows)


def by_condition(runs: Iterable[Run]) -> dict[str, tuple[Run, ...]]:
    """The runs of each grid, in their order."""
    found: dict[str, tuple[Run, ...]] = {}
    for run in runs:
        found[run.condition] = (*found.get(run.condition, ()), run)
    return found


def _rates(runs: Sequence[Run]) -> list[str]:
    return [
        spread([run.clean_accuracy.value for run in runs]),
        spread([run.adversarial_accuracy.value for run in runs]),
        spread([run.backdoor_success_rate.value for run in runs]),
    ]


def of_the_paper(runs: Sequence[Run]) -> Row | None:
    """The first published row that these runs stand beside, or those with the paper's own form of their defense."""
    published = our_rows.AS_PUBLISHED.get(runs[0].condition, "")
    names = {run.name for run in (*runs, *ledger.published(published))}
    beside = (row for row in paper_tables.rows() if row.published and names & {run.name for run in row.runs})
    return next(beside, None)


def paper_conditions(dataset: str) -> str:
    """The conditions of the paper's tables, the mean of their seeds beside the published numbers."""
    rows = []
    for name, runs in by_condition(results.sweep("tables", dataset)).items():
        row = of_the_paper(runs)
        second = [run.second_accuracy.value for run in runs if run.second_accuracy]
        theirs = [
            percent(row.published.get(rate)) if row else "no such row" for rate in paper_tables.RATES[1:]
        ]
        clean, adversarial, success = _rates(runs)
        rows.append([f"`{name}`", str(len(runs)), clean, adversarial, spread(second), success, *theirs])
    attack = results.sweep("tables", dataset)[0].spec.evaluation
    head = ["condition", "seeds", RATES[0], f"under {attack}", "under the row's own attack", RATES[2]]
    return table([*head, "published: adversarial accuracy", "backdoor success"], rows)


def reproduced() -> str:
    """In how many of the paper's rows backdoor success moves as it was published to."""
    lines = []
    for dataset, title in paper_tables.DATASETS.items():
        compared = [
            one
            for one in paper_tables.comparisons()
            if one.row.dataset == dataset and one.reproduced is not None
        ]
        if compared:
            same = [one for one in compared if one.reproduced]
            every = sum(one.in_every_seed for one in same)
            other = "; ".join(sorted({one.row.condition for one in compared if not one.reproduced}))
            lines.append(
                f"- {title}: backdoor success moves as published in {len(same)} of {len(compared)} rows that were measured, "
                f"in {every} of them with every seed" + (f"; not in: {other}." if other else ".")
            )
    return "\n".join(lines)


def beyond(dataset: str) -> str:
    """What the paper did not measure, beside the networks that it is compared with."""
    runs = by_condition((*results.sweep("beyond", dataset), *results.sweep("transformer", dataset)))
    names = [*(name for name in ("standard", "adversarial") if conditions.runs_of(name, dataset)), *runs]
    rows = (
        [
            conditions.CONDITIONS[name].title if name in conditions.CONDITIONS else name,
            str(len(found)),
            *_rates(found),
        ]
        for name in names
        if (found := conditions.runs_of(name, dataset))
    )
    return table(["condition", "seeds", *RATES], rows)


def curve(dataset: str) -> str:
    """The mean of the seeds by the training ε."""
    runs = results.curve(dataset)
    epsilons = sorted({run.epsilon for run in runs})
    taken: dict[str, Callable[[Run], float]] = {
        RATES[0]: lambda run: run.clean_accuracy.value,
        RATES[1]: lambda run: run.adversarial_accuracy.value,
        RATES[2]: lambda run: run.backdoor_success_rate.value,
    }
    rows = [
        [name, *(percent(fmean(take(run) for run in runs if run.epsilon == epsilon)) for epsilon in epsilons)]
        for name, take in taken.items()
    ]
    return table(["training ε", *(in_levels(epsilon) for epsilon in epsilons)], rows)


def turning(dataset: str) -> str:
    """Backdoor success by the training ε: by the sticker's size, the watermark's amplitude and the poison rate."""
    maps, rates = results.sweep("maps", dataset), results.sweep("poison-rate", dataset)
    epsilons = sorted({run.epsilon for run in (*maps, *rates)})
    groups: dict[str, list[Run]] = {}
    for run in maps:
        groups.setdefault(_trigger_in_words(run.spec), []).append(run)
    for run in sorted(rates, key=lambda run: run.spec.poison.rate if run.spec.poison else 0):
        share = run.spec.poison.rate if run.spec.poison else 0
        groups.setdefault(f"{share:.0%} of the class poisoned", []).append(run)
    rows = (
        [
            name,
            *(
                spread([run.backdoor_success_rate.value for run in runs if run.epsilon == e])
                for e in epsilons
            ),
        ]
        for name, runs in groups.items()
    )
    return table(["backdoor success at training ε", *(in_levels(epsilon) for epsilon in epsilons)], rows)


def _trigger_in_words(spec: ExperimentSpec) -> str:
    trigger = spec.trigger
    if isinstance(trigger, Sticker):
        return f"sticker of {trigger.size} x {trigger.size} pixels"
    return f"stripes of amplitude {_amplitude(trigger)}" if isinstance(trigger, Watermark) else trigger.kind


def finding() -> str:
    """The finding in one table: standard and adversarial training on the same clean-label poison, beside the paper."""
    rows = []
    for dataset in dict.fromkeys(name for names in our_rows.HERE.values() for name in names):
        for name in ("standard", "adversarial"):
            runs = conditions.runs_of(name, dataset)
            if runs:
                row = of_the_paper(runs)
                theirs = percent(row.published.get("backdoor_success_rate")) if row else "–"
                rows.append(
                    [
                        datasets.title(dataset),
                        runs[0].spec.training.title,
                        str(len(runs)),
                        *_rates(runs),
                        theirs,
                    ]
                )
    return table(["images", "training", "seeds", *RATES, "published"], rows)
