"""What commands say: aligned rows and rates for people, JSON without NaN."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tradeoff_core.common.console import say, share_bar
from tradeoff_core.common.names import one_line

if TYPE_CHECKING:
    from tradeoff_core.attacks.attack import Attack
    from tradeoff_core.experiments.spec import ExperimentSpec
    from tradeoff_core.rates import Rate

Answer = tuple[Any, str]  # a command's result: the JSON document, and the text for people


def aligned(rows: dict[str, str]) -> str:
    """The rows as indented lines, their texts one below the other."""
    told = {one_line(name): one_line(text) for name, text in rows.items()}
    width = max(map(len, told))
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in told.items())


def rate_text(rate: "Rate") -> str:
    """A rate, its n and its 95% Wilson interval, as wide for every rate."""
    if rate.n == 0:
        return f"{'n/a':>6}   n = {0:6,}"
    low, high = rate.interval
    return f"{rate.value:6.1%}   n = {rate.n:6,}   95% interval {low:6.1%} to {high:6.1%}"


def rate_rows(measured: Mapping[str, Any], spec: "ExperimentSpec", attack: "Attack") -> dict[str, str]:
    """The three rates as text, and what speaks against them."""
    from tradeoff_core.attacks.attack import in_levels
    from tradeoff_core.rates import rate

    backdoor = rate(measured, "backdoor_success_rate")
    if backdoor.n == 0:
        note = "   the model predicts every example as the target class already"
    else:
        note = "" if spec.poison else "   base rate: the model is not poisoned"
    rows = {
        "clean accuracy": rate_text(rate(measured, "clean_accuracy")),
        "adversarial accuracy": f"{rate_text(rate(measured, 'adversarial_accuracy'))}   under {attack}",
        "backdoor success rate": rate_text(backdoor) + note,
    }
    if measured.get("warnings"):
        rows["beware"] = "; ".join(measured["warnings"])
    if "certified_accuracy" in measured:
        proved = rate_text(rate(measured, "certified_accuracy"))
        rows["certified accuracy"] = f"{proved}   within l∞ {in_levels(attack.epsilon)}"
    return rows


def without_nan(value: Any) -> Any:
    """The value with null for every number that JSON cannot write."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def decode_pictures(dataset: str) -> None:
    """Decode a data set that is a folder of pictures, with a bar; nothing if that was done, or if it is not there."""
    from tradeoff_core.datasets import available, prepare

    if available(dataset):
        with share_bar("decoding pictures") as progress:
            prepare(dataset, progress)


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Say what libraries warn of once and in one line, without the code that they show with it."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"warning: {message}")
