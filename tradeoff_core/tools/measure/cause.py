"""What speaks for the paper's explanation: assets/results/cause-*.jsonl, a line a model.

The share of attribution on the sticker, the target's logit as the sticker fades in, where untargeted adversarial examples
land, and how far clean, poisoned and stamped images lie apart. See tradeoff_core/explanations/sticker_share.py.
"""

import sys

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.explanations.sticker_share import measure_cause
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.tools.measure.lines import Line


def lines(model: Model) -> list[Line]:
    """The line of one model."""
    test = load_dataset(model.spec.dataset, Split.TEST)
    found = measure_cause(
        zoo.load_network(model),
        model.spec,
        test,
        poisoned_training_set(model.spec),
        lambda what: print(model.id, what, file=sys.stderr, flush=True),
    )
    success = model.backdoor_success_rate
    return [
        {
            "model": model.id,
            "sha256": model.sha256,
            "spec": spec_to_dict(model.spec),
            "backdoor_success_rate": success.value,
            "backdoor_n": success.n,
            **found,
        }
    ]
