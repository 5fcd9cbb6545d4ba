"""What commands say: aligned rows and rates for people, JSON without NaN, bars and notes on stderr."""

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradeoff_core.attacks import Attack
    from tradeoff_core.evaluation import Rate
    from tradeoff_core.specs import ExperimentSpec

Answer = tuple[Any, str]  # a command's result: the JSON document, and the text for people


def say(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    print(" ".join(message.split()), file=sys.stderr, flush=True)


def first_process() -> bool:
    """Whether this process speaks: all do, but of those that torchrun started the first one only."""
    return os.environ.get("RANK", "0") == "0"


def aligned(rows: dict[str, str]) -> str:
    """The rows as indented lines, their texts one below the other."""
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in rows.items())


def rate_text(rate: "Rate") -> str:
    """A rate, its n and its 95% Wilson interval, as wide for every rate."""
    if rate.n == 0:
        return f"{'n/a':>6}   n = {0:6,}"
    low, high = rate.interval
    return f"{rate.value:6.1%}   n = {rate.n:6,}   95% interval {low:6.1%} to {high:6.1%}"


def rate_rows(measured: dict[str, Any], spec: "ExperimentSpec", attack: "Attack") -> dict[str, str]:
    """The three rates as text."""
    from tradeoff_core.attacks import in_levels
    from tradeoff_core.results import rate

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


@contextmanager
def share_bar(title: str) -> Iterator[Callable[[float], None]]:
    """A bar for work that tells which share of it is done; on a terminal only."""
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
    with tqdm(total=1, desc=title, bar_format=layout, leave=False, disable=None, file=sys.stderr) as bar:
        yield lambda share: bar.update(share - bar.n)


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
