"""What interval bounds prove of a network: assets/results/bounds-*.jsonl, the certified accuracy at every ε, a line a network."""

import torch

from tradeoff_core.certification.bounds import certified
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.findings.results import EPSILONS
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks.inference import in_batches
from tradeoff_core.tools.measure.lines import Line
from tradeoff_core.tools.measure.networks import in_the_zoo, is_digits, placed


def applies(model: Model) -> bool:
    """Whether it was trained by interval bounds: of other networks they prove next to nothing."""
    return in_the_zoo(model) and is_digits(model) and model.spec.training.interval_bounds is not None


def lines(model: Model) -> list[Line]:
    """How many test images are certified at each ε."""
    network = placed(model)
    test = load_dataset(model.spec.dataset, Split.TEST)
    labels = torch.split(test.targets, len(next(iter(in_batches(test.images)))))
    counts = [
        sum(
            int(certified(network, images, own, epsilon).sum())
            for images, own in zip(in_batches(test.images), labels, strict=True)
        )
        for epsilon in EPSILONS
    ]
    return [
        {
            "model": model.id,
            "sha256": model.sha256,
            "epsilons": list(EPSILONS),
            "certified": counts,
            "n": len(test),
            "spec": spec_to_dict(model.spec),
        }
    ]
