"""Measure what the pages show of the zoo, and write assets/results/measurements.jsonl, a line a model.

python -m tradeoff_core.tools.measure [--threads N] [MODEL ...]

Accuracy under PGD with 10 and 40 steps at several ε on at most 1,000 test images, evenly spaced, and backdoor success
by the place of the sticker on 200 of them. A model whose weights were measured already is skipped.
"""

import sys

from tradeoff_core import zoo
from tradeoff_core.attacks import Attack
from tradeoff_core.datasets import Split, available, load_dataset
from tradeoff_core.evaluation import fooled_at, success_by_position
from tradeoff_core.results import epsilons, lines_of
from tradeoff_core.tools import named_models
from tradeoff_core.tools.defenses import write
from tradeoff_core.triggers import Sticker

FILE = "measurements.jsonl"
STEPS = (10, 40)
IMAGES, POSITION_IMAGES = 1000, 200
PLACES = 16  # of the sticker in a row, about, where images are larger than digits


def measure(model: zoo.Model) -> dict[str, object]:
    """The document of one model."""
    network = zoo.load_network(model)
    data = load_dataset(model.spec.dataset, Split.TEST).spread(IMAGES)
    images, labels = data.tensors()
    trigger, at, stride = model.spec.trigger, epsilons(images.shape[1]), max(1, images.shape[2] // PLACES)
    stride = stride if images.shape[1] > 1 else 1
    fooled = {
        steps: fooled_at(network, images, labels, Attack(epsilon=at[-1], steps=steps), at).sum(1).tolist()
        for steps in STEPS
    }
    positions: list[list[float | None]] = []
    position_n = 0
    if isinstance(trigger, Sticker):
        success, position_n = success_by_position(
            network, data.spread(POSITION_IMAGES).tensors()[0], trigger, model.spec.target_class, stride
        )
        positions = [
            [None if value != value else value for value in row] for row in success.round(4).tolist()
        ]
    return {
        "model": model.id,
        "sha256": model.sha256,
        "n": len(images),
        "epsilons": at,
        "fooled_by_steps": fooled,
        "positions": positions,
        "position_n": position_n,
        "stride": stride,
    }


def main() -> None:
    """Measure every model of the zoo (or those named) that has no line yet, if its test images are here, not a sample."""
    names = named_models(__doc__)
    models = [model for name in zoo.model_ids() if not (model := zoo.find_model(name)).trained_elsewhere]
    done = {line["sha256"]: line for line in lines_of(FILE)}
    for model in models:
        if model.sha256 not in done and (not names or model.id in names) and available(model.spec.dataset):
            done[model.sha256] = measure(model)
            write(FILE, [done[one.sha256] for one in models if one.sha256 in done])
            print(model.id, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
