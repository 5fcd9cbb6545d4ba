"""Run Neural Cleanse on poisoned networks and on controls, and write assets/results/neural-cleanse-mnist-5k.jsonl.

python -m tradeoff_core.tools.cleanse [--runs FOLDER] [--threads N] [--part K/M]

The zoo, sticker and watermark at the largest poison rate with three seeds each, and networks without poison as
the control: those that are not in the zoo only have their triggers rebuilt. Lines that are there already are
kept; networks of FOLDER that are missing are trained first. The zoo's rebuilt triggers go to
assets/results/triggers/.
"""

import json
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock

from tradeoff_core import zoo
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.models import cleanse
from tradeoff_core.defenses.neural_cleanse import rebuild_triggers
from tradeoff_core.experiments import run_experiment
from tradeoff_core.paths import RESULTS, write_atomically
from tradeoff_core.poisoning import Poison, PoisonLabels
from tradeoff_core.presets import HALF, training_at
from tradeoff_core.results import save_triggers
from tradeoff_core.specs import ExperimentSpec, spec_to_dict
from tradeoff_core.tools import curve, share_of_work
from tradeoff_core.tools.defenses import RATES, condition

CONTROL_SEEDS = {0.0: range(6), 0.3: curve.SEEDS}  # of standard and of adversarially trained networks


def watermarked(labels: PoisonLabels, seed: int) -> ExperimentSpec:
    """The watermark at the largest rate, by the recipe of that kind of poison."""
    sticker = condition(labels, RATES[0], seed)
    assert sticker.poison is not None
    poison = Poison(labels, sticker.poison.rate, trigger=curve.WATERMARK)
    return ExperimentSpec(width=HALF, poison=poison, training=sticker.training, seed=seed)


def poisoned() -> list[ExperimentSpec]:
    """The zoo's, then sticker and watermark with both kinds of poison and three seeds."""
    return list(
        dict.fromkeys(
            [
                *curve.core_zoo(),
                *(condition(labels, RATES[0], seed) for labels in PoisonLabels for seed in curve.SEEDS),
                *(watermarked(labels, seed) for labels in PoisonLabels for seed in curve.SEEDS),
            ]
        )
    )


def controls() -> list[ExperimentSpec]:
    """Networks without poison."""
    return [
        ExperimentSpec(width=HALF, poison=None, training=training_at(epsilon), seed=seed)
        for epsilon, seeds in CONTROL_SEEDS.items()
        for seed in seeds
    ]


def measure(spec: ExperimentSpec, runs: Path) -> dict[str, Any]:
    """The line of one run: everything for a poisoned or a shipped one, the index alone for other controls."""
    model = zoo.find_model(str(runs / spec.id))
    network = zoo.load_network(model, folded=False)
    line: dict[str, Any] = {"run": spec.id, "sha256": model.sha256}
    if spec in poisoned():
        cleansing = cleanse(network, spec)
        line |= cleansing.document()
        if spec in curve.core_zoo():
            save_triggers(model.sha256, cleansing.triggers)
    else:
        data = load_dataset(spec.dataset, Split.VALIDATION)
        line |= rebuild_triggers(network, *data.tensors(), len(data.classes)).document()
    return line | {"spec": spec_to_dict(spec)}


def main() -> None:
    """Train what is missing and measure what has no line yet, writing after each."""
    runs, mine = share_of_work(__doc__)
    specs = list(dict.fromkeys([*poisoned(), *controls()]))
    path = RESULTS / "neural-cleanse-mnist-5k.jsonl"
    for spec in specs[mine]:
        if spec.id in _done(path):
            continue
        run_experiment(spec, runs / spec.id)
        line = measure(spec, runs)
        with FileLock(runs / ".neural-cleanse.lock"):  # another part may write its own line
            done = _done(path) | {spec.id: json.dumps(line)}
            kept = [done[other.id] for other in specs if other.id in done]
            write_atomically(path, ("\n".join(kept) + "\n").encode())
        print(spec.id, line["anomaly_index"], file=sys.stderr, flush=True)


def _done(path: Path) -> dict[str, str]:
    """The lines that are there, by run."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {json.loads(line)["run"]: line for line in lines}


if __name__ == "__main__":
    main()
