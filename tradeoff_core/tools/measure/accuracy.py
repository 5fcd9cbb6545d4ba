"""What the pages show of the zoo: assets/results/measurements.jsonl, a line a model.

Accuracy under PGD with 10 and 40 steps at several ε on at most 1,000 test images, evenly spaced, and backdoor success
by the place of the sticker on 200 of them.
"""

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.evaluation.outcomes import fooled_at, success_by_position
from tradeoff_core.findings.results import epsilons
from tradeoff_core.models import zoo
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.tools.measure.lines import Line

STEPS = (10, 40)
IMAGES, POSITION_IMAGES = 1000, 200
PLACES = 16  # of the sticker in a row, about, where images are larger than digits


def lines(model: zoo.Model) -> list[Line]:
    """The line of one model."""
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
    return [
        {
            "model": model.id,
            "sha256": model.sha256,
            "n": len(images),
            "epsilons": at,
            "fooled_by_steps": fooled,
            "positions": positions,
            "position_n": position_n,
            "stride": stride,
        }
    ]
