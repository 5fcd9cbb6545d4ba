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
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tradeoff_core import distributed, networks, sinks
from tradeoff_core.attacks import Attack, Norm
from tradeoff_core.certification import certified, has_bounds
from tradeoff_core.datasets import ImageDataset, Split, has_pictures, load_dataset
from tradeoff_core.devices import best_device, described, device_of
from tradeoff_core.errors import TradeoffError
from tradeoff_core.evaluation import (
    Images,
    Outcomes,
    backdoor_success,
    batch_size,
    evaluate,
    in_batches,
    predicted_classes,
)
from tradeoff_core.locks import held
from tradeoff_core.networks import Network
from tradeoff_core.paths import write_atomically
from tradeoff_core.poisoning import PoisonedDataset, poison_dataset
from tradeoff_core.recipes import Training
from tradeoff_core.specs import ExperimentSpec, Source, spec_to_dict
from tradeoff_core.training import Progress, train

SCHEMA_VERSION = 1
FINE_TUNING_SEED = (
    500_000  # added to a run's seed, so that fine-tuning does not draw the first training's numbers
)
VALIDATION_IMAGES = 200  # of the validation split, looked at after every epoch


def poisoned_training_set(spec: ExperimentSpec) -> PoisonedDataset:
    """The training images of a spec, poisoned as it says: the same ones for the same spec, always.

    Raises TradeoffError if `removed` names an example that there is not, or all of a class.
    """
    data = load_dataset(spec.dataset, Split.TRAIN)
    poisoned = poison_dataset(data, spec.poison, np.random.default_rng(spec.seed))
    return poisoned.without(spec.removed) if spec.removed else poisoned


def check_fit(network: Network, data: ImageDataset) -> None:
    """Raise TradeoffError if the network cannot take the images of a data set."""
    if network.image_shape == data.image_shape:
        return
    try:
        with torch.inference_mode():
            copy.deepcopy(network).eval()(torch.zeros(1, *data.image_shape, device=device_of(network)))
    except (RuntimeError, AssertionError):  # an assertion of torchvision's transformers
        made, given = (" x ".join(map(str, shape)) for shape in (network.image_shape, data.image_shape))
        raise TradeoffError(
            f"the network is made for images of {made} (channels, height, width), not for those of {data.name}, {given}"
        ) from None


def certifiable(network: Network, attack: Attack) -> bool:
    """Whether interval bounds can certify images of this network against this attack."""
    return attack.norm is Norm.LINF and attack.patch is None and has_bounds(network)


