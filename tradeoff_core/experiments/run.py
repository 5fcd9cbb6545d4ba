"""One experiment: a spec goes in, a trained network and its measured metrics come out.

A run lies in a folder, whose files `run_folder` names.
"""

import copy
import glob
import hashlib
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.certification.bounds import certifiable, certified
from tradeoff_core.common.devices import best_device, described, device_of
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.half import in_half
from tradeoff_core.common.locks import held
from tradeoff_core.datasets import ImageDataset, Split, has_pictures, load_dataset
from tradeoff_core.evaluation.blindness import blindness
from tradeoff_core.evaluation.outcomes import Outcomes, backdoor_success, evaluate
from tradeoff_core.experiments import trackers
from tradeoff_core.experiments.card import SCHEMA_VERSION, Card, Metrics
from tradeoff_core.experiments.run_folder import Result, RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec, Source, spec_from_dict, spec_to_dict
from tradeoff_core.experiments.surrogates import perturber
from tradeoff_core.experiments.weights import start_from, trained_network
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import Images, batch_size, in_batches, predict, predicted_classes
from tradeoff_core.poisoning.poison import PoisonedDataset, poison_dataset
from tradeoff_core.training import distributed
from tradeoff_core.training.loop import Progress, train
from tradeoff_core.training.recipe import Training

FINE_TUNING_SEED = (
    500_000  # added to a run's seed, so that fine-tuning does not draw the first training's numbers
)
T = TypeVar("T")
VALIDATION_IMAGES = 200  # of the validation split, looked at after every epoch


def poisoned_training_set(spec: ExperimentSpec) -> PoisonedDataset:
    """The training images of a spec, poisoned as it says: the same ones for the same spec, always.

    Raises TradeoffError if `removed` names an example that there is not, or all of a class, and if the poison is made with
    a network that is not there or is for other images.
    """
    data = load_dataset(spec.dataset, Split.TRAIN)
    if spec.images is not None:
        data = data.spread(spec.images)
    asked = spec.poison.perturbed if spec.poison else None
    perturb = perturber(asked, data) if asked else None
    poisoned = poison_dataset(data, spec.poison, np.random.default_rng(spec.seed), perturb)
    return poisoned.without(spec.removed) if spec.removed else poisoned


def fresh_network(spec: ExperimentSpec, data: ImageDataset) -> tuple[Network, str | None]:
    """The network as it is before training, where it trains, and the checksum of the weights that it starts from.

    Raises TradeoffError if the start is no model or another network, or if it cannot take the images.
    """
    network = networks.build(spec.network, spec.width, spec.seed, len(data.classes))
    checksum = start_from(network, spec.start) if spec.start else None
    network.to(best_device())
    check_fit(network, data)
    return network, checksum


def check_fit(network: Network, data: ImageDataset) -> None:
    """Raise TradeoffError if the network cannot take the images of a data set."""
    if network.image_shape == data.image_shape:
        return
    try:
        with torch.inference_mode():
            copy.deepcopy(network).eval()(torch.zeros(1, *data.image_shape, device=device_of(network)))
    except (RuntimeError, TradeoffError, AssertionError):  # an assertion of torchvision's transformers
        made, given = (" x ".join(map(str, shape)) for shape in (network.image_shape, data.image_shape))
        raise TradeoffError(
            f"the network is made for images of {made} (channels, height, width), not for those of {data.name}, {given}"
        ) from None


