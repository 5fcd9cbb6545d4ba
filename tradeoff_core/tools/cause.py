"""Measure what speaks for the paper's explanation, for every model of the zoo: assets/results/cause-*.jsonl.

TRADEOFF_DATA=... python -m tradeoff_core.tools.cause [--threads N] [MODEL ...]

A line a model: the share of attribution on the sticker, the target's logit as the sticker fades in, where untargeted
adversarial examples land, and how far clean, poisoned and stamped images lie apart. See tradeoff_core/cause.py. A
model whose weights were measured already is skipped, as is one whose data set is not on this machine.
"""

import sys

from tradeoff_core import zoo
from tradeoff_core.cause import measure_cause
from tradeoff_core.datasets import Split, available, load_dataset
from tradeoff_core.experiments import poisoned_training_set
from tradeoff_core.results import lines_of
from tradeoff_core.specs import spec_to_dict
from tradeoff_core.tools import named_models
from tradeoff_core.tools.defenses import write
from tradeoff_core.zoo import Model


def measure(model: Model) -> dict[str, object]:
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
    return {
        "model": model.id,
        "sha256": model.sha256,
        "spec": spec_to_dict(model.spec),
        "backdoor_success_rate": success.value,
        "backdoor_n": success.n,
        **found,
    }


def main() -> None:
    """Measure every model of the zoo, or those named, that has no line yet."""
    names = named_models(__doc__)
    own = [model for name in zoo.model_ids() if not (model := zoo.find_model(name)).trained_elsewhere]
    for dataset in sorted({model.spec.dataset for model in own}):
        file, models = f"cause-{dataset}.jsonl", [model for model in own if model.spec.dataset == dataset]
        done = {line["sha256"]: line for line in lines_of(file)}
        for model in models:
            if model.sha256 not in done and (not names or model.id in names) and available(dataset):
                done[model.sha256] = measure(model)
                write(file, [done[one.sha256] for one in models if one.sha256 in done])


if __name__ == "__main__":
    main()
