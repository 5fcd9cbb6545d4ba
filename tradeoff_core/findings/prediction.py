"""How far a back door will open, before anything is trained: a fit of backdoor success over the measured cells of the digits.

A cell is what decides it: the trigger's amplitude, that less the training ε, its size, the poison rate, the target class and
the labels and training; its seeds are its runs. The fit is a Gaussian process on the arcsine of the root of backdoor success,
so that its ends are as far apart as they are for counting; one length for all of what decides, found by likelihood. The
interval is the process's, widened until it holds 90% of the runs of cells that it was not fitted on.

The kind of fit and what the numbers weigh beside each other were chosen among some twenty by the error on cells left out, on
these same cells: on new ones it may be somewhat further off than `held_out` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.attacks.attack import Norm
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings import first_draws, results
from tradeoff_core.findings.results import Run
from tradeoff_core.poisoning.triggers import Sticker, Watermark

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

Floats = NDArray[np.float64]
DATASET = "mnist-5k"
SWEEPS = ("maps", "curve", "poison-rate", "target-class", "tables", "beyond")
SHIPPED = "prediction"  # the name of the file of what was fitted
FEWEST = 5  # cells of a kind from which it is fitted
FOLDS = 10
COVERED = 0.9
CLASSES = 10
WHOLE = 28  # the side of what covers the image, in pixels
# what a step of each number is worth beside a step of the others, as they are listed in `_numbers`
SCALES = np.array([0.5, 0.2, 1.5, 1.5, 0.2, 1.0, 1.0, 0.5] + [1.0] * CLASSES)


@dataclass(frozen=True, slots=True)
class Prediction:
    """Backdoor success in [0, 1] with its 90% interval for one run, and how many cells and runs of its kind it rests on."""

    estimate: float
    low: float
    high: float
    cells: int
    runs: int


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What the fit says of runs whose cells it was not fitted on: how far off it is on average, and how many intervals hold.

    `error` is the mean over `runs` of the absolute error, in [0, 1]; `covered` of their intervals were right.
    """

    error: float
    covered: int
    runs: int
    cells: int


def kind(spec: ExperimentSpec) -> str | None:
    """Labels, trigger and training of a spec, as far as they are no numbers; None for what no cell can be of.

    That is another data set, no poison, a trigger but a white sticker or stripes, and a training with anything special.
    """
    poison, training = spec.poison, spec.training
    if poison is None or spec.dataset != DATASET or spec.network != "mnist-cnn":
        return None
    if spec.fine_tuning or spec.removed or spec.start or spec.images is not None or poison.first:
        return None
    special = training.trades, training.lipschitz, training.lipschitz_squared, training.interval_bounds
    if any(special) or training.augmentation or training.weight_decay or training.momentum:
        return None
    trigger, attack = poison.trigger, training.attack
    if not isinstance(trigger, Sticker | Watermark) or poison.target_class >= CLASSES:
        return None
    if trigger.pattern not in ("white-square", "stripes"):
        return None
    if attack and (attack.norm is not Norm.LINF or attack.targeted or attack.patch or attack.steps == 1):
        return None
    return f"{poison.labels.value} {trigger.kind}, {'adversarial' if attack else 'standard'} training"


def _numbers(spec: ExperimentSpec) -> Floats:
    """A spec that has a kind as the numbers of its cell."""
    poison, epsilon = spec.poison, spec.training.epsilon
    assert poison is not None
    trigger = poison.trigger
    assert isinstance(trigger, Sticker | Watermark)
    amplitude, size = (
        (trigger.opacity, trigger.size) if isinstance(trigger, Sticker) else (trigger.amplitude, WHOLE)
    )
    target = np.eye(CLASSES)[poison.target_class]
    flags = [isinstance(trigger, Watermark), spec.training.attack is not None, spec.width]
    return np.array(
        [amplitude, amplitude - epsilon, np.log2(size), np.log2(poison.rate), epsilon, *flags, *target]
    )


def measured_runs() -> tuple[Run, ...]:
    """The measured runs that are fitted, each once: those of a kind that has enough cells."""
    every = {run.name: run for name in SWEEPS for run in results.sweep(name, DATASET) if kind(run.spec)}
    runs = tuple(every.values())
    cells: dict[str | None, set[bytes]] = {}
    for run in runs:
        cells.setdefault(kind(run.spec), set()).add(_numbers(run.spec).tobytes())
    return tuple(run for run in runs if len(cells[kind(run.spec)]) >= FEWEST)


def cells_of(runs: Sequence[Run]) -> NDArray[np.int64]:
    """The number (N,) of each run's cell: equal for runs that differ in what does not decide, as in their seeds."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(_numbers(run.spec).round(9).tobytes(), len(known)) for run in runs])


@dataclass(frozen=True, slots=True)
class _Fit:
    process: "GaussianProcessRegressor"
    widened: float  # the interval's half width in standard deviations

    def of(self, numbers: Floats) -> tuple[Floats, Floats, Floats]:
        """Estimate, low and high (N,) in [0, 1] of cells (N, D)."""
        mean, deviation = _said(self.process, numbers)
        half = self.widened * deviation
        return _shares(mean), _shares(mean - half), _shares(mean + half)


def _said(process: "GaussianProcessRegressor", numbers: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation (N,) of one run in cells (N, D), as the process has them: arcsines."""
    mean, deviation = process.predict(numbers / SCALES, return_std=True)
    return mean, deviation


