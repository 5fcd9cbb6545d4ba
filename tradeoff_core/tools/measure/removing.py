"""Taking the back door out of the zoo's digits, and how few poisoned images open it again, a line a network and method.

assets/results/removal-*.jsonl has the three rates before and after each removal, assets/results/reopening-*.jsonl backdoor
success after tuning on poisoned images: of the network as it is, of its cleansed copies, and of those that were never
poisoned, with each trigger of the others, as the control. Neural Cleanse unlearns where its rebuilt triggers are kept.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.applied import measured
from tradeoff_core.defenses.neural_cleanse import unlearn
from tradeoff_core.defenses.removal.applied import Removal, cleansed, isolated_by_loss, remove
from tradeoff_core.defenses.removal.reopening import reopen
from tradeoff_core.experiments.spec import ExperimentSpec, spec_to_dict
from tradeoff_core.findings.results import load_triggers
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import Network
from tradeoff_core.poisoning.triggers import Trigger
from tradeoff_core.tools.measure.lines import Line
from tradeoff_core.tools.measure.networks import in_the_zoo, is_digits, placed

AS_IT_IS, NEURAL_CLEANSE = "none", "neural-cleanse"  # the methods that are no Removal


def is_removed(model: Model) -> bool:
    """Whether back doors are taken out of it: of the zoo's poisoned digits."""
    return is_reopened(model) and model.spec.poison is not None


def is_reopened(model: Model) -> bool:
    """Whether its back door is opened again: of the zoo's digits, those without poison as the control."""
    return in_the_zoo(model) and is_digits(model)


def removal_lines(model: Model) -> list[Line]:
    """A line for each removal."""
    network, spec = placed(model, folded=False), model.spec
    before = measured(network, spec)
    return [
        _head(model)
        | remove(network, spec, method, isolated=_isolated(network, spec, method), before=before).document()
        | {"spec": spec_to_dict(spec)}
        for method in Removal
    ]


def reopening_lines(model: Model) -> list[Line]:
    """A line for the network as it is and for each cleansed copy; of one without poison, one for each trigger."""
    network, spec = placed(model, folded=False), model.spec
    if spec.poison is None:
        curves = [(AS_IT_IS, network, trigger) for trigger in _triggers(spec.dataset)]
    else:
        curves = [(method, copy, spec.trigger) for method, copy in _copies(model, network)]
    return [
        _head(model)
        | {"method": method, "trigger": trigger.kind, **reopen(copy, spec, trigger=trigger).document()}
        | {"spec": spec_to_dict(spec)}
        for method, copy, trigger in curves
    ]


def _head(model: Model) -> Line:
    return {"model": model.id, "sha256": model.sha256}


def _isolated(network: Network, spec: ExperimentSpec, method: Removal) -> NDArray[np.int64] | None:
    return isolated_by_loss(network, spec) if method is Removal.ISOLATED else None


def _copies(model: Model, network: Network) -> Iterator[tuple[str, Network]]:
    """The network itself, and what each method makes of it."""
    spec = model.spec
    yield AS_IT_IS, network
    for method in Removal:
        yield method.value, cleansed(network, spec, method, isolated=_isolated(network, spec, method))
    if triggers := load_triggers(model.sha256):
        data = load_dataset(spec.dataset, Split.VALIDATION)
        yield (
            NEURAL_CLEANSE,
            unlearn(network, *data.tensors(), lambda images: triggers.stamp(images, triggers.suspect)),
        )


def _triggers(dataset: str) -> list[Trigger]:
    """Every trigger that a network of the zoo for this data set was poisoned with, once."""
    models = [model for name in zoo.model_ids() if is_removed(model := zoo.find_model(name))]
    return list(dict.fromkeys(model.spec.trigger for model in models if model.spec.dataset == dataset))
