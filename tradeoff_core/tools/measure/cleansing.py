"""Neural Cleanse on poisoned networks and on controls: assets/results/neural-cleanse-*.jsonl, a line a network.

Of a control that is not the zoo's the triggers are rebuilt, and there is nothing to unlearn. The zoo's rebuilt triggers are
kept in assets/results/triggers/.
"""

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.applied import cleanse
from tradeoff_core.defenses.neural_cleanse import rebuild_triggers
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.findings.results import save_triggers
from tradeoff_core.models.zoo import Model
from tradeoff_core.tools.measure.lines import Line
from tradeoff_core.tools.measure.networks import in_the_zoo, placed


def lines(model: Model) -> list[Line]:
    """The line of one network."""
    network = placed(model, folded=False)
    if model.spec.poison or in_the_zoo(model):
        cleansing = cleanse(network, model.spec)
        numbers = cleansing.document()
        if in_the_zoo(model):
            save_triggers(model.sha256, cleansing.triggers)
    else:
        data = load_dataset(model.spec.dataset, Split.VALIDATION)
        numbers = rebuild_triggers(network, *data.tensors(), len(data.classes)).document()
    spec = spec_to_dict(model.spec)
    return [{"run": model.spec.id, "sha256": model.sha256, **numbers, "spec": spec}]
