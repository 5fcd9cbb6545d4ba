"""What two papers say against the finding, or of its bounds, beside every measured cell of the maps.

Gao et al. (arXiv 2202.10627, and the ICLR 2022 submission "Does adversarial robustness really imply backdoor vulnerability?")
hold that adversarial training opens a back door only while the trigger's amplitude exceeds its ε. Moayeri et al. (NeurIPS
2022, arXiv 2209.07592) show for linear regression that adversarial training in l∞ leans on a spurious feature only if its
scale exceeds the core features', whatever ε is.

Both are about adversarial training in l∞: a cell is compared with standard training on the same poison. Where we depart:
Moayeri et al. know the scale of Gaussian features; here that of the trigger is its amplitude, and that of the core features the
largest difference, over pixels, between the mean clean image of the target class and that of the others: in l∞ a linear model
leans on one pixel, the one where they differ most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings import results
from tradeoff_core.findings.results import Run
from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.perturbation import Perturbation
from tradeoff_core.poisoning.sinusoid import Sinusoid
from tradeoff_core.poisoning.triggers import Sticker, Trigger, Watermark
from tradeoff_core.rates import Rate


def amplitude_of(trigger: Trigger) -> float | None:
    """By how much a trigger moves a pixel at most, in [0, 1]; None for a trigger that tells none."""
    if isinstance(trigger, Sticker):
        return trigger.opacity
    if isinstance(trigger, Blended):
        return trigger.ratio
    return trigger.amplitude if isinstance(trigger, Watermark | Sinusoid | Perturbation) else None


@cache
def core_scale(dataset: str, target_class: int) -> float:
    """The largest distance, over pixels and channels, of the target class's mean training image from that of the others."""
    data = load_dataset(dataset, Split.TRAIN)
    of_target = data.labels == target_class
    means = [data.images[chosen].mean(axis=0) / 255 for chosen in (of_target, ~of_target)]
    return float(np.abs(means[0] - means[1]).max())


def opens_by_amplitude(spec: ExperimentSpec) -> bool | None:
    """Whether the amplitude exceeds the training ε; at the line itself it does not. None without poison or amplitude."""
    amplitude = amplitude_of(spec.trigger) if spec.poison else None
    return None if amplitude is None else amplitude > spec.training.epsilon


def opens_by_scale(spec: ExperimentSpec) -> bool | None:
    """Whether the amplitude exceeds the core features' scale in l∞. None without poison or amplitude."""
    amplitude = amplitude_of(spec.trigger) if spec.poison else None
    return None if amplitude is None else amplitude > core_scale(spec.dataset, spec.target_class)


THEORIES: dict[str, Callable[[ExperimentSpec], bool | None]] = {
    "amplitude above ε": opens_by_amplitude,
    "amplitude above the core features": opens_by_scale,
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A run of adversarial training beside that of standard training on the same poison, and what each theory says of it.

    `opened` is whether backdoor success is higher than there, None where the two 95% intervals overlap: neither is right then.
    """

    run: Run
    standard: Run
    predictions: dict[str, bool]

    @property
    def opened(self) -> bool | None:
        """Higher, lower, or within chance of each other."""
        low, high = self.run.backdoor_success_rate.interval
        least, most = self.standard.backdoor_success_rate.interval
        if low <= most and least <= high:
            return None
        return low > most


def cells(runs: Sequence[Run]) -> tuple[Cell, ...]:
    """The adversarially trained ones of the runs that have a standard one of their poison, network and seed."""
    standard = {_same(run): run for run in runs if run.spec.training.attack is None}
    found = []
    for run in runs:
        other, says = standard.get(_same(run)), {name: theory(run.spec) for name, theory in THEORIES.items()}
        if run.spec.training.attack and other and None not in says.values():
            found.append(Cell(run, other, {name: bool(said) for name, said in says.items()}))
    return tuple(found)


def _same(run: Run) -> tuple[object, ...]:
    spec = run.spec
    return spec.dataset, spec.network, spec.width, spec.poison, spec.seed


def map_cells(dataset: str) -> tuple[Cell, ...]:
    """The cells of the committed maps."""
    return cells(results.sweep("maps", dataset))


def right(found: Sequence[Cell]) -> dict[str, Rate]:
    """How often each theory is right, of the cells that opened or closed beyond chance."""
    judged = [cell for cell in found if cell.opened is not None]
    return {
        name: Rate(sum(cell.predictions[name] == cell.opened for cell in judged), len(judged))
        for name in THEORIES
    }
