"""A preset says what it differs in, and that is right: with it the other preset becomes this one."""

from dataclasses import fields, is_dataclass, replace

import pytest

from tradeoff_core.experiments.differences import described, differs
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import ExperimentSpec


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lipschitz", "standard with training.lipschitz 0.0001"),
        ("lipschitz-adversarial", "adversarial with training.lipschitz 0.0001"),
        ("denoising-adversarial", "adversarial with network mnist-cnn-denoising"),
        ("adversarial", "fast with training.attack.steps 7, training.attack.step_size 0.1"),
        ("adversarial-0.15", "adversarial with training.attack.epsilon 0.15, training.attack.step_size 0.05"),
        ("doubled-standard", "standard with width 1"),
        ("trades", "adversarial with training.trades 6"),
        (
            "cifar10-paper",
            "cifar10-adversarial with training.attack.steps 5, training.attack.step_size 2/255, training.epochs 15",
        ),
        (
            "cifar10-adversarial",
            "cifar10-standard with training.attack (PGD-1, l∞ 8/255 in steps of 10/255)",
        ),
        ("standard", "standard training, 20 epochs, mnist-5k, mnist-cnn, 0.5 of its width"),
        ("cifar10-standard", "standard training, 24 epochs, cifar10, cifar-resnet"),
    ],
)
def test_a_preset_in_words(name, words):
    assert described(name) == words


def with_field(value, other, path: str):
    """`value` with one dotted field taken from `other`."""
    first, _, rest = path.partition(".")
    inner = getattr(other, first)
    return replace(value, **{first: with_field(getattr(value, first), inner, rest) if rest else inner})


@pytest.mark.parametrize("name", PRESETS)
def test_the_named_fields_are_the_whole_difference(name):
    difference, spec = differs(name), PRESETS[name]
    if difference.base is None:
        assert spec.dataset not in {
            other.dataset for other in list(PRESETS.values())[: list(PRESETS).index(name)]
        }
        return
    made: ExperimentSpec = PRESETS[difference.base]
    for field in difference.fields:
        before, made = made, with_field(made, spec, field)
        assert made != before
    assert made == spec
    assert all(is_field(ExperimentSpec(), field) or is_field(spec, field) for field in difference.fields)


def is_field(spec: ExperimentSpec, path: str) -> bool:
    value = spec
    for part in path.split("."):
        if not is_dataclass(value) or part not in {entry.name for entry in fields(value)}:
            return False
        value = getattr(value, part)
    return True
