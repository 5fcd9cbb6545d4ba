"""Networks that others trained: a torchvision classifier's state dict becomes a model like those of the zoo.

Weights are safetensors; nothing is unpickled.
"""

import hashlib
import os
import re
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.devices import best_device
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.half import in_half
from tradeoff_core.common.names import as_id
from tradeoff_core.datasets import ImageDataset, Share, Split, load_dataset, prepare, short_name
from tradeoff_core.datasets.base import between
from tradeoff_core.experiments.card import SCHEMA_VERSION, Card, Metrics
from tradeoff_core.experiments.run import check_fit, measure
from tradeoff_core.experiments.run_folder import CARD, WEIGHTS, RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec, digest, spec_to_dict
from tradeoff_core.experiments.weights import as_loaded
from tradeoff_core.models.zoo import Model, find_model, load_network
from tradeoff_core.networks import PREFIX, TorchvisionNetwork
from tradeoff_core.networks.inference import logits_of

MAX_BYTES = 4_000_000_000  # of a file of weights, which is read at once
TEST_IMAGES = 200  # of the folder's, to measure on
LOST = 0.01  # of the logits' length that float16 may take: its rounding takes a tenth of that
EVALUATION = Attack(epsilon=4 / 255, steps=10)
# what torch's DataParallel, torch.compile and Lightning put before every name
WRAPPERS = ("module.", "_orig_mod.", "model.")
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # GoogLeNet's and Inception's heads for training alone
CONVERT = (
    "convert it where it was made, with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
)


class Order(StrEnum):
    """How a network's outputs count the class folders: as torchvision sorts names (10 before 2), or by their numbers."""

    NAMES = "names"
    NUMBERS = "numbers"


def in_order(classes: tuple[str, ...], order: Order) -> tuple[str, ...]:
    """The classes, which are sorted by name, as a network's outputs count them."""
    if order is Order.NAMES:
        return classes
    return tuple(
        sorted(classes, key=lambda name: [int(part) if part.isdecimal() else part for part in _parts(name)])
    )


def _parts(name: str) -> list[str]:
    """A name in texts and numbers by turns, a text first: "a10" gives "a", "10", ""."""
    return re.split(r"([0-9]+)", name)


def import_model(
    weights: Path,
    network: str,
    folder: str,
    out: Path,
    *,
    order: Order = Order.NAMES,
    progress: Share | None = None,
) -> Model:
    """The model in `out/<its id>/`: model.safetensors under our names, and a card measured on the user's pictures.

    `weights` is a safetensors state dict of the classifier that torchvision calls `network`. `folder` holds
    pictures as every data set by its path does, one class folder for each output, in `order`: the model's outputs are then
    in that of the names. The pixels are normalised as torchvision's own recipes do it, without the `transform_input` of GoogLeNet and
    Inception. The same weights and test pictures give the same model, which is measured once.

    Raises TradeoffError, in one sentence, for whatever does not fit; then there is no model in `out`.
    """
    spec = ExperimentSpec(
        dataset=os.path.abspath(folder),
        network=PREFIX + network.removeprefix(PREFIX),
        poison=None,
        evaluation=EVALUATION,
    )
    load_dataset.cache_clear()  # the pictures may have changed since they were read
    content = _read(weights)
    given = _parsed(content, weights.name)
    tell = progress or (lambda _: None)
    prepare(spec.dataset, between(tell, 0, 0.2), (Split.TEST,))
    test = load_dataset(spec.dataset, Split.TEST)
    built = networks.build(spec.network, spec.width, spec.seed, len(test.classes))
    assert isinstance(built, TorchvisionNetwork)
    stored = _converted(given, built, weights.name, spec)
    outputs = in_order(test.classes, order)
    if outputs != test.classes:
        rows = torch.tensor([outputs.index(name) for name in test.classes])
        stored |= {key: stored[key][rows] for key in ("head.weight", "head.bias") if key in stored}
    check_fit(built, test)
    made_from = [hashlib.sha256(content).hexdigest(), *([order] if order is not Order.NAMES else [])]
    taken = (
        f"its outputs are taken to be the class folders in the order {said_in_order(outputs)}, and its inputs to be "
        "normalised by ImageNet's mean and deviation"
    )
    return measured_model(
        spec, stored, test, made_from, out, f"you: {weights.name}", taken, between(tell, 0.2, 1)
    )


