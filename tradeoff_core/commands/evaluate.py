"""`evaluate`: a model's three rates, on its test split or on the user's images."""

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tradeoff_core.commands.arguments import MODEL_HELP, whole
from tradeoff_core.commands.output import Answer, aligned, rate_rows
from tradeoff_core.common.console import share_bar
from tradeoff_core.common.paths import typed

if TYPE_CHECKING:
    from tradeoff_core.attacks.attack import Attack
    from tradeoff_core.datasets import ImageDataset
    from tradeoff_core.models.zoo import Model

WHAT = "measure a model's three rates"


def add(parser: argparse.ArgumentParser) -> None:
    """The model, the images, and what of the attack to change."""
    parser.description = (
        "Measure clean accuracy, adversarial accuracy and backdoor success rate. Without options this "
        "repeats the measurement on the model's card; each option changes one part of it."
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--images",
        metavar="PATH",
        type=typed,
        help="an .npz (images uint8 (N, H, W[, C]), labels) or a folder with one folder of images a class, "
        "in place of the test split",
    )
    parser.add_argument("--norm", metavar="linf|l2", help="the norm of the perturbation")
    parser.add_argument("--epsilon", metavar="E", help="its size in [0, 1] pixel units: 0.3 or 8/255")
    parser.add_argument("--steps", metavar="K", type=int, help="steps of the attack")
    parser.add_argument("--restarts", metavar="R", type=int, help="random starts tried for each example")
    parser.add_argument(
        "--targeted", action=argparse.BooleanOptionalAction, help="aim at the next class after the label"
    )
    parser.add_argument("--limit", metavar="N", type=whole(1), help="only N examples, evenly spaced")
    parser.add_argument("--seed", metavar="S", type=whole(0), default=0, help="of the random starts (0)")


def run(options: argparse.Namespace) -> Answer:
    """The three rates of one model."""
    from tradeoff_core.common.devices import best_device
    from tradeoff_core.experiments.run import measure
    from tradeoff_core.models.zoo import find_model, load_network

    started = time.perf_counter()
    model = find_model(options.model)
    attack = _changed_attack(model.spec.evaluation, options)
    network = load_network(model).to(best_device())
    data, sample = _sample(model, network.image_shape, options)
    with share_bar("attacking") as progress:
        measured = measure(network, data.images, data.targets, model.spec, attack, options.seed, progress)
    document = {
        "model": model.id,
        **measured,
        "step_size": attack.step,
        "restarts": attack.restarts,
        "targeted": attack.targeted,
        "seed": options.seed,
        "sample": sample,
        "seconds": round(time.perf_counter() - started, 2),
    }
    rows = {
        **rate_rows(measured, model.spec, attack),
        "measured on": sample,
        "seed": str(options.seed),
        "seconds": f"{document['seconds']:.1f}",
    }
    return document, f"{model.id}\n{aligned(rows)}"


def _changed_attack(attack: "Attack", options: argparse.Namespace) -> "Attack":
    """The attack with the options that were given; its step stays 2.5 ε / steps unless the spec fixes it."""
    from tradeoff_core.attacks.attack import parse_epsilon

    given = {name: getattr(options, name) for name in ("norm", "steps", "restarts", "targeted")}
    given["epsilon"] = None if options.epsilon is None else parse_epsilon(options.epsilon)
    return replace(attack, **{name: value for name, value in given.items() if value is not None})


def _sample(
    model: "Model", image_shape: tuple[int, int, int], options: argparse.Namespace
) -> tuple["ImageDataset", str]:
    """What to measure on, and how to call it."""
    from tradeoff_core.datasets import Split, load_dataset, load_images, prepare

    if options.images is not None:
        data = load_images(options.images, model.classes, image_shape)
        source = f"the {len(data):,} examples in {options.images}"
    else:
        with share_bar("decoding pictures") as progress:
            prepare(model.spec.dataset, progress, (Split.TEST,))
        data = load_dataset(model.spec.dataset, Split.TEST)
        source = f"the {len(data):,} test examples of {model.spec.dataset}"
    source += f" ({data.left_out})" if data.left_out else ""
    if options.limit is None:
        return data, source
    some = data.spread(options.limit)
    return some, f"{len(some):,}, evenly spaced, of {source}"
