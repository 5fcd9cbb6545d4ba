"""One experiment: a spec goes in, a trained network and its measured metrics come out.

A run lies in a folder: spec.json, progress.jsonl, checkpoint.safetensors while it trains, and at the end
result.json beside model.safetensors and card.json, the same two files that a model of the zoo has.
"""

import copy
import hashlib
import json
import os
import platform
import time
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks import Attack, Norm
from tradeoff_core.certification import certified, has_bounds
from tradeoff_core.datasets import DATASETS, ImageDataset, Split, known, load_dataset, short_name
from tradeoff_core.errors import TradeoffError
from tradeoff_core.evaluation import BATCH, Outcomes, evaluate
from tradeoff_core.networks import Network
from tradeoff_core.paths import write_atomically
from tradeoff_core.poisoning import Poison, PoisonedDataset, poison_dataset
from tradeoff_core.training import Progress, Training, train
from tradeoff_core.triggers import Sticker, Trigger, Watermark

SCHEMA_VERSION = 1
FINE_TUNING_SEED = (
    500_000  # added to a run's seed, so that fine-tuning does not draw the first training's numbers
)
VALIDATION_IMAGES = 200  # of the validation split, looked at after every epoch
DEFAULT_NETWORK = "mnist-cnn"
TRIGGERS = {"sticker": Sticker, "watermark": Watermark}


class Source(StrEnum):
    """What a network is fine-tuned on: its own training images, poison included, or clean ones it never saw."""

    TRAINING = "training"
    HELD_OUT = "held-out"


@dataclass(frozen=True, slots=True)
class FineTuning:
    """A second training that goes on from the first one's weights; the held-out images are the validation split."""

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
        if self.network not in networks.NETWORKS:
            raise TradeoffError(f"unknown network '{self.network}': choose {', '.join(networks.NETWORKS)}")
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
        network = "" if self.network == DEFAULT_NETWORK else f"-{self.network}"
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
        return self.poison.trigger if self.poison else Sticker()

    @property
    def target_class(self) -> int:
        """The class that backdoor success counts; the paper's class 7 where there is no poison."""
        return self.poison.target_class if self.poison else Poison().target_class


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
        raise TradeoffError(f"{place} must be {kind.__name__}, not '{value}'")
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


