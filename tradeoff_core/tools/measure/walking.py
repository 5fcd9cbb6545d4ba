"""The worked example of Inspect: assets/results/worked-example-*.jsonl, what its clicks find and what retraining gives.

The run that trains anew without what the clicks remove lies in the folder of runs; it is resumed, or skipped if it is there.
"""

from tradeoff_core.common.paths import runs_folder
from tradeoff_core.defenses.applied import without
from tradeoff_core.defenses.detection import read_examples
from tradeoff_core.experiments.run import poisoned_training_set, run_experiment
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.inspection import walk
from tradeoff_core.inspection.judging import judged
from tradeoff_core.inspection.table import tabulate
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.tools.measure.detection import with_recall
from tradeoff_core.tools.measure.lines import Line
from tradeoff_core.tools.measure.networks import in_the_zoo


def applies(model: Model) -> bool:
    """Whether it is the network of the example."""
    return model.id == walk.MODEL and in_the_zoo(model)


def lines(model: Model) -> list[Line]:
    """The line of the example."""
    network, training = zoo.load_network(model), poisoned_training_set(model.spec)
    table = tabulate(
        network, read_examples(network, training, model.spec.target_class, network.layers[-1]), training
    )
    removed = walk.marked(table)
    worth = judged(removed, table.poisoned)
    spec = without(model.spec, table.index[removed])
    folder = runs_folder() / spec.id
    run_experiment(spec, folder)
    return [
        {
            "model": model.id,
            "sha256": model.sha256,
            "clicks": len(walk.CLICKS),
            "n": len(table.index),
            "n_poisoned": int(table.poisoned.sum()),
            "n_removed": int(removed.sum()),
            "precision": worth.precision.value,
            "recall": worth.recall.value,
            "before": with_recall(model),
            "after": with_recall(zoo.find_model(str(folder))),
            "spec": spec_to_dict(spec),
        }
    ]
