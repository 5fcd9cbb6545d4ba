"""The paper's own weights: a TensorFlow 1 checkpoint of its authors' code becomes a model like those of the zoo.

TensorFlow is needed to read it, and for nothing else. Variables are found by the names that the authors' graphs give them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from tradeoff_core import networks
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import Share, Split, load_dataset, prepare
from tradeoff_core.datasets.base import between
from tradeoff_core.experiments.run import check_fit
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.models.imported import MAX_BYTES, check_names, check_shapes, measured_model, single
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import Network
from tradeoff_core.networks.imagenet import BODY
from tradeoff_core.networks.residual import UNITS

PHOTOGRAPHS = Attack(epsilon=8 / 255, steps=20)
BACKGROUND = 1  # output of ImageNet's networks in TensorFlow comes before the classes
KEPT_BESIDE = {
    "global_step",
    "lr",
    "beta1_power",
    "beta2_power",
    "Momentum",
    "Adam",
    "Adam_1",
}  # by optimisers
FILES = (".index", ".meta", ".data-00000-of-00001")  # of one checkpoint, which is named without these


@dataclass(frozen=True, slots=True)
class Layout:
    """How the authors' code lays a network out: ours that computes the same, and what it is measured on."""

    network: str
    dataset: str
    evaluation: Attack


LAYOUTS = {
    "mnist-cnn": Layout("mnist-cnn", "mnist-5k", Attack()),
    "cifar-resnet": Layout("authors-cifar-resnet", "cifar10", PHOTOGRAPHS),
    "resnet-18": Layout("authors-resnet-18", "imagenet", PHOTOGRAPHS),
    "resnet-50": Layout("authors-resnet-50", "imagenet", PHOTOGRAPHS),
}


def import_checkpoint(
    checkpoint: Path, network: str, data: str | None, out: Path, *, progress: Share | None = None
) -> Model:
    """The model in `out/<its id>/` of a checkpoint, given with or without the ending of one of its files.

    `network` is a key of LAYOUTS, `data` a data set's name or a folder of pictures, whose classes the outputs count in their
    order; None takes the layout's own. Raises TradeoffError, in one sentence, for whatever does not fit, and without TensorFlow.
    """
    layout, tell = LAYOUTS[network], progress or (lambda _: None)
    place = _place(checkpoint)
    reader = _reader(place)
    spec = ExperimentSpec(
        dataset=data or layout.dataset, network=layout.network, poison=None, evaluation=layout.evaluation
    )
    load_dataset.cache_clear()  # the pictures may have changed since they were read
    prepare(spec.dataset, between(tell, 0, 0.2), (Split.TEST,))
    test = load_dataset(spec.dataset, Split.TEST)
    tensors = _tensors(reader, place.name, network, spec.dataset, len(test.classes))
    check_fit(networks.build(spec.network, spec.width, spec.seed, len(test.classes)), test)
    taken = f"its outputs are taken to be the classes of {spec.dataset} in their order"
    if spec.dataset == "mnist-5k":
        taken += ", whose digits may be among the 60,000 that the authors trained on: --data mnist has others"
    return measured_model(
        spec,
        tensors,
        test,
        [sha256(save(tensors)).hexdigest()],
        out,
        f"the authors' code: {place.name}",
        taken,
        between(tell, 0.2, 1),
        exact=True,
    )


def _place(checkpoint: Path) -> Path:
    """The name that all files of a checkpoint begin with. Raises TradeoffError if there is none, or too much of it."""
    ending = next((ending for ending in FILES if checkpoint.name.endswith(ending)), "")
    place = checkpoint.with_name(checkpoint.name.removesuffix(ending)) if ending else checkpoint
    index, *_, values = (Path(f"{place}{ending}") for ending in FILES)
    for file in (index, values):
        try:
            size = file.stat().st_size
        except (OSError, ValueError):
            hint = " and give the checkpoint in it, as FOLDER/model.ckpt-1000" if place.is_dir() else ""
            raise TradeoffError(
                f"there is no checkpoint '{place}': it lacks its file '{file.name}'{hint}"
            ) from None
        if size > MAX_BYTES:
            raise TradeoffError(f"'{file.name}' has {size:,} bytes: choose at most {MAX_BYTES:,}")
    return place


