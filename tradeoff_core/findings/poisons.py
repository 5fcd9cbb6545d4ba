"""Where the finding holds: every poison under every training, what robust training changes, and both as a game."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.findings import results
from tradeoff_core.findings.paper_tables import NOTICEABLE
from tradeoff_core.findings.results import Run

SWEEP = "poisons"
OPEN = 0.95  # of backdoor success, above which a back door cannot open further
PLAYED = 0.01  # of a mixed strategy: a choice below it is numerical noise


class Verdict(StrEnum):
    """What robust training does to a poison's back door."""

    OPENS = "opens"
    CLOSES = "closes"
    STAYS = "stays"
    WAS_OPEN = "was open"


@dataclass(frozen=True, slots=True)
class Cell:
    """The runs of a poison under a training, a seed each, and the standard runs of the same poison and seeds."""

    poison: str
    training: str
    runs: tuple[Run, ...]
    standard: tuple[Run, ...]

    @property
    def success(self) -> float:
        """Mean backdoor success."""
        return fmean(run.backdoor_success_rate.value for run in self.runs)

    @property
    def changes(self) -> tuple[float, ...]:
        """By seed: how much higher backdoor success is than after standard training."""
        before = {run.seed: run.backdoor_success_rate.value for run in self.standard}
        return tuple(
            run.backdoor_success_rate.value - before[run.seed] for run in self.runs if run.seed in before
        )

    @property
    def verdict(self) -> Verdict | None:
        """What this training does, by the mean of the seeds; None without a standard run."""
        if not self.changes:
            return None
        change = fmean(self.changes)
        if change >= NOTICEABLE:
            return Verdict.OPENS
        if change <= -NOTICEABLE:
            return Verdict.CLOSES
        return Verdict.WAS_OPEN if self.success > OPEN else Verdict.STAYS


@dataclass(frozen=True, slots=True)
class Matrix:
    """The names of the poisons and of the trainings, standard first, and what is measured of them."""

    poisons: tuple[str, ...]
    trainings: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]

    def runs_of(self, poison: str) -> tuple[Run, ...]:
        """All runs of a poison."""
        return tuple(run for (name, _), cell in self.cells.items() if name == poison for run in cell.runs)

    def runs_under(self, training: str) -> tuple[Run, ...]:
        """All runs of a training."""
        return tuple(run for (_, name), cell in self.cells.items() if name == training for run in cell.runs)

    @property
    def strongest(self) -> str | None:
        """The training against pixel changes with the largest ε; None if there is none."""
        found = [cell for cell in self.cells.values() if plain(cell.runs[0])]
        return max(found, key=lambda cell: cell.runs[0].epsilon).training if found else None


def plain(run: Run) -> bool:
    """Whether it was trained against changes of all pixels in l-inf, and by nothing else."""
    attack = run.spec.training.attack
    return attack is not None and attack.patch is None and run.spec.training.trades is None


def _place(run: Run) -> tuple[bool, bool, float]:
    """Standard training first, then by ε, then the other defenses."""
    return not plain(run) and run.epsilon > 0, run.spec.training.trades is not None, run.epsilon


@cache
def matrix(dataset: str) -> Matrix:
    """What the sweep of poisons measured on a data set, in the order of its grid."""
    return arranged(results.sweep(SWEEP, dataset))


def arranged(runs: Sequence[Run]) -> Matrix:
    """Runs by the grid that asked for them and by how they were trained."""
    by_cell: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_cell.setdefault((run.condition, run.spec.training.title), []).append(run)
    trainings = {run.spec.training.title: _place(run) for run in runs}
    cells = {
        (poison, training): Cell(poison, training, tuple(found), tuple(by_cell.get((poison, "standard"), ())))
        for (poison, training), found in by_cell.items()
    }
    return Matrix(
        tuple(dict.fromkeys(run.condition for run in runs)),
        tuple(sorted(trainings, key=trainings.__getitem__)),
        cells,
    )


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """A zero-sum game's value, and how often each side makes each choice; what is hardly ever chosen is left out."""

    value: float
    attacker: dict[str, float]
    trainer: dict[str, float]


def equilibrium(success: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The value of a zero-sum game, and the mixed strategies (rows,) of who wants much and (columns,) of who wants little.

    `success` (rows, columns) is what a pair of choices comes to. The linear program of von Neumann's minimax theorem.
    """
    from scipy.optimize import linprog

    rows, columns = success.shape
    # the trainer's: least v such that no row gives more than v
    found = linprog(
        [*[0.0] * columns, 1.0],
        A_ub=np.hstack([success, -np.ones((rows, 1))]),
        b_ub=np.zeros(rows),
        A_eq=[[*[1.0] * columns, 0.0]],
        b_eq=[1.0],
        bounds=[*[(0, None)] * columns, (None, None)],
        method="highs",
    )
    attacker = -np.asarray(found.ineqlin.marginals)
    return float(found.x[-1]), attacker / attacker.sum(), np.asarray(found.x[:-1])


def as_game(measured: Matrix, seed: int) -> Equilibrium | None:
    """The attacker picks the poison, the trainer the training, of those that one seed has whole; None of fewer than two each.

    What they play for is backdoor success alone.
    """
    success = {
        key: run.backdoor_success_rate.value
        for key, cell in measured.cells.items()
        for run in cell.runs
        if run.seed == seed
    }
    poisons = [
        name
        for name in measured.poisons
        if all((name, training) in success for training in measured.trainings)
    ]
    if len(poisons) < 2 or len(measured.trainings) < 2:
        return None
    table = np.array([[success[name, training] for training in measured.trainings] for name in poisons])
    value, attacker, trainer = equilibrium(table)
    return Equilibrium(value, _played(poisons, attacker), _played(measured.trainings, trainer))


def _played(names: Sequence[str], shares: NDArray[np.float64]) -> dict[str, float]:
    return {name: float(share) for name, share in zip(names, shares, strict=True) if share >= PLAYED}
