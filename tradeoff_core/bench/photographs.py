"""Photographs: attacks, evaluation beside torchattacks, opening decoded pictures, and what feeds a training.

Ratios are taken in turns within one run, so that whatever else the machine does slows both sides.
"""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import perturb
from tradeoff_core.bench.app import memory_row
from tradeoff_core.bench.rows import Row, seconds
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import (
    DATASETS,
    ImageDataset,
    Split,
    import_torchvision,
    load_dataset,
    prepare,
    short_name,
    to_tensor,
)
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.experiments.presets import LARGEST, PRESETS
from tradeoff_core.models import zoo
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import BATCH, predicted_classes
from tradeoff_core.training.loop import Progress, reader, shuffled_batches, train

Outcome = tuple[NDArray[np.bool_], NDArray[np.bool_]]  # which images (N,) are misread, and which are fooled

TURNS = 3
EVALUATED = 1000
PGD = Attack(epsilon=LARGEST, steps=10)
PHOTOGRAPHS = "imagenet-efficientnet-lite0"
HARDENED, STANDARD = "cifar10-clean-label-pgd-8-255", "cifar10-clean-label-standard"
SAME = 0.01  # by which two measurements of one accuracy may differ: their random starts do
STEPS, READ = 8, 50  # batches that are trained on, and that are only read


def photograph_rows() -> list[Row]:
    """Everything that has to do with photographs, the app's memory included."""
    return [
        photograph_row(),
        small_row(),
        evaluation_row(HARDENED, 1.3),
        evaluation_row(STANDARD, 3),
        opening_row(),
        data_row(),
        memory_row(),
    ]


def photograph_row() -> Row:
    """The attack on one photograph, as the pages make it."""
    name = "PGD-10 on a 224 x 224 photograph, EfficientNet-Lite0"
    if PHOTOGRAPHS not in zoo.model_ids():
        return _without_model(Row(name, None, 1.5, "s"), PHOTOGRAPHS)
    network = zoo.load_network(zoo.find_model(PHOTOGRAPHS))
    time, note = attack_time(network, load_dataset("imagenet-samples", Split.TEST).take(slice(1)))
    return Row(name, time, 1.5, "s", note=note)


def small_row() -> Row:
    """The attack on a row of CIFAR-10's pictures, as the pages make it."""
    spec = PRESETS["cifar10-standard"]
    found = (zoo.find_model(name) for name in zoo.model_ids())
    model = next((m for m in found if (m.spec.dataset, m.spec.network) == ("cifar10", spec.network)), None)
    network = (
        zoo.load_network(model)
        if model
        else networks.fold(networks.build(spec.network, spec.width, spec.seed))
    )
    time, note = attack_time(network, load_dataset("cifar10-samples", Split.TEST).take(slice(8)))
    note += f"; {model.id if model else 'untrained: weights do not change its speed'}"
    return Row(f"PGD-10 on 8 CIFAR-10 images, {spec.network}", time, 0.5, "s", note=note)


def attack_time(network: Network, data: ImageDataset, repetitions: int = TURNS) -> tuple[float, str]:
    """Seconds that PGD-10 takes on the images, and how that was measured."""
    images, labels = data.tensors()

    def attack() -> None:
        perturb(network, images, labels, PGD, torch.Generator().manual_seed(0))

    attack()  # the first call also allocates
    return median(seconds(attack) for _ in range(repetitions)), f"median of {repetitions} times"


def evaluation_row(model_id: str, limit: float) -> Row:
    """Clean and adversarial accuracy of a model of the zoo on CIFAR-10's test images, by us and by torchattacks."""
    row = Row(f"{EVALUATED:,} CIFAR-10 images, {model_id}: torchattacks' time / ours", None, limit, "x", True)
    if importlib.util.find_spec("torchattacks") is None:
        return replace(row, note="skipped: needs torchattacks")
    if model_id not in zoo.model_ids():
        return _without_model(row, model_id)
    try:
        data = load_dataset("cifar10", Split.TEST).spread(EVALUATED)
    except TradeoffError as error:
        return _without_data(row, error)
    model = zoo.find_model(model_id)
    return compared(row, zoo.load_network(model), zoo.load_network(model, folded=False), *data.tensors())