def _reader(place: Path) -> Any:
    """TensorFlow's reader of a checkpoint. Raises TradeoffError without TensorFlow, and for what it cannot read."""
    try:
        import tensorflow
    except ImportError:
        raise TradeoffError('a checkpoint is read with TensorFlow: pip install ".[tensorflow]"') from None
    try:
        return tensorflow.train.load_checkpoint(str(place))
    except Exception:  # TensorFlow's are of many kinds
        raise TradeoffError(f"'{place.name}' is a damaged or truncated checkpoint: get it anew") from None


def _tensors(reader: Any, name: str, network: str, dataset: str, classes: int) -> dict[str, Tensor]:
    """The values by our names, for as many outputs as there are classes; what is not read is the network's own."""
    maker, shapes = f"the authors' {network}", reader.get_variable_to_shape_map()
    with torch.device("meta"):
        shell = networks.build(LAYOUTS[network].network, 1.0, 0, classes)
    theirs = names_in_checkpoint(shell)
    head = theirs["head.bias"]
    scope = _scope(shapes, head, name, maker)
    given = {
        key.removeprefix(scope): torch.empty(shape, device="meta")
        for key, shape in shapes.items()
        if key.startswith(scope) and key.rpartition("/")[2] not in KEPT_BESIDE
    }
    wanted = {theirs[key]: _as_theirs(value) for key, value in shell.state_dict().items() if key in theirs}
    check_names(given, wanted, name, f"checkpoint of {maker}")
    outputs = given[head].numel()
    background = BACKGROUND if network.startswith("resnet") and outputs == classes + BACKGROUND else 0
    if outputs != classes + background:
        raise TradeoffError(f"'{name}' tells {outputs:,} classes apart, but '{dataset}' has {classes:,}")
    width = shell.head.in_features
    wanted |= {
        theirs["head.weight"]: torch.empty(width, outputs, device="meta"),
        head: torch.empty(outputs, device="meta"),
    }
    check_shapes(given, wanted, name, maker)
    own = networks.build(LAYOUTS[network].network, 1.0, 0, classes).state_dict()
    read = {
        key: _as_ours(_value(reader, scope + theirs[key], name), key, network) for key in own if key in theirs
    }
    for key in ("head.weight", "head.bias"):
        read[key] = read[key][background:].contiguous()
    return {key: value.contiguous() for key, value in (own | read).items()}


def _scope(shapes: dict[str, list[int]], head: str, name: str, maker: str) -> str:
    """What the names of all variables of the network begin with: the authors name a scope for each experiment."""
    scopes = sorted(key.removesuffix(head) for key in shapes if f"/{key}".endswith(f"/{head}"))
    if not scopes:
        raise TradeoffError(f"'{name}' is no checkpoint of {maker}: it has no variable '{head}'")
    if len(scopes) > 1:
        raise TradeoffError(f"'{name}' holds {len(scopes)} networks, '{scopes[0]}' first: save one alone")
    return scopes[0]


def _value(reader: Any, key: str, name: str) -> Tensor:
    """A variable in float32. Raises TradeoffError for what is damaged, is no number or too large a one."""
    try:
        value = reader.get_tensor(key)
    except Exception:  # TensorFlow's are of many kinds
        raise TradeoffError(f"'{name}' is a damaged or truncated checkpoint: get it anew") from None
    if value.dtype.kind not in "fiu":
        raise TradeoffError(f"the variable '{key}' in '{name}' holds {value.dtype}: save it as float32")
    return single(torch.from_numpy(value), key, name)