def _shares(arcsines: Floats) -> Floats:
    shares: Floats = np.sin(np.clip(arcsines, 0, np.pi / 2)) ** 2
    return shares


def _process(numbers: Floats, success: Floats, theta: Floats | None = None) -> "GaussianProcessRegressor":
    """The process fitted to runs (N, D); with `theta`, the logarithms of its length and its noise, these are not sought."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern, WhiteKernel

    kernel = Matern(1.5, (0.5, 10.0), nu=2.5) + WhiteKernel(0.02, (1e-3, 0.5))
    if theta is not None:
        kernel = kernel.clone_with_theta(theta)
    process = GaussianProcessRegressor(
        kernel, normalize_y=True, optimizer="fmin_l_bfgs_b" if theta is None else None
    )
    process.fit(numbers / SCALES, np.arcsin(np.sqrt(success)))
    return process


def _folds(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fold (N,) of each run, drawn by cells: all runs of a cell are in one."""
    names = np.unique(cells)
    drawn = np.random.default_rng(0).permutation(len(names)) % FOLDS
    return drawn[np.searchsorted(names, cells)]


def _fit(numbers: Floats, success: Floats, cells: NDArray[np.int64], theta: Floats | None = None) -> _Fit:
    """The fit to runs (N, D), and how far its interval must be widened: by runs of cells left out."""
    folds, off = _folds(cells), np.empty(len(success))
    for fold in np.unique(folds):
        out = folds == fold
        mean, deviation = _said(_process(numbers[~out], success[~out], theta), numbers[out])
        off[out] = np.abs(np.arcsin(np.sqrt(success[out])) - mean) / deviation
    rank = min(
        len(off) - 1, int(np.ceil(COVERED * (len(off) + 1))) - 1
    )  # as split conformal prediction takes it
    return _Fit(_process(numbers, success, theta), float(np.sort(off)[rank]))


@cache
def _fitted() -> tuple[_Fit, dict[str, tuple[int, int]]]:
    """The fit to all measured runs, and the cells and runs of each kind."""
    runs = measured_runs()
    numbers, success, cells = _table(runs)
    known = _known(numbers, success, cells)
    fit = (
        _fit(numbers, success, cells)
        if known is None
        else _Fit(_process(numbers, success, known[:-1]), float(known[-1]))
    )
    kinds = np.array([kind(run.spec) for run in runs])
    counts = {
        str(name): (len(np.unique(cells[kinds == name])), int((kinds == name).sum()))
        for name in np.unique(kinds)
    }
    return fit, counts


def shipped() -> dict[str, Floats]:
    """What takes seconds to fit, by all that decides it: the process's length and noise, and how far its interval is widened."""
    numbers, success, cells = _table(measured_runs())
    fit = _fit(numbers, success, cells)
    return {first_draws.key_of(numbers, success, cells): np.array([*fit.process.kernel_.theta, fit.widened])}


def _table(runs: Sequence[Run]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    numbers = np.stack([_numbers(run.spec) for run in runs])
    return numbers, np.array([run.backdoor_success_rate.value for run in runs]), cells_of(runs)


def predicted(spec: ExperimentSpec) -> Prediction | None:
    """What backdoor success a run of this spec will have; None for a kind that it was not fitted on.

    The first call takes seconds where the fit to these very runs is not shipped.
    """
    fit, counts = _fitted()
    of = kind(spec)
    if of not in counts:
        return None
    estimate, low, high = (float(part[0]) for part in fit.of(_numbers(spec)[None]))
    return Prediction(estimate, low, high, *counts[of])


def _known(numbers: Floats, success: Floats, cells: NDArray[np.int64]) -> Floats | None:
    """What is shipped of the fit to these very runs."""
    return first_draws.load(SHIPPED).get(first_draws.key_of(numbers, success, cells))


def held_out() -> HeldOut:
    """How well the fit does on cells that neither it nor its interval's width was fitted on, each cell once, in FOLDS parts.

    The process's length and noise, two numbers, are those of all cells where they are shipped: sought anew for each part
    they take minutes.
    """
    runs = measured_runs()
    numbers, success, cells = _table(runs)
    known = _known(numbers, success, cells)
    theta = None if known is None else known[:-1]
    folds, errors, covered = _folds(cells), np.empty(len(runs)), np.empty(len(runs), dtype=bool)
    for fold in np.unique(folds):
        out = folds == fold
        estimate, low, high = _fit(numbers[~out], success[~out], cells[~out], theta).of(numbers[out])
        errors[out] = np.abs(estimate - success[out])
        covered[out] = (low <= success[out]) & (success[out] <= high)
    return HeldOut(float(errors.mean()), int(covered.sum()), len(runs), len(np.unique(cells)))
