"""`import`: a torchvision classifier of the user's becomes a model that every command takes."""

import argparse
from pathlib import Path

from tradeoff_core.commands.output import Answer, aligned, rate_rows, share_bar
from tradeoff_core.paths import runs_folder

WHAT = "make a model of a torchvision classifier's weights, and measure it on your pictures"


def add(parser: argparse.ArgumentParser) -> None:
    """The weights, what they are the weights of, the pictures, and where the model goes."""
    parser.description = (
        "Make a model of a torchvision classifier's weights, measured on up to 200 test pictures of your folder. "
        "The folder it is written to can stand wherever a model's name can."
    )
    parser.add_argument(
        "weights",
        metavar="WEIGHTS",
        type=Path,
        help="a safetensors file of model.state_dict(), written by safetensors.torch.save_file",
    )
    parser.add_argument(
        "--network", metavar="NAME", required=True, help="its name in torchvision, as resnet18"
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        required=True,
        help="pictures as FOLDER/train/<class>/* and FOLDER/test/<class>/* (or val), a folder for every class",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, default=runs_folder() / "own", help="the models' folder (runs/own)"
    )


def run(options: argparse.Namespace) -> Answer:
    """The model's id, its folder and its three rates."""
    from tradeoff_core.own_models import import_model

    with share_bar("measuring") as progress:
        model = import_model(options.weights, options.network, options.data, options.out, progress=progress)
    measured = model.card["metrics"]
    rows = {**rate_rows(measured, model.spec, model.spec.evaluation), "folder": str(model.folder)}
    document = {"model": model.id, "folder": str(model.folder), "metrics": measured}
    return document, f"{model.id}\n{aligned(rows)}"
