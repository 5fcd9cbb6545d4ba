"""The form of the Train page, built from the spec's own fields: a field's type says which control it gets.

What the form says is put into the spec as values; text is only what the visitor types.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, get_type_hints

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.components.words.glossary import TERMS
from tradeoff_core import datasets
from tradeoff_core.datasets import side_of
from tradeoff_core.experiments.poisons import POISONS
from tradeoff_core.experiments.spec import ExperimentSpec, changed, spec_from_dict, spec_to_dict
from tradeoff_core.poisoning.poison import Poison, PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker, patterns

NO_POISON = "no poison"
DIGITS, PHOTOGRAPHS = (0.4, 0.05, 1), (16.0, 1.0, 255)  # of the training ε: largest, step, levels of a pixel


@dataclass(frozen=True, slots=True)
class Control:
    """How a field of the spec is asked for: its name in the address, its label, its limits.

    `scale` is what the field's value is multiplied by to be shown; `slides` is whether whole numbers have a slider.
    """

    name: str
    label: str
    least: float = 0
    most: float = 1
    step: float | None = None
    scale: float = 1
    slides: bool = True
    help: str | None = None


def _lower(term: str) -> str:
    return f"{TERMS[term][0].lower()}{TERMS[term][1:]}"


EPOCHS = Control("epochs", "Epochs", 1, 500, slides=False, help=TERMS["Epoch"])
SEED = Control("seed", "Seed", 0, 2**31 - 1, slides=False, help=TERMS["Seed"])
LABELS = Control(
    "poison",
    "Poison",
    help=f"{TERMS['Clean-label poison']} *Dirty-label*: {_lower('Dirty-label poison')} The others are named as in their papers: "
    "see the *Glossary*.",
)
PATTERN = Control("sticker", "Sticker", help=TERMS["Sticker"])
TARGET = Control("target-class", "Target class", help=TERMS["Target class"])


def ask(
    place: DeltaGenerator,
    owner: type,
    field: str,
    control: Control,
    value: Any,
    preset: str,
    options: Sequence[Any] | None = None,
    **more: Any,
) -> Any:
    """What the visitor wants in a field of a class: one of `options` (by default an enum's members), or a number as shown.

    `value` is what it starts at; each preset has controls of its own, so that its values are the ones to start from.
    """
    kind = get_type_hints(owner)[field]
    shared = {"key": f"{control.name}-{preset}", "bind": "query-params", "help": control.help, **more}
    if options is None and isinstance(kind, type) and issubclass(kind, StrEnum):
        options = [member.value for member in kind]
    if options is not None:
        return place.selectbox(control.label, options, list(options).index(value), **shared)
    if kind is int and not control.slides:
        return place.number_input(control.label, int(control.least), int(control.most), value, **shared)
    number = int if kind is int or control.step is None else float
    limits = [number(control.least), number(control.most), number(round(control.scale * value, 4))]
    return place.slider(control.label, *limits, control.step, **shared)


def applied(value: Any, changes: dict[str, Any]) -> Any:
    """A dataclass with new values in its fields, those of nested ones by dotted names; each class is checked once."""
    own = {name: new for name, new in changes.items() if "." not in name}
    for head in {name.partition(".")[0] for name in changes if "." in name}:
        inner = {name.partition(".")[2]: new for name, new in changes.items() if name.startswith(f"{head}.")}
        own[head] = applied(getattr(value, head), inner)
    return replace(value, **own)


def form(name: str, preset: ExperimentSpec) -> ExperimentSpec:
    """The spec that the fields say, starting from a preset. Raises TradeoffError for what cannot be."""
    columns = st.container(key="controls-recipe").columns(4)
    changes = _attack(columns[0], name, preset)
    epochs = ask(columns[1], type(preset.training), "epochs", EPOCHS, preset.training.epochs, name)
    changes |= {
        "training.epochs": epochs,
        "seed": ask(columns[2], ExperimentSpec, "seed", SEED, preset.seed, name),
    }
    if preset.training.ramp_epochs:  # so that a short run reaches its ε too
        changes["training.ramp_epochs"] = round(preset.training.ramp_epochs * epochs / preset.training.epochs)
    others = (
        [] if preset.dataset != "mnist-5k" else [kind for kind in POISONS if not kind.endswith("sticker")]
    )
    kind = ask(
        columns[3],
        Poison,
        "labels",
        LABELS,
        preset.poison.labels.value if preset.poison else NO_POISON,
        name,
        [*(labels.value for labels in PoisonLabels), *others, NO_POISON],
    )
    if kind == NO_POISON:
        changes["poison"] = None
    elif kind in others:
        changes["poison"] = applied(POISONS[kind], _poison(f"{name}-{kind}", preset, POISONS[kind]))
    else:
        poison = preset.poison or Poison(trigger=preset.trigger)
        of_kind = replace(poison, labels=PoisonLabels(kind), rate=0.05 if kind == PoisonLabels.DIRTY else 0.5)
        changes["poison"] = applied(poison, {"labels": of_kind.labels} | _poison(name, preset, of_kind))
    return _more(name, applied(preset, changes))


def _attack(place: DeltaGenerator, name: str, preset: ExperimentSpec) -> dict[str, Any]:
    """The training ε and what goes with it; what the training is called where there is no attack."""
    attack = preset.training.attack
    if attack is None:
        title = preset.training.title
        place.markdown(f"{title[0].upper()}{title[1:]}", help=TERMS["Standard training"])
        return {}
    largest, step, levels = DIGITS if preset.dataset == "mnist-5k" else PHOTOGRAPHS
    control = Control(
        "epsilon",
        "Training ε" + (", in levels of 255" if levels > 1 else ""),
        0.0,
        largest,
        step,
        levels,
        help="How strong the attacker is that it trains against. 0: standard training.",
    )
    shown = ask(place, type(attack), "epsilon", control, attack.epsilon, name)
    if not shown:
        return {"training.attack": None}
    found = {"training.attack.epsilon": shown / levels}
    if attack.step_size:
        found["training.attack.step_size"] = attack.step_size / attack.epsilon * shown / levels
    return found


def _poison(name: str, preset: ExperimentSpec, poison: Poison) -> dict[str, Any]:
    """A poison's rate, sticker and target class, of a kind that starts at `poison`."""
    columns = st.container(key="controls-poison").columns(4)
    dirty = poison.labels is PoisonLabels.DIRTY
    of = "all training images" if dirty else "those of the target class"
    rate = Control(
        f"rate-{poison.labels}",
        "Poisoned, % of all" if dirty else "Poisoned, % of the class",
        1 if poison.rate >= 0.01 else 0.1,
        20 if dirty else 100,
        None if poison.rate >= 0.01 else 0.1,
        scale=100,
        help=f"{TERMS['Poison rate']} Here: of {of}.",
    )
    changes: dict[str, Any] = {"rate": ask(columns[0], Poison, "rate", rate, poison.rate, name) / rate.scale}
    trigger = poison.trigger
    if isinstance(trigger, Sticker) and poison.partial is None:
        side = side_of(preset.dataset)
        changes["trigger.pattern"] = ask(
            columns[1], Sticker, "pattern", PATTERN, trigger.pattern, name, patterns()
        )
        size = Control("sticker-size", "Its size in pixels", 1, side // 3)
        chosen = ask(columns[2], Sticker, "size", size, trigger.size, name)
        edge = max(0, trigger.row + trigger.size - chosen)  # as far from the lower right corner as it was
        changes |= {"trigger.size": chosen, "trigger.row": edge, "trigger.column": edge}
    classes = datasets.load_dataset(preset.dataset, datasets.Split.TEST).classes
    changes["target_class"] = ask(
        columns[3],
        Poison,
        "target_class",
        TARGET,
        poison.target_class,
        name,
        range(len(classes)),
        format_func=lambda label: classes[label].replace("_", " "),
    )
    return changes


def _more(name: str, spec: ExperimentSpec) -> ExperimentSpec:
    """The spec with what the visitor typed, `field = value` in a line each."""
    with st.expander("More settings", icon=":material/tune:"):
        more = st.text_area(
            "One a line: a field of the spec below, and its value",
            key=f"more-{name}",  # not in the address: a link must not decide what this machine reads and computes
            placeholder="training.batch_size = 50\ntraining.learning_rate = 0.001\nwidth = 1.0",
        )
    lines = [line.split("=", 1) for line in more.splitlines() if line.strip()]
    settings = ["=".join(part.strip() for part in line) for line in lines]
    return spec_from_dict(changed(spec_to_dict(spec), settings)) if settings else spec
