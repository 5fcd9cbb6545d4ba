"""What we do otherwise than the paper's code, and what each departure changes, from the committed results.

A departure stands for one or two networks: one trained and measured our way (assets/results/grids/tables.toml) and one the
paper's (ledger-mnist-5k.toml), alike in all else. Where the ledger holds our way too, that is taken.
"""

from dataclasses import dataclass
from statistics import fmean

from tradeoff_core.findings import conditions, results
from tradeoff_core.findings.results import Run

DATASET = "mnist-5k"
METRICS = ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")


@dataclass(frozen=True, slots=True)
class Departure:
    """What differs, in words, and the pairs of conditions that measure it: ours in the tables, the paper's in the ledger.

    `unmeasured` says why there is none.
    """

    what: str
    ours: str
    theirs: str
    pairs: tuple[tuple[str, str], ...] = ()
    unmeasured: str = ""


DEPARTURES = (
    Departure(
        "Denoising block",
        "attention not scaled, batch norm that scales from 0 on",
        "attention over the root of its channels, small embeddings, batch norm without scale",
        (
            ("denoising", "denoising-published"),
            ("denoising-adversarial", "denoising-published-adversarial"),
        ),
    ),
    Departure(
        "Cross-Lipschitz",
        "the norm of the gradients' differences",
        "its square",
        (
            ("lipschitz", "lipschitz-squared"),
            ("lipschitz-adversarial", "lipschitz-squared-adversarial"),
        ),
    ),
    Departure(
        "What counts as fooled",
        "any iterate of the attack",
        "the last iterate",
        (("adversarial", "last-iterate-adversarial"),),
    ),
    Departure(
        "Which images are poisoned",
        "drawn",
        "drawn for the main rows; the first half for cross-Lipschitz, interval bounds and CIFAR-10",
        (("standard", "first-half"), ("adversarial", "first-half-adversarial")),
    ),
    Departure(
        "Where targeted FGSM aims when it measures",
        "at the next class",
        "at a random wrong class",
        (("standard-fgsm", "random-aim"), ("targeted-fgsm", "random-aim-adversarial")),
    ),
    Departure(
        "Attack on the rows of interval bounds",
        "PGD-40, any iterate",
        "20 steps of Adam on the margin, last iterate",
        (("ibp-standard", "adam"), ("ibp", "adam-ibp")),
    ),
    Departure(
        "Training attack",
        "7 steps of 0.1",
        "10 steps of 0.05",
        (("adversarial", "ten-steps-adversarial"),),
    ),
    Departure(
        "Schedule",
        "18 or 20 epochs, the learning rate up and down",
        "100 epochs at a constant 0.0001",
        (("standard", "schedule"), ("adversarial", "schedule-adversarial")),
    ),
    Departure(
        "Width",
        "half",
        "full",
        (("standard", "doubled-standard"), ("adversarial", "doubled-adversarial")),
    ),
    Departure(
        "Number of digits",
        "3,600",
        "60,000; measured downwards: 1,800",
        (("standard", "half-of-the-digits"), ("adversarial", "half-of-the-digits-adversarial")),
    ),
    Departure(
        "Number of digits",
        "3,600",
        "60,000; measured downwards: 900",
        (("standard", "quarter-of-the-digits"), ("adversarial", "quarter-of-the-digits-adversarial")),
    ),
    Departure(
        "Seeds",
        "0, 1 and 2",
        "ten; measured: 3 to 9",
        (("standard", "ten-seeds"), ("adversarial", "ten-seeds-adversarial")),
    ),
    Departure(
        "Weight decay",
        "none on digits, 0.0005 on CIFAR-10",
        "none on digits, 0.002 on CIFAR-10",
        unmeasured="nothing differs on digits",
    ),
    Departure(
        "Neural Cleanse's mask",
        "one channel",
        "a channel for each colour",
        unmeasured="digits have one channel",
    ),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One pair of a departure: the runs of both ways, none where they are not measured yet."""

    departure: Departure
    condition: str  # ours
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]

    def rates(self, metric: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """A rate of METRICS of each seed: ours, theirs."""
        ours, theirs = (tuple(_rate(run, metric) for run in runs) for runs in (self.ours, self.theirs))
        return ours, theirs

    def change(self, metric: str) -> float | None:
        """How much higher the mean is the paper's way; over the seeds that both have, over all if they share none."""
        before, after = ({run.seed: _rate(run, metric) for run in runs} for runs in (self.ours, self.theirs))
        if not before or not after:
            return None
        shared = (before.keys() & after.keys()) or None
        means = [fmean(rates[seed] for seed in shared or rates) for rates in (before, after)]
        return means[1] - means[0]


def _rate(run: Run, metric: str) -> float:
    rate = getattr(run, metric)
    if metric == "adversarial_accuracy" and run.second_accuracy is not None:
        rate = run.second_accuracy  # under the attack of the paper's row
    value: float = rate.value
    return value


def published(condition: str) -> tuple[Run, ...]:
    """The ledger's own runs of a condition."""
    return tuple(run for run in results.sweep("ledger", DATASET) if run.condition == condition)


def runs_of(condition: str) -> tuple[Run, ...]:
    """A condition's runs: those of the ledger, trained on one machine, or else those of the tables."""
    return published(condition) or conditions.runs_of(condition, DATASET)


def entries() -> list[Entry]:
    """Every pair of every departure, and one without runs for a departure that is not measured."""
    return [
        Entry(departure, ours, runs_of(ours), runs_of(theirs))
        for departure in DEPARTURES
        for ours, theirs in departure.pairs or (("", ""),)
    ]
