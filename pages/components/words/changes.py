"""What a defense changes, in words: computed from the runs or the models that are shown."""

from collections.abc import Sequence
from statistics import fmean

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.findings import conditions
from tradeoff_core.findings.paper_tables import NOTICEABLE, is_tradeoff
from tradeoff_core.findings.results import Run
from tradeoff_core.models.zoo import Model

LEARNED = 0.05  # backdoor success below which nobody can say that the trigger was learned


def points(change: float) -> str:
    """A change of a rate in percentage points, with its sign."""
    text = f"{100 * change:+.0f}".replace("-", "−")
    text = "0" if text in ("+0", "−0") else text
    return f"{text} point{'' if text in ('+1', '−1') else 's'}"


def said(changes: Sequence[tuple[float, float]], attack: Attack | None = None) -> str:
    """The mean changes of adversarial accuracy (under `attack`) and backdoor success, and whether they trade off."""
    adversarial, backdoor = (fmean(side) for side in zip(*changes, strict=True))
    if adversarial < NOTICEABLE:
        verdict = "**no trade-off**: against this attack no robustness is gained"
    elif is_tradeoff((adversarial, backdoor)):
        verdict = "the trade-off shows"
    elif abs(backdoor) < NOTICEABLE:
        verdict = "**no trade-off**: more robust, and the back door opens neither more nor less"
    else:
        verdict = "**no trade-off**: more robust, and the back door opens less"
    if abs(backdoor) >= NOTICEABLE and len({change > 0 for _, change in changes}) > 1:
        verdict += " (but the seeds disagree on the back door)"
    under = f" ({attack})" if attack else ""
    return (
        f"adversarial accuracy {points(adversarial)}{under}, backdoor success {points(backdoor)}: {verdict}"
    )


def under_its_own_attack(runs: Sequence[Run], dataset: str) -> str:
    """What the runs keep under their second evaluation, where that is not the first at other steps.

    Beside it stands what networks without a defense keep under it, where that was measured.
    """
    rates = [run.second_accuracy.value for run in runs if run.second_accuracy]
    first, second = runs[0].spec.evaluation, runs[0].spec.second_evaluation
    if not rates or second is None:
        return ""
    if (first.norm, first.epsilon, first.targeted, first.patch) == (
        second.norm,
        second.epsilon,
        second.targeted,
        second.patch,
    ):
        return ""
    own = f" Under its own attack ({second}) it keeps {fmean(rates):.0%}"
    without = [run for run in conditions.undefended(runs[0], dataset) if run.second_accuracy]
    if not without:
        return own + "."
    before = fmean(run.second_accuracy.value for run in without if run.second_accuracy)
    opened = fmean(run.backdoor_success_rate.value for run in runs) - fmean(
        run.backdoor_success_rate.value for run in without
    )
    shows = ": there the trade-off shows" if is_tradeoff((fmean(rates) - before, opened)) else ""
    return f"{own}, where networks without the defense keep {before:.0%}{shows}."


def between(model_a: Model, model_b: Model) -> str:
    """Whether two models show the trade-off, in a sentence."""
    poisons = (model_a.spec.poison, model_b.spec.poison)
    if poisons == (None, None):
        return "Neither learned from poison, so there is no back door: training changes how much they resist, nothing else."
    if None in poisons:
        control = "AB"[poisons.index(None)]
        return f"{control} is the control: it saw no poison, so what it shows for backdoor success is its base rate."
    if poisons[0] != poisons[1]:
        return "A and B learned from different poison, so their back doors are hard to compare: choose two with the same."
    robust = model_b.adversarial_accuracy.value - model_a.adversarial_accuracy.value
    opened = model_b.backdoor_success_rate.value - model_a.backdoor_success_rate.value
    if abs(robust) < NOTICEABLE:
        return "Neither resists this attack noticeably more than the other, so this pair cannot show the trade-off."
    first, second = "BA"
    if robust < 0:  # the other way round
        first, second, robust, opened = second, first, -robust, -opened
    if is_tradeoff((robust, opened)):
        return (
            f"**{first} withstands the attack on {100 * robust:.0f} percentage points more of the images, and its "
            f"back door opens on {100 * opened:.0f} percentage points more.**"
        )
    return f"This pair does not show the trade-off: {first} resists more, and its back door opens no further than {second}'s."