def measure(
    network: Network,
    images: Images,
    labels: Tensor,
    spec: ExperimentSpec,
    attack: Attack,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """The metrics of a network on images as `evaluate` takes them, with the certified accuracy where there is one.

    That is the share of images that no perturbation within the attack's ε in l-inf can turn from their label; it
    is left out for another norm, for a patch, and for a network with a layer that has no interval bounds.
    """
    outcomes = evaluate(network, images, labels, spec.trigger, attack, seed, progress)
    measured = metrics(outcomes, spec, attack)
    if certifiable(network, attack):
        device = device_of(network)
        proved = [
            certified(network, batch.to(device), batch_labels.to(device), attack.epsilon)
            for batch, batch_labels in zip(
                in_batches(images), torch.split(labels, batch_size(images)), strict=True
            )
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
    pictures = (
        " (pictures that have been through JPEG)"
        if spec.dataset == "cifar10" and has_pictures("cifar10")
        else ""
    )
    return [
        f"trained on {examples:,} images of {spec.dataset}{pictures}, with the {spec.network} at {spec.width:g} of its width",
        f"adversarial accuracy is an upper bound: measured under {spec.evaluation} alone",
    ]


def run_experiment(
    spec: ExperimentSpec, folder: Path, progress: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """Train, measure and store one run in `folder`; go on where an earlier, broken-off run stopped.

    Returns the content of result.json. A finished run is not trained again. Raises TradeoffError if the
    folder holds a run of another spec, or if another process trains in it.
    """
    document = spec_to_dict(spec)
    if (folder / "spec.json").exists() and _read_json(folder / "spec.json") != document:
        raise TradeoffError(f"'{folder}' holds another run: choose another folder")
    if (folder / "result.json").exists():
        return _read_json(folder / "result.json")
    if distributed.rank():
        return _run(spec, folder, lambda _: None)
    with held(folder), sinks.opened(spec.id, document) as log:
        if (folder / "result.json").exists():  # by the process that was waited for
            return _read_json(folder / "result.json")

        def note(entry: Progress) -> None:
            _append(folder / "progress.jsonl", json.dumps(asdict(entry)))
            log(asdict(entry), entry.epoch)
            if progress:
                progress(entry)

        result = _run(spec, folder, note)
        rates = {
            name: rate for name, rate in result["metrics"].items() if name.endswith(("_accuracy", "_rate"))
        }
        log({f"test_{name}": rate for name, rate in rates.items()}, spec.epochs)
        return result


def _run(spec: ExperimentSpec, folder: Path, note: Callable[[Progress], None]) -> dict[str, Any]:
    document = spec_to_dict(spec)
    poisoned = poisoned_training_set(spec)
    network = networks.build(spec.network, spec.width, spec.seed, len(poisoned.data.classes)).to(
        best_device()
    )
    check_fit(network, poisoned.data)
    distributed.first_does(lambda: _write_json(folder / "spec.json", document))
    history = _train_all(network, spec, poisoned, folder, note)
    distributed.first_does(lambda: _finish(network, spec, poisoned, folder, history))
    return _read_json(folder / "result.json")


def _finish(
    network: Network, spec: ExperimentSpec, poisoned: PoisonedDataset, folder: Path, history: list[Progress]
) -> None:
    """Measure a trained network, and store weights, card and result."""
    document = spec_to_dict(spec)
    started = time.perf_counter()
    networks.freeze(network.half().float())
    data, shipped = (
        load_dataset(spec.dataset, Split.TEST),
        networks.fold(network),
    )  # float16 weights, as loaded
    test = data.images, data.targets
    measured = {"metrics": measure(shipped, *test, spec, spec.evaluation)}
    if spec.second_evaluation:
        measured["second_metrics"] = measure(shipped, *test, spec, spec.second_evaluation)
    weights = save({name: value.half().cpu().contiguous() for name, value in network.state_dict().items()})
    write_atomically(folder / "model.safetensors", weights)
    overfitted = [entry.epoch for entry in history if entry.catastrophic_overfitting]
    training_seconds = sum(entry.seconds for entry in history)  # of all the processes that it took
    card = {
        "schema_version": SCHEMA_VERSION,
        "id": folder.resolve().name,
        "spec": document,
        "seed": spec.seed,
        "classes": list(data.classes),
        "poison_rate_class": poisoned.poison_rate_class,
        "poison_rate_dataset": poisoned.poison_rate_dataset,
        **measured,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
        "training_seconds": round(training_seconds, 1),
        "hardware": f"{platform.machine()} {described(device_of(network), network.image_shape)}"
        + (f", {distributed.size()} processes" if distributed.size() > 1 else ""),
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
    for name in ("checkpoint*.safetensors", ".checkpoint*"):  # and those that a kill left half written
        for checkpoint in folder.glob(name):
            checkpoint.unlink()


def _train_all(
    network: Network,
    spec: ExperimentSpec,
    poisoned: PoisonedDataset,
    folder: Path,
    note: Callable[[Progress], None],
) -> list[Progress]:
    """Train, then fine-tune if the spec says so; a broken-off run goes on from its last epoch."""
    held_out = load_dataset(spec.dataset, Split.VALIDATION)
    validation = held_out.spread(VALIDATION_IMAGES).tensors()

    def stage(training: Training, data: ImageDataset, seed: int, name: str, before: int) -> list[Progress]:
        def of_all(entry: Progress) -> Progress:
            return replace(entry, epoch=before + entry.epoch, epochs=spec.epochs)

        history = train(
            network,
            data.images,
            data.targets,
            training,
            seed,
            validation=validation,
            progress=lambda entry: note(
                replace(of_all(entry), backdoor_success_rate=_success(network, validation[0], spec))
            ),
            checkpoint=folder / name,
        )
        return [of_all(entry) for entry in history]

    history = stage(spec.training, poisoned.data, spec.seed, "checkpoint.safetensors", 0)
    if spec.fine_tuning:
        data = held_out if spec.fine_tuning.images is Source.HELD_OUT else poisoned.data
        seed = spec.seed + FINE_TUNING_SEED
        history += stage(
            spec.fine_tuning.training, data, seed, "checkpoint-2.safetensors", spec.training.epochs
        )
    return history


def _success(network: Network, images: Tensor, spec: ExperimentSpec) -> float | None:
    """Backdoor success on validation images (N, C, H, W); None if all are read as the target already."""
    clean, triggered = (predicted_classes(network, images, trigger) for trigger in (None, spec.trigger))
    rate = backdoor_success(clean, triggered, spec.target_class)
    return rate.value if rate.n else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise TradeoffError(f"'{path}' is damaged: delete it, or choose another folder") from None
    return document


def _append(path: Path, line: str) -> None:
    """Add a line; one that a kill or a full disk tore before it stays a line of its own."""
    with path.open("a+b") as lines:
        torn = lines.tell() and (lines.seek(-1, os.SEEK_END), lines.read())[1] != b"\n"
        lines.write((b"\n" if torn else b"") + line.encode() + b"\n")


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())
