"""How much of a person's time each score wastes: assets/results/reviewing-*.jsonl, a line a poisoned network.

The target class's training examples sorted by each score, most suspicious first, and by the mean of their ranks: how many a
person looks at until 90% of the poison is found, and the reviewer's curve, poison found against images looked at.
"""

import numpy as np

from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.findings import results
from tradeoff_core.inspection import judging
from tradeoff_core.inspection.table import tabulate
from tradeoff_core.models.zoo import Model
from tradeoff_core.tools.measure.detection import examples_of
from tradeoff_core.tools.measure.lines import Line
from tradeoff_core.tools.measure.networks import in_the_zoo, placed

STEPS = 100  # of the curve: what is found after each so much of the class


def applies(model: Model) -> bool:
    """Whether there is poison to find, in a network of the zoo."""
    return model.spec.poison is not None and in_the_zoo(model)


def lines(model: Model) -> list[Line]:
    """The line of one model."""
    examples, triggers = examples_of(model), results.load_triggers(model.sha256)
    table = tabulate(placed(model), examples, poisoned_training_set(model.spec), triggers)
    looks = np.linspace(0, len(table.index), STEPS + 1).round().astype(int)
    scores = {}
    for name, suspicion in table.suspicions().items():
        curve = judging.reviewers_curve(judging.in_order(suspicion), table.poisoned)
        worth = judging.worth(table.index, suspicion, table.poisoned)
        scores[name] = {key: value if value is None else round(value, 6) for key, value in worth.items()}
        scores[name]["found"] = curve[looks].tolist()
    return [
        {
            "model": model.id,
            "sha256": model.sha256,
            "layer": table.layer,
            "n": len(table.index),
            "n_poisoned": int(table.poisoned.sum()),
            "looks": looks.tolist(),
            "scores": scores,
            "spec": spec_to_dict(model.spec),
        }
    ]