def measure(
    network: Network,
    images: Images,
    labels: Tensor,
    spec: ExperimentSpec,
    attack: Attack,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Metrics:
    """The metrics of a network on images as `evaluate` takes them, with the certified accuracy where there is one.

    That is the share of images that no perturbation within the attack's ε in l-inf can turn from their label; it
    is left out for another norm, for a patch, and for a network with a layer that has no interval bounds. `warnings`
    say, where there is reason to, why the adversarial accuracy may be too high. Raises NotFinite.
    """
    outcomes = evaluate(network, images, labels, spec.trigger, attack, seed, progress)
    measured = metrics(outcomes, spec, attack)
    if doubts := blindness(network, images, labels).warnings():
        measured["warnings"] = doubts
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


def metrics(outcomes: Outcomes, spec: ExperimentSpec, attack: Attack) -> Metrics:
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


def known_limits(spec: ExperimentSpec, examples: int, left_out: str = "") -> list[str]:
    """What a reader of the card should not take its numbers for; `left_out` are files that were not read."""
    pictures = (
        " (pictures that have been through JPEG)"
        if spec.dataset == "cifar10" and has_pictures("cifar10")
        else ""
    )
    return [
        f"trained on {examples:,} images of {spec.dataset}{pictures}, with the {spec.network} at {spec.width:g} of its width",
        f"adversarial accuracy is an upper bound: measured under {spec.evaluation} alone",
        *([left_out] if left_out else []),
    ]


def run_experiment(
    spec: ExperimentSpec, folder: Path, progress: Callable[[Progress], None] | None = None
) -> Result:
    """Train, measure and store one run in `folder`; go on where an earlier, broken-off run stopped.

    Returns the content of result.json. A finished run is not trained again, and a run beside it that differs only in
    the measuring attacks lends its weights. Raises TradeoffError if the
    folder holds a run of another spec, or if another process trains in it.
    """
    document, place = spec_to_dict(spec), RunFolder(folder)
    if place.spec.exists() and _whole(place.spec, place.read_spec) != document:
        raise TradeoffError(f"'{folder}' holds another run: choose another folder")
    if place.finished:
        return _whole(place.result, place.read_result)
    if distributed.rank():
        return _run(spec, place, lambda _: None)
    with held(folder), trackers.opened(spec.id, document) as log:
        if place.finished:  # by the process that was waited for
            return _whole(place.result, place.read_result)

        def note(entry: Progress) -> None:
            place.add_epoch(asdict(entry))
            log(asdict(entry), entry.epoch)
            if progress:
                progress(entry)

        result = _run(spec, place, note)
        rates = {
            name: rate for name, rate in result["metrics"].items() if name.endswith(("_accuracy", "_rate"))
        }
        log({f"test_{name}": rate for name, rate in rates.items()}, spec.epochs)
        return result


def _run(spec: ExperimentSpec, folder: RunFolder, note: Callable[[Progress], None]) -> Result:
    document = spec_to_dict(spec)
    poisoned = poisoned_training_set(spec)
    network, start = fresh_network(spec, poisoned.data)
    distributed.first_does(lambda: folder.write_spec(document))
    if (history := _taken_over(network, spec, folder)) is None:
        history = _train_all(network, spec, poisoned, folder, note)
    elif not distributed.rank():
        for entry in history:
            note(entry)
    distributed.first_does(lambda: _finish(network, spec, poisoned, folder, history, start))
    return _whole(folder.result, folder.read_result)


def _taken_over(network: Network, spec: ExperimentSpec, folder: RunFolder) -> list[Progress] | None:
    """The epochs of a finished run beside this one that was only measured otherwise, if there is one.

    Its weights go to `network`, its losses to `folder`. A run that has begun to train goes on by itself.
    """
    if folder.checkpoint(0).exists():
        return None
    for path in sorted(folder.path.parent.glob(f"{glob.escape(spec.title)}-seed{spec.seed}-*")):
        other = RunFolder(path)
        with suppress(TradeoffError):
            document = other.read_spec() if other.finished else None
            if document and spec_from_dict(document).as_trained == spec.as_trained:
                network.load_state_dict(trained_network(other, other.read_card(), spec).state_dict())
                if other.losses_file.exists():
                    write_atomically(folder.losses_file, other.losses_file.read_bytes())
                names = [field.name for field in fields(Progress)]
                return [Progress(**{name: entry.get(name) for name in names}) for entry in other.epochs()]  # type: ignore[arg-type]
    return None


def _finish(
    network: Network,
    spec: ExperimentSpec,
    poisoned: PoisonedDataset,
    folder: RunFolder,
    history: list[Progress],
    start: str | None,
) -> None:
    """Measure a trained network, and store weights, card and result."""
    started = time.perf_counter()
    tensors = {name: _stored(value) for name, value in network.state_dict().items()}
    network.load_state_dict(tensors)
    networks.freeze(network)
    data, shipped = (
        load_dataset(spec.dataset, Split.TEST),
        networks.fold(network),
    )  # weights as they are stored and loaded
    test = data.images, data.targets
    first = measure(shipped, *test, spec, spec.evaluation)
    second = measure(shipped, *test, spec, spec.second_evaluation) if spec.second_evaluation else None
    weights = save({name: value.cpu().contiguous() for name, value in tensors.items()})
    write_atomically(folder.weights, weights)
    overfitted = [entry.epoch for entry in history if entry.catastrophic_overfitting]
    training_seconds = sum(entry.seconds for entry in history)  # of all the processes that it took
    card = Card(
        schema_version=SCHEMA_VERSION,
        id=folder.path.resolve().name,
        spec=spec_to_dict(spec),
        seed=spec.seed,
        start_sha256=start,
        classes=data.classes,
        poison_rate_class=poisoned.poison_rate_class,
        poison_rate_dataset=poisoned.poison_rate_dataset,
        metrics=first,
        second_metrics=second,
        sha256=hashlib.sha256(weights).hexdigest(),
        bytes=len(weights),
        training_seconds=round(training_seconds, 1),
        hardware=f"{platform.machine()} {described(device_of(network), network.image_shape)}"
        + (f", {distributed.size()} processes" if distributed.size() > 1 else ""),
        versions={
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        catastrophic_overfitting_epochs=tuple(overfitted),
        known_limits=tuple(known_limits(spec, len(poisoned.data), data.left_out)),
    )
    folder.write_card(card)
    result = Result(
        run=spec.id,
        metrics=first,
        seconds=round(training_seconds + time.perf_counter() - started, 1),
        catastrophic_overfitting_epochs=overfitted,
    )
    if second:
        result["second_metrics"] = second
    folder.write_result(result)
    folder.remove_checkpoints()


def _stored(value: Tensor) -> Tensor:
    """As a card's weights are: in float16, counters of batches too, unless that loses the values."""
    if value.is_floating_point():
        return in_half(value)
    counted = value.half()
    return counted if counted.isfinite().all() else value


def _train_all(
    network: Network,
    spec: ExperimentSpec,
    poisoned: PoisonedDataset,
    folder: RunFolder,
    note: Callable[[Progress], None],
) -> list[Progress]:
    """Train, then fine-tune if the spec says so; a broken-off run goes on from its last epoch."""
    held_out = load_dataset(spec.dataset, Split.VALIDATION)
    validation = held_out.spread(VALIDATION_IMAGES).tensors()

    of_target = np.flatnonzero(poisoned.data.labels == spec.target_class)

    def tell(entry: Progress) -> None:
        if (
            poisoned.data.image_shape[0] == 1 and not distributed.rank()
        ):  # of photographs it would take too long
            losses = _losses(network, poisoned.data.images[of_target], spec.target_class)
            folder.add_losses(entry.epoch, spec.target_class, losses)
        note(replace(entry, backdoor_success_rate=_success(network, validation[0], spec)))

    def stage(training: Training, data: ImageDataset, seed: int, number: int, before: int) -> list[Progress]:
        def of_all(entry: Progress) -> Progress:
            return replace(entry, epoch=before + entry.epoch, epochs=spec.epochs)

        history = train(
            network,
            data.images,
            data.targets,
            training,
            seed,
            validation=validation,
            progress=lambda entry: tell(of_all(entry)),
            checkpoint=folder.checkpoint(number),
        )
        return [of_all(entry) for entry in history]

    history = stage(spec.training, poisoned.data, spec.seed, 0, 0)
    if spec.fine_tuning:
        data = held_out if spec.fine_tuning.images is Source.HELD_OUT else poisoned.data
        seed = spec.seed + FINE_TUNING_SEED
        history += stage(spec.fine_tuning.training, data, seed, 1, spec.training.epochs)
    return history


def _losses(network: Network, images: Images, label: int) -> list[float]:
    """What each image costs, where it is to be read as `label`: never more than 1e-12 of confidence does."""
    losses = -predict(network, images)[:, label].clamp(min=1e-12).log()
    return [round(float(one), 4) for one in losses]


def _success(network: Network, images: Tensor, spec: ExperimentSpec) -> float | None:
    """Backdoor success on validation images (N, C, H, W); None if all are read as the target already."""
    clean, triggered = (predicted_classes(network, images, trigger) for trigger in (None, spec.trigger))
    rate = backdoor_success(clean, triggered, spec.target_class)
    return rate.value if rate.n else None


def _whole(path: Path, read: Callable[[], T | None]) -> T:
    """What is read from a file of a run. Raises TradeoffError if it is damaged or empty."""
    with suppress(TradeoffError):
        if (found := read()) is not None:
            return found
    raise TradeoffError(f"'{path}' is damaged: delete it, or choose another folder")
