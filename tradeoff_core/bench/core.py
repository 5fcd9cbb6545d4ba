"""The attack, a row of digits, and interval bounds."""

from statistics import median

import torch
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import loss_gradient, perturb, perturb_at
from tradeoff_core.bench.rows import Row, seconds
from tradeoff_core.certification.bounds import logit_bounds, margin_bounds
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.findings.results import EPSILONS
from tradeoff_core.networks.inference import BATCH

BOUNDED = ("mnist-ibp-small", "mnist-cnn")  # a network made for interval bounds, and the paper's


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


def bounds_rows(turns: int = 15, counts: tuple[int, ...] = (100, BATCH)) -> list[Row]:
    """Interval bounds against a plain forward pass of the same batch, in turns."""
    return [bounds_row(name, count, turns) for name in BOUNDED for count in counts]


def bounds_row(name: str, count: int, turns: int) -> Row:
    """The slower of the bounds of the margins and those of the logits, on so many digits."""
    network, (images, labels) = networks.freeze(networks.build(name, 1.0, 0)), digits(count)
    bounds = {
        "margins": lambda: margin_bounds(network, images, labels, 0.1),
        "logits": lambda: logit_bounds(network, images, 0.1),
    }
    ratios: dict[str, list[float]] = {what: [] for what in bounds}
    for turn in range(turns + 1):
        for what, bound in bounds.items():
            ratio = seconds(bound) / seconds(lambda: network(images))
            if turn:  # the first calls also allocate
                ratios[what].append(ratio)
    middle = {what: median(all_of_them) for what, all_of_them in ratios.items()}
    note = ", ".join(f"{what} {ratio:.2f}" for what, ratio in middle.items())
    title = f"interval bounds of {name}, {count} digits / a forward pass"
    return Row(title, max(middle.values()), 4, "x", note=f"{note}; medians of {turns} turns")