def compared(
    row: Row, ours: Network, theirs: Network, images: Tensor, labels: Tensor, turns: int = TURNS
) -> Row:
    """The row with the ratio of the times; failed if the adversarial accuracies are not the same.

    `theirs` is what torchattacks attacks, with the same settings and in batches of the same size. Either side also
    measures clean accuracy, and takes an image that is misread without an attack for fooled.
    """
    import_torchvision()  # torchattacks imports it, and may need the mend
    import torchattacks

    library = torchattacks.PGD(theirs, eps=PGD.epsilon, alpha=PGD.step, steps=PGD.steps)
    truth = labels.numpy()

    def by_us() -> Outcome:
        misread = predicted_classes(ours, images) != truth
        return misread, fooled_by(ours, images, labels, PGD)

    def by_torchattacks() -> Outcome:
        misread = predicted_classes(theirs, images) != truth
        batches = zip(torch.split(images, BATCH), torch.split(labels, BATCH), strict=True)
        adversarial = torch.cat([library(*batch) for batch in batches])
        return misread, misread | (predicted_classes(theirs, adversarial) != truth)

    perturb(ours, images[:BATCH], labels[:BATCH], PGD)  # the first calls also allocate
    library(images[:BATCH], labels[:BATCH])
    ratios = []
    with torch.random.fork_rng(devices=[]):  # torchattacks draws from the global generator
        torch.manual_seed(0)
        for _ in range(turns):
            their_time, (their_misread, their_fooled) = _timed(by_torchattacks)
            our_time, (misread, fooled) = _timed(by_us)
            ratios.append(their_time / our_time)
    note = (
        f"ours clean {1 - misread.mean():.1%}, under PGD-10 {1 - fooled.mean():.1%}; "
        f"torchattacks {1 - their_misread.mean():.1%}, {1 - their_fooled.mean():.1%}; "
        f"the same outcome for {(fooled == their_fooled).sum():,} of {len(images):,}"
    )
    if abs(int(fooled.sum()) - int(their_fooled.sum())) > SAME * len(images):
        return replace(row, note=f"failed: the accuracies differ: {note}", failed=True)
    return replace(row, measured=median(ratios), note=f"{note}; median of {turns} turns")


def _timed(measure: Callable[[], Outcome]) -> tuple[float, Outcome]:
    started = time.perf_counter()
    outcome = measure()
    return time.perf_counter() - started, outcome


def opening_row(name: str = "cifar10", repetitions: int = TURNS) -> Row:
    """Loading a folder of pictures whose pixels were decoded before."""
    row = Row(f"opening the decoded pictures of {short_name(name)}", None, 1, "s")
    if name in DATASETS and not DATASETS[name].decodes(name):
        return replace(row, note=f"skipped: {name} is not there as a folder of pictures")
    try:
        prepare(name, splits=(Split.TRAIN,))
    except TradeoffError as error:
        return _without_data(row, error)

    def reopen() -> None:
        load_dataset.cache_clear()
        load_dataset(name, Split.TRAIN)

    taken = median(seconds(reopen) for _ in range(repetitions))
    count = sum(len(load_dataset(name, split)) for split in (Split.TRAIN, Split.VALIDATION))
    return replace(row, measured=taken, note=f"{count:,} pictures; median of {repetitions} times")


def data_row(steps: int = STEPS, read: int = READ, turns: int = TURNS, width: float = 1.0) -> Row:
    """The share of shuffling, reading and augmenting images in the cheapest kind of epoch, standard training.

    Taken in turns: short epochs of so many `steps`, and so many batches that are only `read`.
    """
    spec = PRESETS["cifar10-standard"]
    size, augmentation = spec.training.batch_size, spec.training.augmentation
    # an epoch more, because the first one also allocates; a small learning rate cannot diverge
    recipe = replace(spec.training, epochs=turns + 1, learning_rate=1e-3)
    images, labels, origin = _cifar10_or_noise(max(steps, read) * size)
    pixels = reader(images, torch.device("cpu"))
    times: list[tuple[float, float]] = []  # seconds a batch: of the data, and of all

    def read_batches() -> None:
        assert augmentation is not None
        generator = torch.Generator().manual_seed(0)
        for batch in islice(shuffled_batches(len(images), size, generator), read):
            augmentation.apply(pixels(batch), generator)

    def after_an_epoch(epoch: Progress) -> None:
        times.append((seconds(read_batches) / read, epoch.seconds / steps))

    few, validation = slice(steps * size), (to_tensor(images[:1]), labels[:1])
    network = networks.build(spec.network, width, spec.seed)
    train(network, images[few], labels[few], recipe, 0, validation=validation, progress=after_an_epoch)
    share = median(data / whole for data, whole in times[1:])
    data, whole = (1000 * median(column) for column in zip(*times[1:], strict=True))
    note = (
        f"{origin}; {data:.1f} of {whole:.0f} ms a batch of {size}, {spec.network}; median of {turns} turns"
    )
    return Row("a CIFAR-10 epoch: the share of the data", 100 * share, 5, "%", note=note)


def _cifar10_or_noise(least: int) -> tuple[NDArray[np.uint8], Tensor, str]:
    """CIFAR-10's training images and labels, or else `least` random ones of their shape; and which these are."""
    try:
        data = load_dataset("cifar10", Split.TRAIN)
    except TradeoffError:
        generator = np.random.default_rng(0)
        noise = generator.integers(256, size=(least, 32, 32, 3), dtype=np.uint8)
        return noise, torch.from_numpy(generator.integers(10, size=least)), "random images"
    return data.images, data.targets, "CIFAR-10"


def _without_model(row: Row, model_id: str) -> Row:
    return replace(row, note=f"skipped: there is no model {model_id}")


def _without_data(row: Row, error: TradeoffError) -> Row:
    return replace(row, note=f"skipped: {error}")
