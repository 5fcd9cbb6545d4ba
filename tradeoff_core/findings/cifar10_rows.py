"""Which run of assets/results/grids/rows-cifar10.toml stands beside a row of the paper for CIFAR-10, and in what it differs.

All of them are trained by one recipe. Those that are compared with standard training are taken once that and adversarial
training are measured by it.
"""

from collections.abc import Sequence
from statistics import fmean

from tradeoff_core.findings import results
from tradeoff_core.findings.results import Run

MEASURED = {  # a row's key, with its poison rate where the table has several -> the name in the grid
    "main-1a none": "standard",
    "main-1a pgd-at": "adversarial",
    "main-1a lipschitz": "lipschitz",
    "main-1a lipschitz+pgd-at": "lipschitz-adversarial",
    "main-1a denoising": "denoising",
    "main-1a denoising+pgd-at": "denoising-adversarial",
    "main-1b none 5": "ibp-standard",
    "main-1b ibp 5": "ibp",
    "main-1b none 0.5": "ibp-standard-0.5",
    "main-1b ibp 0.5": "ibp-0.5",
    "supplement-1 none": "standard",
    "supplement-1 linf 0.031373 5 pgd-at": "adversarial",
    "supplement-1 linf 0.031373 10 pgd-at": "adversarial-10-steps",
    "supplement-1 linf 0.062745 10 pgd-at": "adversarial-16-255",
    "supplement-2 none": "standard-fgsm",
    "supplement-2 fgsm-at": "targeted-fgsm",
    "supplement-3 linf none": "standard",
    "supplement-3 linf pgd-at": "adversarial",
    "supplement-3 l2 none": "standard-l2",
    "supplement-3 l2 pgd-at": "l2",
    "supplement-4 [16, 16, 32, 64] none": "standard",
    "supplement-4 [16, 16, 32, 64] pgd-at": "adversarial",
    "supplement-4 [32, 32, 64, 128] none": "doubled-standard",
    "supplement-4 [32, 32, 64, 128] pgd-at": "doubled-adversarial",
}
HAVE_THEIR_OWN_BASELINE = ("main-1b", "supplement-2", "supplement-3 l2", "supplement-4 [32")
SINGLE_STEP = "trained against a single step"
L2 = "l2 ε 128/255, which the paper does not name"
MEDIUM = "the medium network of Gowal et al. (2018), the paper has their large one"
SPECIAL = {  # in what a condition differs besides
    "adversarial": SINGLE_STEP,
    "denoising-adversarial": SINGLE_STEP,
    "doubled-adversarial": SINGLE_STEP,
    "lipschitz": "a quarter of each batch is regularised",
    "lipschitz-adversarial": f"{SINGLE_STEP}; a quarter of each batch is regularised",
    "adversarial-10-steps": "ten steps in the last third of the epochs, a single one before",
    "adversarial-16-255": "trained against 3 steps",
    "l2": f"{L2}; trained against 2 steps",
    "standard-l2": L2,
    "ibp": MEDIUM,
    "ibp-standard": MEDIUM,
    "ibp-0.5": MEDIUM,
    "ibp-standard-0.5": MEDIUM,
}


def condition_of(key: str, rate: float | None) -> str | None:
    """The condition that measures a row, None if none does; `rate` is the poison rate of a table that has several."""
    return MEASURED.get(key if rate is None else f"{key} {rate:g}")


def runs_of(condition: str) -> tuple[Run, ...]:
    """A condition's runs, a seed each."""
    return tuple(run for run in results.sweep("rows", "cifar10") if run.condition == condition)


def measured() -> bool:
    """Whether standard and adversarial training, which the others are compared with, have runs by this recipe."""
    return bool(runs_of("standard") and runs_of("adversarial"))


def stands(condition: str) -> bool:
    """Whether a condition's runs can stand beside the paper: what it is compared with is then trained by the recipe too."""
    rows = [key for key, name in MEASURED.items() if name == condition]
    return measured() or (bool(rows) and all(key.startswith(HAVE_THEIR_OWN_BASELINE) for key in rows))


def differs(runs: Sequence[Run]) -> str:
    """How these runs were trained, what they were attacked with, and what PGD-20 leaves."""
    training, attack = runs[0].spec.training, runs[0].spec.second_evaluation or runs[0].spec.evaluation
    left = fmean(run.adversarial_accuracy.value for run in runs)
    parts = [
        f"{training.epochs} epochs in batches of {training.batch_size}",
        SPECIAL.get(runs[0].condition, ""),
        f"attacked with {attack}; {runs[0].spec.evaluation} leaves {left:.1%}",
    ]
    return "; ".join(part for part in parts if part)