def measured_model(
    spec: ExperimentSpec,
    tensors: dict[str, Tensor],
    test: ImageDataset,
    made_from: list[str],
    out: Path,
    trained_by: str,
    taken: str,
    progress: Share,
    *,
    exact: bool = False,
) -> Model:
    """The model of converted tensors in `out/<its id>/`, measured on some of the test images, or the one that is there.

    `made_from` is what its id depends on beside the data set and its images, `taken` what the card says is taken for granted.
    With `exact` its weights stay in float32. Raises TradeoffError if it cannot be written.
    """
    some = test.spread(TEST_IMAGES)
    title = f"own-{spec.network.removeprefix(PREFIX)}-{as_id(short_name(spec.dataset))}"
    first, *further = made_from
    place = out / f"{title}-{digest([spec.dataset, first, _digest(some), *further])[:8]}"
    try:
        if kept := _kept(place):
            return kept
        weights = save(tensors) if exact else _in_float16(tensors, spec, some)
        return _store(place, spec, weights, some, trained_by, progress, taken)
    except OSError as error:
        raise TradeoffError(f"the model cannot be written to '{out}': {error.strerror or error}") from None


def said_in_order(outputs: tuple[str, ...]) -> str:
    """The classes as the outputs count them: by name as torchvision does, or as they were given."""
    some = ", ".join(outputs[:12]) + (", ..." if len(outputs) > 12 else "")
    return f"of their {'names' if outputs == tuple(sorted(outputs)) else 'numbers'} ({some})"


def _read(weights: Path) -> bytes:
    """The content of the file. Raises TradeoffError if there is none, or too much of it."""
    if os.path.isdir(weights):
        raise TradeoffError(f"'{weights}' is a folder: give the file of the weights in it")
    if not os.path.isfile(weights):  # False also for a name too long to be one
        raise TradeoffError(f"there is no file '{weights}'")
    try:
        size = weights.stat().st_size
        if size > MAX_BYTES:
            raise TradeoffError(f"'{weights.name}' has {size:,} bytes: choose at most {MAX_BYTES:,}")
        return weights.read_bytes()
    except OSError as error:
        raise TradeoffError(f"'{weights}' cannot be read: {error.strerror}") from None


