"""The measured conditions beside the curve: what each is called, and the undefended one that it is compared with."""

from dataclasses import dataclass
from functools import cache

from tradeoff_core.findings import results
from tradeoff_core.findings.results import Run


@dataclass(frozen=True, slots=True)
class Condition:
    """A name for people, and the grid of the networks that it is compared with."""

    title: str
    baseline: str = "standard"


CONDITIONS = {  # by the name in assets/results/grids/
    "adversarial-0.15": Condition("PGD at ε 0.15"),
    "adversarial-20-steps": Condition("PGD, 20 steps"),
    "targeted-fgsm": Condition("targeted FGSM"),
    "l2": Condition("PGD in l2, ε 2"),
    "doubled-adversarial": Condition("PGD, doubled width", "doubled-standard"),
    "lipschitz": Condition("cross-Lipschitz"),
    "lipschitz-adversarial": Condition("cross-Lipschitz and PGD"),
    "denoising": Condition("denoising blocks"),
    "denoising-adversarial": Condition("denoising blocks and PGD"),
    "ibp": Condition("interval bounds, ε 0.4", "ibp-standard"),
    "trades": Condition("TRADES"),
    "patch": Condition("PGD on a 5 x 5 patch"),
    "dirty-label, tuned on clean digits": Condition(
        "dirty-label, then tuned by PGD on clean digits", "dirty-label"
    ),
    "dirty-label, tuned on its own digits": Condition(
        "dirty-label, then tuned by PGD on its poisoned digits", "dirty-label"
    ),
    "clean-label, tuned on clean digits": Condition("clean-label, then tuned by PGD on clean digits"),
    "clean-label, tuned on its own digits": Condition(
        "clean-label, then tuned by PGD on its poisoned digits"
    ),
    **{
        f"transformer-{epsilon}": Condition(f"transformer, PGD at ε {epsilon}", "transformer-standard")
        for epsilon in ("0.1", "0.2", "0.3")
    },
}


@cache
def runs_of(name: str, dataset: str) -> tuple[Run, ...]:
    """The runs of a grid of the tables, of what goes beyond them or of the transformer, a seed each.

    Without any, what another row's network gave under this row's attack.
    """
    trained, attacked = (
        tuple(run for sweep in sweeps for run in results.sweep(sweep, dataset) if run.condition == name)
        for sweeps in (("tables", "beyond", "transformer"), ("attacked",))
    )
    return trained or attacked


def undefended(run: Run, dataset: str) -> tuple[Run, ...]:
    """Runs of standard training on the same poison and network that were measured with the run's second attack."""
    return tuple(
        other
        for other in results.sweep("tables", dataset)
        if other.spec.training.name == "standard"
        and other.spec.second_evaluation == run.spec.second_evaluation
        and (other.spec.poison, other.spec.network, other.spec.width)
        == (run.spec.poison, run.spec.network, run.spec.width)
    )


def measured(dataset: str) -> dict[str, Condition]:
    """The conditions that have runs, and whose baseline has, on a data set."""
    return {
        name: condition
        for name, condition in CONDITIONS.items()
        if runs_of(name, dataset) and runs_of(condition.baseline, dataset)
    }


def changes(runs: tuple[Run, ...], baseline: tuple[Run, ...]) -> tuple[tuple[float, float], ...]:
    """By seed: how much higher adversarial accuracy and backdoor success are than in the baseline's run."""
    by_seed = {run.seed: run for run in baseline}
    return tuple(
        (
            run.adversarial_accuracy.value - by_seed[run.seed].adversarial_accuracy.value,
            run.backdoor_success_rate.value - by_seed[run.seed].backdoor_success_rate.value,
        )
        for run in runs
        if run.seed in by_seed
    )
