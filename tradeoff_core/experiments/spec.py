"""What decides a run: a spec, its id, and its way to and from JSON and TOML."""

import copy
import hashlib
import json
import os
from dataclasses import asdict, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.checked import Maybe, Number, Text, Whole, build, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import check_depth, read_by_hand, shortened, typed_value
from tradeoff_core.common.later import document as document_of
from tradeoff_core.common.names import as_id
from tradeoff_core.common.paths import typed
from tradeoff_core.datasets import DATASETS, known, short_name, side_of, target_of
from tradeoff_core.networks.registry import check_name, denoises, special
from tradeoff_core.poisoning.poison import Poison
from tradeoff_core.poisoning.triggers import TRIGGERS, Sticker, Trigger, default_sticker
from tradeoff_core.training.recipe import Training

DEFAULT_NETWORK = "mnist-cnn"
USUAL = {  # the network that an id does not name
    "cifar10": "cifar-resnet",
    "tiny-imagenet-20": "resnet-18",
    "imagenette-128": "efficientnet-lite0",
    "imagenet-10-groups": "cifar-resnet",
}
USUAL_START = {"imagenette-128": "imagenet-efficientnet-lite0"}  # the start that an id does not name


class Source(StrEnum):
    """What a network is fine-tuned on: its own training images, poison included, or clean ones it never saw."""

    TRAINING = "training"
    HELD_OUT = "held-out"


@checked
class FineTuning:
    """A second training that goes on from the first one's weights.

    The held-out images are the validation split: what the progress of tuning on them says of validation images, it says
    of images that are trained on. Measured is on the test images, as ever.
    """

    training: Training = field(default_factory=Training)
    images: Source = Source.HELD_OUT


@checked
class ExperimentSpec:
    """Everything that decides a run. `poison=None` is no poison; `evaluation` is the measuring attack.

    `removed` names the training examples that are left out after poisoning, as a defense flags them.
    `second_evaluation` is another attack to measure with, as a paper's table has it. `start` names the model whose
    weights it starts from, of the zoo or in a folder: all but the head, which is a fresh one; None starts from random
    weights. `images` is the number of training images, evenly spaced among the data set's; None takes all.
    """

    dataset: Text = "mnist-5k"
    network: Text = DEFAULT_NETWORK
    width: Annotated[Number, within("choose above 0 and at most 4", above=0, most=4)] = 1.0
    poison: Maybe[Poison] = field(default_factory=Poison)
    training: Training = field(default_factory=Training)
    evaluation: Attack = field(default_factory=Attack)
    seed: Annotated[Whole, within("a whole number from 0", least=0, below=2**31)] = 0
    removed: Maybe[tuple[Whole, ...]] = None
    fine_tuning: Maybe[FineTuning] = None
    second_evaluation: Maybe[Attack] = None
    start: Maybe[Text] = None
    images: Maybe[Annotated[Whole, within("a whole number from 1", least=1)]] = None

    def __post_init__(self) -> None:
        if self.dataset.startswith("~"):
            object.__setattr__(self, "dataset", str(typed(self.dataset)))
        if not known(self.dataset):
            raise TradeoffError(
                f"unknown dataset '{self.dataset}': choose {', '.join(DATASETS)}, or the path of a folder of pictures"
            )
        if self.dataset not in DATASETS and not os.path.dirname(self.dataset):
            # a path by its look, and so known where the folder is not
            object.__setattr__(self, "dataset", os.path.join(".", self.dataset))
        check_name(self.network)
        if self.removed is not None and (
            len(set(self.removed)) < len(self.removed) or min(self.removed, default=-1) < 0
        ):
            raise TradeoffError("removed must name at least one training example, each once, counted from 0")
        if self.start is not None and not self.start.strip():
            raise TradeoffError("start '' names no model: leave it out to start from random weights")
        if self.images is not None and (not isinstance(self.images, int) or self.images < 1):
            raise TradeoffError(f"images {self.images} is out of range: a whole number from 1")

    @property
    def id(self) -> str:
        """A name that tells the main choices, and a hash of all of them."""
        return f"{self.title}-seed{self.seed}-{digest(spec_to_dict(self))[:8]}"

    @property
    def title(self) -> str:
        """Data set, poison and training, as the zoo names its models; the trigger is a sticker unless named."""
        poison = self.poison.labels.value if self.poison else "no-poison"
        if self.poison:
            poison += "" if isinstance(self.trigger, Sticker) else f"-{self.trigger.kind}"
            poison += "-perturbed" if self.poison.perturbed else ""
            poison += "-covered" if self.poison.cover_rate else ""
        network = "" if self.network == USUAL.get(self.dataset, DEFAULT_NETWORK) else f"-{self.network}"
        network += (
            ""
            if self.start == USUAL_START.get(self.dataset)
            else f"-from-{as_id(short_name(self.start or 'scratch'))}"
        )
        removed = f"-without-{len(self.removed)}" if self.removed else ""
        tuned = f"-tuned-{self.fine_tuning.training.name}" if self.fine_tuning else ""
        return f"{as_id(short_name(self.dataset))}-{poison}-{self.training.name}{network}{removed}{tuned}"

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
        kind = special(self.network)
        words = self.training.title + (f" with {kind}" if kind else "")
        return f"{words}, tuned: {self.fine_tuning.training.title}" if self.fine_tuning else words

    @property
    def defended(self) -> bool:
        """Whether it was trained with a defense against perturbations: an attack, a bound, a regulariser, denoising."""
        training = self.training
        means = (training.attack, training.lipschitz, training.trades, training.interval_bounds)
        return any(means) or denoises(self.network)

    @property
    def trigger(self) -> Trigger:
        """What backdoor success is measured with; the default sticker where there is no poison."""
        return self.poison.trigger if self.poison else default_sticker(side_of(self.dataset))

    @property
    def target_class(self) -> int:
        """The class that backdoor success counts: without poison its data set's.

        Raises TradeoffError for a folder that is not there.
        """
        return self.poison.target_class if self.poison else target_of(self.dataset)


def digest(value: object) -> str:
    """The sha256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def spec_to_dict(spec: ExperimentSpec) -> dict[str, Any]:
    """The spec as JSON and TOML know it; what is None is left out, save `poison = "none"`, and later fields' defaults."""
    document: dict[str, Any] = document_of(spec)
    if spec.poison is None:
        document["poison"] = "none"
    if spec.removed is not None:
        document["removed"] = list(spec.removed)
    return document


def spec_from_dict(document: dict[str, Any]) -> ExperimentSpec:
    """The spec of a JSON or TOML document. Raises TradeoffError that names what is wrong in it."""
    return build(ExperimentSpec, document)


def read_spec(path: Path) -> dict[str, Any]:
    """A spec file, TOML or JSON, as a document. Raises TradeoffError if it cannot be read."""
    document = read_by_hand(path, "spec", "a valid spec")
    if not isinstance(document, dict):
        raise TradeoffError(f"{path.name} is not a valid spec: it must be a table of fields")
    return document


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
            raise TradeoffError(
                f"'{shortened(setting)}' is no setting: write key=value, as training.epochs=30"
            )
        value, table = typed_value(text), document
        *path, last = key.split(".")
        for name in path:
            if not isinstance(table.get(name), dict):
                kind = table.get(name)
                table[name] = {"kind": kind} if kind in TRIGGERS else {}
            table = table[name]
        if last == "kind" and table.get("kind") != value:
            table.clear()
        table[last] = value
        check_depth(document, f"'{shortened(setting)}'")
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
    return asdict(default_sticker(side_of(dataset)))