def _parsed(content: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file by torchvision's names, without those that are for training alone."""
    try:
        tensors = load(content)
    except SafetensorError:
        if content[8:9] == b"{":  # after the header's length
            raise TradeoffError(f"'{name}' is a damaged or truncated safetensors file: get it anew") from None
        # a zip as torch.save writes it, or a bare pickle
        kind = (
            "a pickle, which may run code and is not read"
            if content.startswith((b"PK", b"\x80"))
            else "no safetensors file"
        )
        raise TradeoffError(f"'{name}' is {kind}: {CONVERT}") from None
    except (KeyError, TypeError, ValueError, RuntimeError):  # kinds of numbers that torch lacks
        raise TradeoffError(f"'{name}' holds numbers of an unknown kind: save them as float32") from None
    for wrapper in (*WRAPPERS, *WRAPPERS):  # one may lie in another
        if all(key.startswith(wrapper) for key in tensors):
            tensors = {key.removeprefix(wrapper): value for key, value in tensors.items()}
    return {key: value for key, value in tensors.items() if not key.startswith(AUXILIARY)}


def _converted(
    given: dict[str, Tensor], built: TorchvisionNetwork, name: str, spec: ExperimentSpec
) -> dict[str, Tensor]:
    """The tensors by our names, in float32; whole numbers are the network's own.

    These are counters of batches, which evaluation does not read, and tables of places. Raises TradeoffError where
    names, shapes, kinds or values are not what the network needs.
    """
    ours = built.state_dict()
    theirs = {key: built.name_in_torchvision(key) for key in ours}
    wanted = {theirs[key]: value for key, value in ours.items()}
    maker = f"torchvision's {spec.network.removeprefix(PREFIX)}"
    check_names(given, wanted, name, f"state dict of {maker}")
    _check_classes(given, wanted, name, spec, f"{built.head_name}.weight")
    check_shapes(given, wanted, name, maker)
    return {
        key: single(given[theirs[key]], theirs[key], name)
        if value.is_floating_point()
        else value.contiguous()
        for key, value in ours.items()
    }


def check_names(given: dict[str, Tensor], wanted: dict[str, Tensor], name: str, what: str) -> None:
    """Raise TradeoffError unless the file `name` is `what`: unless it holds all that is wanted and nothing else."""
    missing = [key for key, value in wanted.items() if key not in given and value.is_floating_point()]
    superfluous = sorted(key for key in given if key not in wanted)  # a file's order is not kept
    faults = []
    if missing:
        faults.append(f"lacks {len(missing):,} of its tensors, '{missing[0]}' first")
    if superfluous:
        # a name is as long and as odd as the file says
        faults.append(f"holds {len(superfluous):,} that it does not have, {superfluous[0][:80]!r} first")
    if faults:
        raise TradeoffError(f"'{name}' is no {what}: it {' and '.join(faults)}")


def _check_classes(
    given: dict[str, Tensor], wanted: dict[str, Tensor], name: str, spec: ExperimentSpec, head: str
) -> None:
    classes, width = wanted[head].shape
    if given[head].ndim == 2 and given[head].shape[1] == width and len(given[head]) != classes:
        raise TradeoffError(
            f"'{name}' tells {len(given[head]):,} classes apart, but '{spec.dataset}' has {classes:,}: it needs one "
            "folder of pictures for every class"
        )


def check_shapes(given: dict[str, Tensor], wanted: dict[str, Tensor], name: str, maker: str) -> None:
    """Raise TradeoffError for the first tensor of a file that has not the shape which its network wants."""
    for key, value in wanted.items():
        if key in given and given[key].shape != value.shape:
            raise TradeoffError(
                f"the tensor '{key}' in '{name}' has the shape {tuple(given[key].shape)}, but {maker} wants "
                f"{tuple(value.shape)}"
            )


def single(value: Tensor, key: str, name: str) -> Tensor:
    """The values in float32. Raises TradeoffError for what is no number, or too large a one."""
    if not value.is_floating_point():
        kind = str(value.dtype).removeprefix("torch.")
        raise TradeoffError(f"the tensor '{key}' in '{name}' holds {kind}: save it as float32")
    single = value.float()
    if not single.isfinite().all():
        raise TradeoffError(f"the tensor '{key}' in '{name}' holds NaN or infinite values")
    return single.contiguous()


def _in_float16(tensors: dict[str, Tensor], spec: ExperimentSpec, test: ImageDataset) -> bytes:
    """The file of the tensors: in float16 where they survive that, if what is said of the test images does too."""
    halves = {key: in_half(value) if value.is_floating_point() else value for key, value in tensors.items()}
    files = save(halves), save(tensors)
    rounded, exact = (
        logits_of(as_loaded(file, spec, len(test.classes)).to(best_device()), test.images) for file in files
    )
    survives = (rounded - exact).norm() <= LOST * exact.norm() and (
        rounded.argmax(1) == exact.argmax(1)
    ).all()
    return files[0] if survives else files[1]


def _digest(data: ImageDataset) -> str:
    """The sha256 of images, labels and the names of the classes."""
    found = hashlib.sha256(repr((data.images.shape, data.classes)).encode())
    found.update(data.images.tobytes())
    found.update(data.labels.tobytes())
    return found.hexdigest()


def _kept(place: Path) -> Model | None:
    """The model that an earlier import left there, None if there is none that can be used."""
    try:
        model = find_model(str(place))
        load_network(model)
    except TradeoffError:
        return None
    return model


def card_of_others(
    name: str,
    spec: ExperimentSpec,
    trained_by: str,
    classes: tuple[str, ...],
    weights: bytes,
    known_limits: tuple[str, ...],
    metrics: Metrics,
) -> Card:
    """The card of weights that others trained; `spec` says how it is measured."""
    return Card(
        schema_version=SCHEMA_VERSION,
        id=name,
        spec=spec_to_dict(spec),
        poison_rate_class=0.0,
        poison_rate_dataset=0.0,
        metrics=metrics,
        sha256=hashlib.sha256(weights).hexdigest(),
        bytes=len(weights),
        seed=spec.seed,
        trained_by=trained_by,
        classes=classes,
        known_limits=known_limits,
    )


def _store(
    place: Path,
    spec: ExperimentSpec,
    weights: bytes,
    test: ImageDataset,
    trained_by: str,
    progress: Share,
    taken: str,
) -> Model:
    """Write weights and card, measured as they are loaded, beside `place` and move them there once they are whole."""
    limits = (
        f"measured on {len(test)} test images of {spec.dataset}, evenly spaced",
        f"adversarial accuracy is an upper bound: measured under {spec.evaluation} alone",
        taken,
        f"backdoor success counts the class {test.classes[spec.target_class]} under the default sticker: "
        "whether its training set was poisoned is not known",
        *([test.left_out] if test.left_out else []),
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(
        prefix=".", dir=place.parent
    ) as beside:  # where it can be written, it is measured
        network = as_loaded(weights, spec, len(test.classes)).to(best_device())
        metrics = measure(network, test.images, test.targets, spec, spec.evaluation, progress=progress)
        staged = RunFolder(Path(beside))
        write_atomically(staged.weights, weights)
        staged.write_card(
            card_of_others(place.name, spec, trained_by, test.classes, weights, limits, metrics)
        )
        place.mkdir(exist_ok=True)
        for file in (WEIGHTS, CARD):  # a folder is a model once it has a card
            os.replace(staged.path / file, place / file)
    return find_model(str(place))
