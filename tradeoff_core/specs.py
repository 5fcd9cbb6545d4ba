"""What decides a run: a spec, its id, and its way to and from JSON and TOML."""

import copy
import hashlib
import json
import os
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from tradeoff_core import networks
from tradeoff_core.attacks import Attack
from tradeoff_core.datasets import DATASETS, Split, known, load_dataset, short_name, side_of
from tradeoff_core.errors import TradeoffError
from tradeoff_core.poisoning import Poison
from tradeoff_core.recipes import Training
from tradeoff_core.triggers import Sticker, Trigger, Watermark, default_sticker

DEFAULT_NETWORK = "mnist-cnn"
USUAL = {"cifar10": "cifar-resnet", "tiny-imagenet-20": "resnet-18"}  # the network that an id does not name
TRIGGERS = {"sticker": Sticker, "watermark": Watermark}


class Source(StrEnum):
    """What a network is fine-tuned on: its own training images, poison included, or clean ones it never saw."""

    TRAINING = "training"
    HELD_OUT = "held-out"


@dataclass(frozen=True, slots=True)
class FineTuning:
    """A second training that goes on from the first one's weights.

    The held-out images are the validation split: what the progress of tuning on them says of validation images, it says
    of images that are trained on. Measured is on the test images, as ever.
    """

    training: Training = field(default_factory=Training)
    images: Source = Source.HELD_OUT

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "images", Source(self.images))
        except ValueError:
            raise TradeoffError(f"images '{self.images}' is unknown: choose {' or '.join(Source)}") from None


@dataclass(frozen=True, slots=True)
class ExperimentSpec:
    """Everything that decides a run. `poison=None` is no poison; `evaluation` is the measuring attack.

    `removed` names the training examples that are left out after poisoning, as a defense flags them.
    `second_evaluation` is another attack to measure with, as a paper's table has it.
    """

    dataset: str = "mnist-5k"
    network: str = DEFAULT_NETWORK
    width: float = 1.0
    poison: Poison | None = field(default_factory=Poison)
    training: Training = field(default_factory=Training)
    evaluation: Attack = field(default_factory=Attack)
    seed: int = 0
    removed: tuple[int, ...] | None = None
    fine_tuning: FineTuning | None = None
    second_evaluation: Attack | None = None

    def __post_init__(self) -> None:
        if not known(self.dataset):
            raise TradeoffError(
                f"unknown dataset '{self.dataset}': choose {', '.join(DATASETS)}, or the path of a folder of pictures"
            )
        if self.dataset not in DATASETS and not os.path.dirname(self.dataset):
            # a path by its look, and so known where the folder is not
            object.__setattr__(self, "dataset", os.path.join(".", self.dataset))
        networks.check_name(self.network)
        object.__setattr__(self, "width", float(self.width))
        if not 0 < self.width <= 4:
            raise TradeoffError(f"width {self.width:g} is out of range: choose above 0 and at most 4")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise TradeoffError(f"seed {self.seed} is out of range: a whole number from 0")
        if self.removed is not None and (
            len(set(self.removed)) < len(self.removed) or min(self.removed, default=-1) < 0
        ):
            raise TradeoffError("removed must name at least one training example, each once, counted from 0")

    @property
    def id(self) -> str:
        """A name that tells the main choices, and a hash of all of them."""
        return f"{self.title}-seed{self.seed}-{digest(spec_to_dict(self))[:8]}"

    @property
    def title(self) -> str:
        """Data set, poison and training, as the zoo names its models; the trigger is a sticker unless named."""
        poison = self.poison.labels.value if self.poison else "no-poison"
        if isinstance(self.trigger, Watermark):
            poison += "-watermark"
        network = "" if self.network == USUAL.get(self.dataset, DEFAULT_NETWORK) else f"-{self.network}"
        removed = f"-without-{len(self.removed)}" if self.removed else ""
        tuned = f"-tuned-{self.fine_tuning.training.name}" if self.fine_tuning else ""
        return f"{short_name(self.dataset)}-{poison}-{self.training.name}{network}{removed}{tuned}"

    @property
    def epochs(self) -> int:
        """How many epochs it trains, fine-tuning included."""
        return self.training.epochs + (self.fine_tuning.training.epochs if self.fine_tuning else 0)

    @property
    def as_trained(self) -> "ExperimentSpec":
        """The spec without what it is measured with: equal for runs that end with the same weights."""
        return replace(self, evaluation=Attack(), second_evaluation=None)

    @property
    def training_in_words(self) -> str:
        """How it was trained: the method, its ε, what is special in the network, and fine-tuning."""
        words = self.training.title + (" with denoising" if "denoising" in self.network else "")
        return f"{words}, tuned: {self.fine_tuning.training.title}" if self.fine_tuning else words

    @property
    def trigger(self) -> Trigger:
        """What backdoor success is measured with; the default sticker where there is no poison."""
        return self.poison.trigger if self.poison else default_sticker(side_of(self.dataset))

    @property
    def target_class(self) -> int:
        """The class that backdoor success counts: without poison the paper's class 7, or a folder's last if it has fewer.

        Raises TradeoffError for a folder that is not there.
        """
        if self.poison:
            return self.poison.target_class
        usual = Poison().target_class
        if self.dataset in DATASETS:  # they all have it
            return usual
        return min(usual, len(load_dataset(self.dataset, Split.TEST).classes) - 1)


