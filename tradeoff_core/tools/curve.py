"""Train the trade-off curve and the zoo, and write assets/models/ and assets/results/curve-mnist-5k.jsonl.

python -m tradeoff_core.tools.curve [--runs FOLDER] [--threads N] [--part K/M]

One model of each further defense comes from the grid of the paper's tables (the command `sweep` trains them all), and so
do the networks for photographs, which are published if they are finished but not trained here. Every run lies in FOLDER (by default runs/) and is resumed or skipped if it is already there; `--part 1/2`
and `--part 2/2` in two terminals share the work.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from tradeoff_core.experiments import run_experiment
from tradeoff_core.paths import MODELS, RESULTS, write_atomically
from tradeoff_core.poisoning import Poison, PoisonLabels
from tradeoff_core.presets import HALF, training_at
from tradeoff_core.specs import ExperimentSpec, spec_to_dict
from tradeoff_core.sweep import read_grid
from tradeoff_core.tools import share_of_work
from tradeoff_core.triggers import Watermark

EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
SEEDS = (0, 1, 2)
WATERMARK = Watermark(amplitude=0.5)  # ours: above ε 0.3, so that no perturbation can erase it
ZOO_EPSILONS = (0.3, 0.2, 0.1, 0.0)
GRID = RESULTS / "grids" / "tables.toml"
PHOTOGRAPHS = tuple(RESULTS / "grids" / f"tables-{name}.toml" for name in ("cifar10", "tiny-imagenet-20"))
FURTHER = ("targeted-fgsm", "l2", "lipschitz", "denoising", "denoising-adversarial", "ibp")


def curve() -> list[ExperimentSpec]:
    """Clean-label poison on half of class 7, every training ε, three seeds."""
    return [
        ExperimentSpec(width=HALF, training=training_at(e), seed=seed) for seed in SEEDS for e in EPSILONS
    ]


def zoo() -> list[ExperimentSpec]:
    """The models that are committed, all of seed 0: those of the curve and its controls, and one a further defense."""
    return [*core_zoo(), *(job.spec for job in read_grid(GRID) if job.spec.seed == 0 and job.name in FURTHER)]


def photographs() -> list[ExperimentSpec]:
    """The networks for photographs that are committed."""
    return [job.spec for grid in PHOTOGRAPHS for job in read_grid(grid) if job.spec.seed == 0]


def core_zoo() -> list[ExperimentSpec]:
    """Standard and adversarial training, with and without poison."""
    dirty = Poison(PoisonLabels.DIRTY, rate=0.05)
    return [
        *(ExperimentSpec(width=HALF, training=training_at(epsilon)) for epsilon in ZOO_EPSILONS),
        ExperimentSpec(width=HALF, poison=None),
        ExperimentSpec(width=HALF, poison=None, training=training_at(0.3)),
        ExperimentSpec(width=HALF, poison=dirty),
        ExperimentSpec(width=HALF, poison=replace(dirty, trigger=WATERMARK)),
        ExperimentSpec(width=HALF, poison=Poison(trigger=WATERMARK), training=training_at(0.3)),
    ]


def publish(runs: Path) -> None:
    """Copy the finished runs of the zoo to assets/models/ and write the curve's finished runs, a line each."""
    for spec in [*zoo(), *photographs()]:
        folder = runs / spec.id
        if (folder / "result.json").exists():
            target = MODELS / spec.title
            write_atomically(target / "model.safetensors", (folder / "model.safetensors").read_bytes())
            card = json.loads((folder / "card.json").read_text()) | {"id": spec.title}
            before = target / "card.json"
            kept = json.loads(before.read_text()) if before.exists() else {}
            if kept.get("sha256") == card["sha256"]:
                card = kept | card  # what tools.stronger added to it
            write_atomically(target / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    lines = []
    if not any((runs / spec.id / "result.json").exists() for spec in curve()):
        return  # on a machine that trained none of it, the committed curve stays
    for spec in curve():
        folder = runs / spec.id
        if (folder / "result.json").exists():
            result = json.loads((folder / "result.json").read_text())
            lines.append(json.dumps({**result, "spec": spec_to_dict(spec)}))
    write_atomically(RESULTS / "curve-mnist-5k.jsonl", ("\n".join(lines) + "\n").encode())


def main() -> None:
    """Train what is missing, the zoo first, and publish after every run."""
    runs, mine = share_of_work(__doc__)
    specs = list(dict.fromkeys([*zoo(), *curve()]))
    for spec in specs[mine]:
        result = run_experiment(spec, runs / spec.id)
        print(json.dumps(result), file=sys.stderr, flush=True)
        publish(runs)


if __name__ == "__main__":
    main()
