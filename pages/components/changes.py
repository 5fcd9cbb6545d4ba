"""What a defense changes, in words: computed from the runs that are shown."""

from collections.abc import Sequence
from statistics import fmean

from tradeoff_core.published import is_tradeoff


def points(change: float) -> str:
    """A change of a rate in percentage points, with its sign."""
    return f"{100 * change:+.0f} points".replace("-", "−")


def said(changes: Sequence[tuple[float, float]]) -> str:
    """The mean changes of adversarial accuracy and backdoor success, and whether they are the trade-off."""
    adversarial, backdoor = (fmean(side) for side in zip(*changes, strict=True))
    if is_tradeoff((adversarial, backdoor)):
        verdict = "the trade-off shows"
    elif adversarial <= 0:
        verdict = "no robustness is gained, so nothing is traded"
    else:
        verdict = "**no trade-off**: more robust, and the back door opens less"
    if len(changes) > 1 and len({change > 0 for _, change in changes}) > 1:
        verdict += ", but the seeds disagree on the back door"
    return f"adversarial accuracy {points(adversarial)}, backdoor success {points(backdoor)}: {verdict}"
