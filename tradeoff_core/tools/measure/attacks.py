"""The attacks of the paper's rows on a network that is trained already: assets/results/attacked-*.jsonl.

Supplement tables 2 and 3 attack the undefended network of the other tables by targeted FGSM and in l2: nothing is trained for
these rows. A line is as a sweep's.
"""

from dataclasses import replace

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.run import measure
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings.our_rows import HERE
from tradeoff_core.models.zoo import Model
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.tools.measure.lines import Line
from tradeoff_core.tools.measure.networks import placed

GRID, ROWS = "tables-imagenette-128.toml", ("standard-fgsm", "standard-l2")


def attacks() -> dict[str, Attack]:
    """The attack of each row, as the grid has it that trains the networks which are compared with this one."""
    return {
        job.name: job.spec.second_evaluation
        for job in read_grid(RESULTS / "grids" / GRID)
        if job.name in ROWS and job.spec.second_evaluation
    }


def is_undefended(model: Model) -> bool:
    """Whether it is the network without a defense of ImageNet's trade-off tables."""
    spec, poison = model.spec, model.spec.poison
    return (
        spec.dataset in HERE["imagenet"]
        and spec.training.name == "standard"
        and poison is not None
        and (poison.labels, poison.rate) == (PoisonLabels.CLEAN, 0.5)
        and isinstance(poison.trigger, Sticker)
    )


def lines(model: Model) -> list[Line]:
    """A line for each row, on all test images."""
    network, test = placed(model), load_dataset(model.spec.dataset, Split.TEST)
    return [
        {
            "name": name,
            "run": model.spec.id,
            "sha256": model.sha256,
            "metrics": model.card.metrics,
            "second_metrics": measure(network, test.images, test.targets, model.spec, attack),
            "spec": spec_to_dict(replace(model.spec, second_evaluation=attack)),
        }
        for name, attack in attacks().items()
    ]
