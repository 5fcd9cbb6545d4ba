"""Measure what the pages show of the zoo, and write assets/results/measurements.jsonl, a line a model.

python -m tradeoff_core.tools.measure

Accuracy under PGD with 10 and 40 steps at nine ε on the whole test split, and backdoor success by the place
of the sticker on 200 of its images. A model whose weights were measured already is skipped.
"""

import json
import sys

from tradeoff_core import zoo
from tradeoff_core.attacks import Attack
from tradeoff_core.datasets import Split, available, load_dataset
from tradeoff_core.evaluation import fooled_at, success_by_position
from tradeoff_core.paths import RESULTS, write_atomically
from tradeoff_core.results import EPSILONS
from tradeoff_core.triggers import Sticker

STEPS = (10, 40)
POSITION_IMAGES = 200


def measure(model: zoo.Model) -> dict[str, object]:
    """The document of one model."""
    network = zoo.load_network(model)
    data = load_dataset(model.spec.dataset, Split.TEST)
    images, labels = data.tensors()
    trigger = model.spec.trigger
    fooled = {
        steps: fooled_at(network, images, labels, Attack(steps=steps), EPSILONS).sum(1).tolist()
        for steps in STEPS
    }
    positions: list[list[float]] = []
    position_n = 0
    if isinstance(trigger, Sticker):
        success, position_n = success_by_position(
            network, data.spread(POSITION_IMAGES).tensors()[0], trigger, model.spec.target_class
        )
        positions = success.round(4).tolist()
    return {
        "model": model.id,
        "sha256": model.sha256,
        "n": len(images),
        "epsilons": EPSILONS,
        "fooled_by_steps": fooled,
        "positions": positions,
        "position_n": position_n,
    }


def main() -> None:
    """Measure every model of the zoo that has no line yet, and whose test images are here and not a mere sample."""
    path = RESULTS / "measurements.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    done = {json.loads(line)["sha256"]: line for line in lines}
    kept = []
    for name in zoo.model_ids():
        model = zoo.find_model(name)
        if model.sha256 not in done and (model.trained_elsewhere or not available(model.spec.dataset)):
            continue
        kept.append(done.get(model.sha256) or json.dumps(measure(model)))
        print(name, file=sys.stderr, flush=True)
        write_atomically(path, ("\n".join(kept) + "\n").encode())


if __name__ == "__main__":
    main()