def digest(value: object) -> str:
    """The sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def spec_to_dict(spec: ExperimentSpec) -> dict[str, Any]:
    """The spec as JSON and TOML know it; what is None is left out, save `poison = "none"`."""
    document: dict[str, Any] = _without_none(asdict(spec))
    if spec.poison is None:
        document["poison"] = "none"
    else:
        kind = "sticker" if isinstance(spec.poison.trigger, Sticker) else "watermark"
        document["poison"]["trigger"] = {"kind": kind} | document["poison"]["trigger"]
    if spec.removed is not None:
        document["removed"] = list(spec.removed)
    return document


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    return value


def spec_from_dict(document: dict[str, Any]) -> ExperimentSpec:
    """The spec of a JSON or TOML document. Raises TradeoffError that names what is wrong in it."""
    spec: ExperimentSpec = _build(ExperimentSpec, document, "")
    return spec


def _build(kind: Any, value: Any, place: str) -> Any:
    """`value` as an instance of the annotation `kind`; `place` names it in errors."""
    if get_origin(kind) in (UnionType, Union):
        options = [option for option in get_args(kind) if option is not type(None)]
        if value is None or value == "none":
            if len(options) == len(get_args(kind)):
                raise TradeoffError(f"{place} cannot be left out")
            return None
        if len(options) > 1:  # the two triggers
            value = dict(value) if isinstance(value, dict) else {"kind": value}
            name = value.pop("kind", "sticker")
            if not isinstance(name, str) or name not in TRIGGERS:
                raise TradeoffError(f"{place}.kind '{name}' is unknown: choose {' or '.join(TRIGGERS)}")
            options = [TRIGGERS[name]]
        return _build(options[0], value, place)
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise TradeoffError(f"{place} must be a table of fields, not '{value}'")
        known = {entry.name: entry for entry in fields(kind)}
        for name in value:
            if name not in known:
                raise TradeoffError(
                    f"unknown field '{place + '.' if place else ''}{name}': choose one of {', '.join(known)}"
                )
        assert isinstance(kind, type)
        return kind(
            **{
                name: _build(known[name].type, entry, f"{place}.{name}".lstrip("."))
                for name, entry in value.items()
            }
        )
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise TradeoffError(f"{place} must be a list, not '{value}'")
        return tuple(_build(get_args(kind)[0], entry, place) for entry in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (int, float, str, bool) and type(value) is not kind:
        raise TradeoffError(f"{place} must be {KINDS[kind]}, not '{value}'")
    return value


def read_spec(path: Path) -> dict[str, Any]:
    """A spec file, TOML or JSON, as a document. Raises TradeoffError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError:
        raise TradeoffError(f"there is no readable spec file '{path}'") from None
    except ValueError as error:  # both decoders' errors are ValueErrors
        raise TradeoffError(f"{path.name} is not a valid spec: {error}") from None
    if not isinstance(document, dict):
        raise TradeoffError(f"{path.name} is not a valid spec: it must be a table of fields")
    return document


KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def flat(document: dict[str, Any], before: str = "") -> dict[str, Any]:
    """The fields of a document by their dotted names, as `changed` takes them: {"training.attack.epsilon": 0.3}."""
    fields: dict[str, Any] = {}
    for name, value in document.items():
        fields |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return fields


def changed(document: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """The document with each `key=value` put in its place; keys are dotted: `training.attack.epsilon=0.2`.

    Another `kind` of trigger starts from that kind's defaults. With another data set the default sticker becomes that of
    its images. Raises TradeoffError for what is no setting, and for a folder of pictures that is not there.
    """
    before, document = document.get("dataset"), copy.deepcopy(document)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise TradeoffError(f"'{setting}' is no setting: write key=value, as training.epochs=30")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        table = document
        *path, last = key.split(".")
        for name in path:
            if not isinstance(table.get(name), dict):
                kind = table.get(name)
                table[name] = {"kind": kind} if kind in TRIGGERS else {}
            table = table[name]
        if last == "kind" and table.get("kind") != value:
            table.clear()
        table[last] = value
    after, poison = document.get("dataset"), document.get("poison")
    if (
        isinstance(after, str)
        and isinstance(poison, dict)
        and before in DATASETS
        and before != after
        and poison.get("trigger") == _default_trigger(before)
    ):
        poison["trigger"] = _default_trigger(after)
    return document


def _default_trigger(dataset: str) -> dict[str, Any]:
    """The default sticker for the images of a data set, as specs hold it."""
    return {"kind": "sticker"} | asdict(default_sticker(side_of(dataset)))