def changed(document: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """The document with each `key=value` put in its place; keys are dotted: `training.attack.epsilon=0.2`.

    Another `kind` of trigger starts from that kind's defaults.
    """
    document = copy.deepcopy(document)
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
    return document


def poisoned_training_set(spec: ExperimentSpec) -> PoisonedDataset:
    """The training images of a spec, poisoned as it says: the same ones for the same spec, always.

    Raises TradeoffError if `removed` names an example that there is not, or all of a class.
    """
    data = load_dataset(spec.dataset, Split.TRAIN)
    poisoned = poison_dataset(data, spec.poison, np.random.default_rng(spec.seed))
    return poisoned.without(spec.removed) if spec.removed else poisoned


def certifiable(network: Network, attack: Attack) -> bool:
    """Whether interval bounds can certify images of this network against this attack."""
    return attack.norm is Norm.LINF and attack.patch is None and has_bounds(network)


def measure(
    network: Network,
    images: Tensor,
    labels: Tensor,
    spec: ExperimentSpec,
    attack: Attack,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """The metrics of a network on images (N, C, H, W) in [0, 1], with the certified accuracy where there is one.

    That is the share of images that no perturbation within the attack's ε in l-inf can turn from their label; it
    is left out for another norm, for a patch, and for a network with a layer that has no interval bounds.
    """
    outcomes = evaluate(network, images, labels, spec.trigger, attack, seed, progress)
    measured = metrics(outcomes, spec, attack)
    if certifiable(network, attack):
        proved = [
            certified(network, *batch, attack.epsilon)
            for batch in zip(torch.split(images, BATCH), torch.split(labels, BATCH), strict=True)
        ]
        measured["certified_accuracy"] = int(torch.cat(proved).sum()) / len(images)
    return measured


def metrics(outcomes: Outcomes, spec: ExperimentSpec, attack: Attack) -> dict[str, Any]:
    """The three rates in [0, 1] with their n, and the attack they were measured under."""
    backdoor = outcomes.backdoor_success_rate(spec.target_class)
    return {
        "n": len(outcomes.labels),
        "clean_accuracy": outcomes.clean_accuracy().value,
        "adversarial_accuracy": outcomes.adversarial_accuracy().value,
        "backdoor_success_rate": backdoor.value if backdoor.n else None,
        "backdoor_n": backdoor.n,
        "norm": attack.norm.value,
        "epsilon": attack.epsilon,
        "steps": attack.steps,
    }


def known_limits(spec: ExperimentSpec, examples: int) -> list[str]:
    """What a reader of the card should not take its numbers for."""
    return [
        f"trained on {examples:,} images of {spec.dataset}, with the {spec.network} at {spec.width:g} of its width",
        f"adversarial accuracy is an upper bound: measured under {spec.evaluation} alone",
    ]


def run_experiment(
    spec: ExperimentSpec, folder: Path, progress: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Train, measure and store one run in `folder`; go on where an earlier, broken-off run stopped.

    Returns the content of result.json. A finished run is not trained again. Raises TradeoffError if the
    folder holds a run of another spec.
    """
    document = spec_to_dict(spec)
    if (folder / "spec.json").exists() and _read_json(folder / "spec.json") != document:
        raise TradeoffError(f"'{folder}' holds another run: choose another folder")
    if (folder / "result.json").exists():
        return _read_json(folder / "result.json")
    poisoned = poisoned_training_set(spec)
    network = networks.build(spec.network, spec.width, spec.seed)
    _write_json(folder / "spec.json", document)
    history = _train_all(network, spec, poisoned, folder, progress)
    started = time.perf_counter()
    networks.freeze(network.half().float())  # measured as shipped: float16 weights
    test = load_dataset(spec.dataset, Split.TEST).tensors()
    measured = {"metrics": measure(network, *test, spec, spec.evaluation)}
    if spec.second_evaluation:
        measured["second_metrics"] = measure(network, *test, spec, spec.second_evaluation)
    weights = save({name: value.half().contiguous() for name, value in network.state_dict().items()})
    write_atomically(folder / "model.safetensors", weights)
    overfitted = [entry.epoch for entry in history if entry.catastrophic_overfitting]
    training_seconds = sum(entry.seconds for entry in history)  # of all the processes that it took
    card = {
        "schema_version": SCHEMA_VERSION,
        "id": folder.resolve().name,
        "spec": document,
        "seed": spec.seed,
        "poison_rate_class": poisoned.poison_rate_class,
        "poison_rate_dataset": poisoned.poison_rate_dataset,
        **measured,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
        "training_seconds": round(training_seconds, 1),
        "hardware": f"{platform.machine()} CPU, {torch.get_num_threads()} of {os.cpu_count()} threads",
        "versions": {
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "catastrophic_overfitting_epochs": overfitted,
        "known_limits": known_limits(spec, len(poisoned.data)),
    }
    _write_json(folder / "card.json", card)
    result = {
        "run": spec.id,
        **measured,
        "seconds": round(training_seconds + time.perf_counter() - started, 1),
        "catastrophic_overfitting_epochs": overfitted,
    }
    _write_json(folder / "result.json", result)
    for checkpoint in folder.glob("checkpoint*.safetensors"):
        checkpoint.unlink()
    return result


def _train_all(
    network: Network,
    spec: ExperimentSpec,
    poisoned: PoisonedDataset,
    folder: Path,
    progress: Callable[[Progress], None] | None,
) -> list[Progress]:
    """Train, then fine-tune if the spec says so; a broken-off run goes on from its last epoch."""
    held_out = load_dataset(spec.dataset, Split.VALIDATION)
    validation = held_out.spread(VALIDATION_IMAGES).tensors()

    def stage(training: Training, data: ImageDataset, seed: int, name: str, before: int) -> list[Progress]:
        def note(entry: Progress) -> None:
            entry = replace(entry, epoch=before + entry.epoch, epochs=spec.epochs)
            with (folder / "progress.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(asdict(entry)) + "\n")
            if progress:
                progress(entry)

        path = folder / name
        return train(
            network, *data.tensors(), training, seed, validation=validation, progress=note, checkpoint=path
        )

    history = stage(spec.training, poisoned.data, spec.seed, "checkpoint.safetensors", 0)
    if spec.fine_tuning:
        data = held_out if spec.fine_tuning.images is Source.HELD_OUT else poisoned.data
        seed = spec.seed + FINE_TUNING_SEED
        history += stage(
            spec.fine_tuning.training, data, seed, "checkpoint-2.safetensors", spec.training.epochs
        )
    return history


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise TradeoffError(f"'{path}' is damaged: delete it, or choose another folder") from None
    return document


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
