"""The attack, a row of digits, and the training of the fast preset."""

import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks import Attack, loss_gradient, perturb, perturb_at
from tradeoff_core.bench.rows import Row, seconds
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments import PRESETS, ExperimentSpec, run_experiment
from tradeoff_core.results import EPSILONS


def digits(count: int) -> tuple[Tensor, Tensor]:
    """The first test digits, (count, 1, 28, 28) in [0, 1], and their labels."""
    return load_dataset("mnist-5k", Split.TEST).take(slice(count)).tensors()


def fresh_network(seed: int) -> networks.Network:
    """A network as the presets train it, but untrained: weights do not change its speed."""
    spec = PRESETS["fast"]
    return networks.freeze(networks.build(spec.network, spec.width, seed))


def attack_overhead(repetitions: int = 11, count: int = 100) -> Row:
    """PGD-10 against ten bare forward-backward passes on the same batch, taken in turns."""
    network, (images, labels) = fresh_network(0), digits(count)
    attack = Attack(steps=10)

    def bare_passes() -> None:
        for _ in range(attack.steps):
            loss_gradient(network, images, labels)

    def pgd() -> None:
        perturb(network, images, labels, attack, torch.Generator().manual_seed(0))

    pgd()  # the first calls also allocate
    bare_passes()
    ratios = [seconds(pgd) / seconds(bare_passes) for _ in range(repetitions)]
    name = f"PGD-10 on {count} digits / 10 forward-backward passes"
    return Row(name, median(ratios), 1.15, "x", note=f"median of {repetitions} turns")


def digit_row(repetitions: int = 3, count: int = 9) -> Row:
    """The Perturbations page's row: digits attacked at every ε in one batch, on two networks."""
    pair, (images, labels) = [fresh_network(seed) for seed in (0, 1)], digits(count)
    attack = Attack(steps=10)

    def draw() -> None:
        for network in pair:
            perturb_at(network, images, labels, attack, EPSILONS, torch.Generator().manual_seed(0))

    draw()
    times = [seconds(draw) for _ in range(repetitions)]
    name = f"{count} digits x {len(EPSILONS)} ε, PGD-10, two networks"
    return Row(name, median(times), 0.5, "s", note=f"median of {repetitions} times")


def training_rows(spec: ExperimentSpec) -> list[Row]:
    """One run of the spec in a temporary folder: its minutes and its three rates."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        rates = run_experiment(spec, Path(folder))["metrics"]
        minutes = (time.perf_counter() - started) / 60
    return [
        Row("fast preset, trained and measured", minutes, 4, "min"),
        Row("fast preset, clean accuracy", rates["clean_accuracy"], 0.95, "", at_least=True),
        Row("fast preset, adversarial accuracy", rates["adversarial_accuracy"], 0.55, "", at_least=True),
        Row("fast preset, backdoor success rate", rates["backdoor_success_rate"], 0.85, "", at_least=True),
    ]