def names_in_checkpoint(network: Network) -> dict[str, str]:
    """Our name of each tensor that a checkpoint holds -> the authors', without its scope."""
    if isinstance(network, networks.MnistCNN):
        stages = {"stages.conv1.0": "conv1", "stages.conv2.0": "conv2", "stages.penultimate.1": "dense1"}
        pairs = [(f"{ours}.{part}", f"{theirs}/{part}") for ours, theirs in stages.items() for part in PARTS]
        names = dict(pairs) | {f"head.{part}": f"logit/{part}" for part in PARTS}
        return {ours: theirs.replace("/weight", "/kernel") for ours, theirs in names.items()}
    if isinstance(network, networks.CifarResNet):
        return dict(_of_cifar_resnet())
    return dict(_of_imagenet_resnet(network))


PARTS = ("weight", "bias")
NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def _norm(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{ours}.{part}", f"{theirs}/{name}") for part, name in NORM.items())


def _of_cifar_resnet() -> Iterator[tuple[str, str]]:
    """As the "resnet_model" of Madry et al. names them; a convolution's kernel is DW."""
    yield "stages.stem.1.weight", "input/init_conv/DW"
    for stage in range(1, 4):
        for unit in range(UNITS):
            ours, theirs = f"stages.stage{stage}-unit{unit + 1}", f"unit_{stage}_{unit}"
            first = "residual_only_activation" if stage + unit > 1 else "shared_activation"
            yield from _norm(f"{ours}.norm1", f"{theirs}/{first}/BatchNorm")
            yield f"{ours}.conv1.weight", f"{theirs}/sub1/conv1/DW"
            yield from _norm(f"{ours}.norm2", f"{theirs}/sub2/BatchNorm")
            yield f"{ours}.conv2.weight", f"{theirs}/sub2/conv2/DW"
    yield from _norm("stages.penultimate.0", "unit_last/BatchNorm")
    yield "head.weight", "logit/DW"
    yield "head.bias", "logit/biases"


def _of_imagenet_resnet(network: Network) -> Iterator[tuple[str, str]]:
    """As TensorFlow's official ResNet counts its layers in the order in which it builds them: a projection comes first."""
    body = network.stages["penultimate"]
    assert isinstance(body, nn.Sequential)
    pairs = [("conv1", "bn1")]
    for layer in range(1, 5):
        for unit, part in body[1].get_submodule(f"layer{layer}").named_children():
            within = [("downsample.0", "downsample.1")] if part.downsample is not None else []
            within += [(f"conv{n}", f"bn{n}") for n in (1, 2, 3) if hasattr(part, f"conv{n}")]
            pairs += [(f"layer{layer}.{unit}.{a}", f"layer{layer}.{unit}.{b}") for a, b in within]
    for number, (convolution, norm) in enumerate(pairs):
        ending = f"_{number}" if number else ""
        yield f"{BODY}{convolution}.weight", f"conv2d{ending}/kernel"
        yield from _norm(f"{BODY}{norm}", f"batch_normalization{ending}")
    yield "head.weight", "dense/kernel"
    yield "head.bias", "dense/bias"


def _as_theirs(value: Tensor) -> Tensor:
    """A kernel (outputs, inputs, H, W) as TensorFlow lays it out, (H, W, inputs, outputs); a matrix transposed."""
    return value.permute(2, 3, 1, 0) if value.ndim == 4 else value.t() if value.ndim == 2 else value


def _as_ours(value: Tensor, key: str, network: str) -> Tensor:
    """The other way; the digits' dense layer reads channels first here and last there."""
    if network == "mnist-cnn" and key == "stages.penultimate.1.weight":
        return value.view(7, 7, -1, value.shape[1]).permute(3, 2, 0, 1).flatten(1)
    return value.permute(3, 2, 0, 1) if value.ndim == 4 else value.t() if value.ndim == 2 else value
