"""`import`: a torchvision classifier of the user's, or a checkpoint of the paper's authors, becomes a model."""

import argparse

from tradeoff_core.commands.output import Answer, aligned, rate_rows
from tradeoff_core.common.console import share_bar
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import runs_folder, typed

WHAT = "make a model of a torchvision classifier's weights, or of the paper's own, and measure it on pictures"
# the networks of the paper's authors, whose checkpoints are read; torchvision's names have no hyphen there
OF_THE_AUTHORS = ("mnist-cnn", "cifar-resnet", "resnet-18", "resnet-50")


def add(parser: argparse.ArgumentParser) -> None:
    """The weights, what they are the weights of, the pictures, and where the model goes."""
    parser.description = (
        "Make a model of a torchvision classifier's weights, measured on up to 200 test pictures of your folder. "
        "The folder it is written to can stand wherever a model's name can. With --network "
        f"{', '.join(OF_THE_AUTHORS)} it is made of a TensorFlow 1 checkpoint of the paper's authors' code, "
        'which takes TensorFlow: pip install ".[tensorflow]".'
    )
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        type=typed,
        help="a safetensors file of model.state_dict(), written by safetensors.torch.save_file; or a checkpoint, as "
        "FOLDER/model.ckpt-1000",
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        required=True,
        help=f"its name in torchvision, as resnet18; or of the authors' networks: {', '.join(OF_THE_AUTHORS)}",
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="pictures as FOLDER/train/<class>/* and FOLDER/test/<class>/* (or val), a folder for every class; a "
        "checkpoint also takes a data set's name (mnist-5k, cifar10, imagenet, each where it fits)",
    )
    parser.add_argument(
        "--order",
        choices=["names", "numbers"],
        default="names",
        help="how the outputs count the class folders: by name as torchvision does (0, 1, 10, 2; the default), or by "
        "number as timm does (0, 1, 2, 10)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=typed,
        default=runs_folder() / "own",
        help="the models' folder (runs/own)",
    )


def run(options: argparse.Namespace) -> Answer:
    """The model's id, its folder and its three rates."""
    from tradeoff_core.datasets import DATASETS, Split, load_dataset
    from tradeoff_core.models.checkpoints import import_checkpoint
    from tradeoff_core.models.imported import Order, import_model, in_order, said_in_order

    order, data = Order(options.order), options.data
    if data is None and options.network not in OF_THE_AUTHORS:
        raise TradeoffError("--data is needed: a folder of pictures, one folder in it for every class")
    if data not in DATASETS and data is not None:
        data = str(typed(data))
    with share_bar("measuring") as progress:
        if options.network in OF_THE_AUTHORS:
            model = import_checkpoint(options.weights, options.network, data, options.out, progress=progress)
        else:
            model = import_model(
                options.weights, options.network, data, options.out, order=order, progress=progress
            )
    measured, outputs = model.card.metrics, in_order(model.classes, order)
    rows = {
        **rate_rows(measured, model.spec, model.spec.evaluation),
        "outputs": f"the class folders in the order {said_in_order(outputs)}",
        "folder": str(model.folder),
    }
    left_out = load_dataset(model.spec.dataset, Split.TEST).left_out
    if left_out:
        rows["left out"] = left_out
    document = {
        "model": model.id,
        "folder": str(model.folder),
        "metrics": measured,
        "outputs": list(outputs),
        "left_out": left_out,
    }
    return document, f"{model.id}\n{aligned(rows)}"
