"""What tells a preset from the one that it is nearest to, computed from their specs."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from tradeoff_core.attacks.attack import Attack, in_levels
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import ExperimentSpec, FineTuning
from tradeoff_core.training.recipe import Training


@dataclass(frozen=True, slots=True)
class Differs:
    """The preset that another one is nearest to, None for the first of a data set, and by field what it has instead."""

    base: str | None
    fields: dict[str, str]


@cache
def differs(name: str) -> Differs:
    """In what a preset differs from the first one before it, of the same data set, that differs in the fewest fields."""
    spec = PRESETS[name]
    before = [
        other
        for other in list(PRESETS)[: list(PRESETS).index(name)]
        if PRESETS[other].dataset == spec.dataset
    ]
    if not before:
        return Differs(None, {})
    base = min(before, key=lambda other: sum(_weight(new) for _, new in _changes(PRESETS[other], spec)))
    return Differs(base, {field: _in_words(new) for field, new in _changes(PRESETS[base], spec)})


def described(name: str) -> str:
    """A preset in words: what it differs in, or all of it if it differs from nothing."""
    difference = differs(name)
    if difference.base is None:
        return _whole(PRESETS[name])
    changes = ", ".join(f"{field} {value}" for field, value in difference.fields.items())
    return f"{difference.base} with {changes}"


def _whole(spec: ExperimentSpec) -> str:
    words = [f"{spec.training.title} training", f"{spec.epochs} epochs", spec.dataset, spec.network]
    return ", ".join([*words, f"{spec.width:g} of its width"] if spec.width != 1 else words)


def _changes(base: Any, other: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names of the fields in which two of a kind differ, and the other's values."""
    for entry in fields(other):
        old, new = getattr(base, entry.name), getattr(other, entry.name)
        name = f"{place}{entry.name}"
        if old == new:
            continue
        if is_dataclass(new) and type(old) is type(new):
            yield from _changes(old, new, f"{name}.")
        else:
            yield name, new


def _weight(value: Any) -> int:
    """How many fields a value sets: a table more than one."""
    return sum(_weight(getattr(value, entry.name)) for entry in fields(value)) if is_dataclass(value) else 1


def _in_words(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Attack):
        return f"({value} in steps of {in_levels(value.step)})"
    if isinstance(value, Training):
        return f"{value.title} training, {value.epochs} epochs"
    if isinstance(value, FineTuning):
        return f"({_in_words(value.training)}, on {value.images.value} images)"
    if is_dataclass(value):
        return f"({', '.join(f'{entry.name} {_in_words(getattr(value, entry.name))}' for entry in fields(value))})"
    return in_levels(value) if isinstance(value, float) else str(value)
