"""What a defense changes, in words: computed from the runs that are shown."""

from collections.abc import Sequence
from statistics import fmean

from tradeoff_core.published import is_tradeoff
from tradeoff_core.results import Run

NOTICEABLE = 0.02  # of adversarial accuracy: less is no robustness to speak of


def points(change: float) -> str:
    """A change of a rate in percentage points, with its sign."""
    return f"{100 * change:+.0f} points".replace("-", "−")


def said(changes: Sequence[tuple[float, float]]) -> str:
    """The mean changes of adversarial accuracy and backdoor success, and whether they are the trade-off."""
    adversarial, backdoor = (fmean(side) for side in zip(*changes, strict=True))
    if adversarial < NOTICEABLE:
        verdict = "**no trade-off**: against this attack no robustness is gained"
    elif is_tradeoff((adversarial, backdoor)):
        verdict = "the trade-off shows"
    else:
        verdict = "**no trade-off**: more robust, and the back door opens less"
    if len(changes) > 1 and len({change > 0 for _, change in changes}) > 1:
        verdict += " (but the seeds disagree on the back door)"
    return f"adversarial accuracy {points(adversarial)}, backdoor success {points(backdoor)}: {verdict}"


def under_its_own_attack(runs: Sequence[Run]) -> str:
    """What the runs keep under their second evaluation, where that is another kind of attack than the first."""
    rates = [run.second_accuracy.value for run in runs if run.second_accuracy]
    first, second = runs[0].spec.evaluation, runs[0].spec.second_evaluation
    if not rates or second is None:
        return ""
    if (first.norm, first.targeted, first.patch) == (second.norm, second.targeted, second.patch):
        return ""
    return f" Under its own attack ({second}) it keeps {fmean(rates):.0%}."
