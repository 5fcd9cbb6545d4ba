"""Training: the fast preset, the same against adversarial-robustness-toolbox (ART), sweeps of two workers and on Ray."""

import contextlib
import importlib.util
import io
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.bench.rows import Row, has_art, seconds, without_art
from tradeoff_core.datasets import Split, import_torchvision, load_dataset
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.ray_engine import on_ray
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.experiments.sweep import Execute, Job, Sweep, run_sweep
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.training.loop import Progress, train
from tradeoff_core.training.recipe import Training

COMPARED_EPOCHS, COMPARED_DIGITS = 8, 1800  # what the comparison with ART trains: about two minutes in all
PATIENCE = 3  # times our epochs, until ART counts as not getting there
SWEPT_EPOCHS, SWEPT_SEEDS = 4, 4


def training_rows() -> list[Row]:
    """Everything that trains."""
    fast = PRESETS["fast"]
    swept = replace(fast, training=replace(fast.training, epochs=SWEPT_EPOCHS), evaluation=Attack(steps=10))
    jobs = [Job("bench", replace(swept, seed=seed)) for seed in range(SWEPT_SEEDS)]
    return [*fast_rows(fast), art_row(beside_art()), sweep_row(jobs), ray_row(jobs)]


def beside_art() -> ExperimentSpec:
    """The fast preset, shorter: what is trained beside ART."""
    fast = PRESETS["fast"]
    recipe = replace(fast.training, epochs=COMPARED_EPOCHS, ramp_epochs=COMPARED_EPOCHS // 2)
    return replace(fast, training=recipe)


def fast_rows(spec: ExperimentSpec) -> list[Row]:
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


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch took, and the test accuracies after it: clean, and under PGD-10 at the training ε."""

    seconds: float
    clean: float
    attacked: float

    def as_good_as(self, other: "Epoch") -> bool:
        """Whether both accuracies reach the other's rounded down to whole tenths.

        Exact equality of both is a matter of luck: the two recipes weigh them differently.
        """
        return self.clean >= int(10 * other.clean) / 10 and self.attacked >= int(10 * other.attacked) / 10


def art_row(spec: ExperimentSpec, digits: int = COMPARED_DIGITS, tested: int = 500) -> Row:
    """Time of training to equal accuracy: ART's over ours.

    Same network from the same weights, digits, batch size, attack, Adam and highest learning rate. Ours lets ε and
    the learning rate rise and fall, and takes all of its epochs; ART's trainer keeps both, and stops after the first
    epoch that is as good as our last one. An epoch's time is taken in turns, while both train.
    """
    name = f"adversarial training on {digits:,} digits, to equal accuracy: ART's time / ours"
    if not has_art():
        return without_art(name, 2)
    recipe, test = spec.training, load_dataset(spec.dataset, Split.TEST).spread(tested).tensors()
    attack = Attack(epsilon=recipe.epsilon, steps=10)
    images, labels = load_dataset(spec.dataset, Split.TRAIN).spread(digits).tensors()
    ours, theirs = (networks.build(spec.network, spec.width, spec.seed) for _ in range(2))
    train_theirs = _art_epoch(theirs, images, labels, recipe)
    our_epochs: list[Epoch] = []
    their_epochs: list[Epoch] = []

    def turn() -> None:
        taken = seconds(train_theirs)
        their_epochs.append(Epoch(taken, *accuracies(theirs.eval(), *test, attack)))

    def in_turns(entry: Progress) -> None:
        our_epochs.append(Epoch(entry.seconds, *accuracies(ours, *test, attack)))
        turn()

    nothing = (images[:1], labels[:1])  # ART looks at no validation images either
    train(ours, images, labels, recipe, spec.seed, validation=nothing, progress=in_turns)
    goal = our_epochs[-1]
    while (
        not any(epoch.as_good_as(goal) for epoch in their_epochs)
        and len(their_epochs) < PATIENCE * recipe.epochs
    ):
        turn()
    return _compared(name, our_epochs, their_epochs)


def accuracies(network: Network, images: Tensor, labels: Tensor, attack: Attack) -> tuple[float, float]:
    """Clean accuracy and accuracy under the attack."""
    clean = (predicted_classes(network, images) == labels.numpy()).mean()
    return float(clean), float((~fooled_by(network, images, labels, attack)).mean())


def _compared(name: str, ours: list[Epoch], theirs: list[Epoch]) -> Row:
    """The row of both trainings; theirs ends at its first epoch that is as good as our last one, if there is one."""
    goal = ours[-1]
    reached = next((number for number, epoch in enumerate(theirs, 1) if epoch.as_good_as(goal)), None)
    used = theirs[:reached]
    apiece = sum(epoch.seconds for epoch in theirs[: len(ours)]) / sum(epoch.seconds for epoch in ours)
    ratio = apiece * len(used) / len(ours)
    note = (
        f"ours {len(ours)} epochs: clean {goal.clean:.1%}, under PGD-10 {goal.attacked:.1%}; "
        f"ART {len(used)} epochs: {used[-1].clean:.1%}, {used[-1].attacked:.1%}"
        + ("" if reached else ", still less")
        + f"; ART's ε and learning rate are constant; epoch for epoch {apiece:.2f} x"
    )
    return Row(name, ratio, 2, "x", at_least=True, note=note)


def _art_epoch(network: Network, images: Tensor, labels: Tensor, recipe: Training) -> Callable[[], None]:
    """What trains `network` for one epoch with ART's trainer of Madry et al.'s method."""
    import_torchvision()  # ART imports it, and may need the mend
    from art.defences.trainer import AdversarialTrainerMadryPGD  # type: ignore[import-untyped]
    from art.estimators.classification import PyTorchClassifier  # type: ignore[import-untyped]

    assert recipe.attack is not None
    classifier = PyTorchClassifier(
        network,
        torch.nn.CrossEntropyLoss(),
        tuple(images.shape[1:]),
        network.classes,
        torch.optim.Adam(network.parameters(), lr=recipe.learning_rate),
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    trainer = AdversarialTrainerMadryPGD(
        classifier,
        nb_epochs=1,
        batch_size=recipe.batch_size,
        eps=recipe.attack.epsilon,
        eps_step=recipe.attack.step,
        max_iter=recipe.attack.steps,
        num_random_init=int(recipe.attack.random_start),
    )
    np.random.seed(0)  # ART draws from the global generators
    torch.manual_seed(0)

    def epoch() -> None:
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bars
            trainer.fit(images.numpy(), labels.numpy())

    return epoch


def ray_row(jobs: list[Job]) -> Row:
    """The same experiments by this machine's processes and by a Ray cluster of it, as many at a time, the start included.

    The limit is for twenty runs of a minute; these are fewer and shorter, so that what Ray costs once weighs more.
    """
    name, workers = f"a sweep of {len(jobs)} runs: Ray's time / local processes'", os.cpu_count() or 1
    if importlib.util.find_spec("ray") is None:
        return Row(name, None, 1.05, "x", note="skipped: needs ray")
    local, first = _sweep(jobs, workers)
    started = time.perf_counter()
    with on_ray(None) as (execute, count):
        ray, second = _sweep(jobs, count, execute)
        ray = time.perf_counter() - started
    if first.failed or second.failed:
        return Row(name, None, 1.05, "x", note="failed: a run ended in an error", failed=True)
    return Row(name, ray / local, 1.05, "x", note=f"{ray:.0f} s and {local:.0f} s, {workers} at a time")


def sweep_row(jobs: list[Job]) -> Row:
    """The same experiments by one worker and by two, each in a temporary folder: the first time over the second."""
    name = f"a sweep of {len(jobs)} runs: one worker's time / two workers'"
    if (os.cpu_count() or 1) < 2:
        return Row(name, None, 1.7, "x", at_least=True, note="skipped: needs two cores")
    (one, first), (two, second) = (_sweep(jobs, workers) for workers in (1, 2))
    if first.failed or second.failed:
        return Row(name, None, 1.7, "x", at_least=True, note="failed: a run ended in an error", failed=True)
    note = f"{one:.0f} s and {two:.0f} s, a thread each"
    return Row(name, one / two, 1.7, "x", at_least=True, note=note)


def _sweep(jobs: list[Job], workers: int, execute: Execute | None = None) -> tuple[float, Sweep]:
    """Seconds that the sweep took, and what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        sweep = run_sweep(jobs, Path(folder, "runs"), Path(folder, "results.jsonl"), workers, execute=execute)
        return time.perf_counter() - started, sweep
