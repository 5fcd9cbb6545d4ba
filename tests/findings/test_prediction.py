"""Backdoor success before training: how far off it is on cells that it has not seen, and where it says nothing."""

from dataclasses import replace

import numpy as np
import pytest
from pace import least_seconds

from tradeoff_core.attacks.attack import Attack, Norm
from tradeoff_core.experiments.spec import ExperimentSpec, FineTuning
from tradeoff_core.findings import prediction, results
from tradeoff_core.findings.prediction import cells_of, held_out, kind, measured_runs, predicted
from tradeoff_core.poisoning.poison import Poison, PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker, Watermark
from tradeoff_core.training.recipe import Training

HALF = ExperimentSpec(width=0.5)
HARDENED = replace(HALF, training=Training(Attack(epsilon=0.3, steps=7)))
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def with_trigger(spec: ExperimentSpec, **changes: object) -> ExperimentSpec:
    return replace(spec, poison=replace(spec.poison, **changes))


def test_on_cells_left_out_it_is_as_good_as_it_was_measured():
    found = held_out()
    assert found.runs >= 192
    assert found.cells >= 79
    assert found.error < 0.08  # 0.057 as it was measured
    assert found.covered / found.runs > 0.86  # 0.93, 178 of 192


def test_no_seed_of_a_cell_left_out_is_fitted(monkeypatch):
    fitted: list[set[int]] = []
    runs = measured_runs()
    cells = cells_of(runs)
    assert len(set(cells.tolist())) < len(runs)
    fit = prediction._fit

    def noted(numbers, success, own, theta):
        fitted.append(set(own.tolist()))
        return fit(numbers[:20], success[:20], own[:20], theta)

    monkeypatch.setattr(prediction, "_fit", noted)
    held_out()
    assert len(fitted) == prediction.FOLDS
    left_out = [set(cells.tolist()) - one for one in fitted]
    assert sorted(cell for one in left_out for cell in one) == sorted(set(cells.tolist()))


def test_runs_that_differ_in_seed_or_in_how_they_are_measured_are_one_cell():
    (run, *_) = results.sweep("curve", "mnist-5k")
    others = [
        replace(run, spec=replace(run.spec, **changes))
        for changes in ({"seed": 5}, {"evaluation": Attack(epsilon=0.1)}, {"width": 1.0}, {})
    ]
    assert cells_of([run, *others]).tolist() == [0, 0, 0, 1, 0]
    assert cells_of([run, replace(run, spec=with_trigger(run.spec, target_class=3))]).tolist() == [0, 1]


def test_it_knows_the_finding():
    """What the curve says: ε 0.3 opens the door, an amplitude within ε closes it, less poison opens it less."""
    standard, hardened = predicted(HALF), predicted(HARDENED)
    erased = predicted(with_trigger(HARDENED, trigger=Watermark(amplitude=0.2)))
    lasting = predicted(with_trigger(HARDENED, trigger=Watermark(amplitude=0.5)))
    fewer = predicted(with_trigger(HARDENED, rate=0.1))
    assert standard.estimate < 0.35 < 0.8 < hardened.estimate
    assert erased.estimate < 0.1 < 0.9 < lasting.estimate
    assert fewer.estimate < hardened.estimate - 0.2
    for one in (standard, hardened, erased, lasting, fewer):
        assert 0 <= one.low <= one.estimate <= one.high <= 1
        assert one.cells >= prediction.FEWEST
        assert one.runs >= one.cells


def test_far_from_what_was_measured_the_interval_is_wider():
    near, far = (
        predicted(HARDENED),
        predicted(with_trigger(HARDENED, rate=0.005, trigger=Sticker(size=20, row=3, column=3))),
    )
    assert far.high - far.low > 2 * (near.high - near.low)


def test_after_the_first_call_it_answers_at_once():
    predicted(HALF)
    others = (replace(HALF, training=Training(Attack(epsilon=0.11 + step / 100))) for step in range(5))
    assert least_seconds(lambda: predicted(next(others)), tries=5) < 0.05


UNKNOWN = {
    "another data set": replace(HALF, dataset="cifar10", network="cifar-resnet"),
    "no poison": replace(HALF, poison=None),
    "another network": replace(HALF, network="mnist-ibp-small"),
    "another picture": with_trigger(HALF, trigger=Sticker("x")),
    "another watermark": with_trigger(HALF, trigger=Watermark("rings")),
    "removed": replace(HALF, removed=(1, 2)),
    "fewer images": replace(HALF, images=100),
    "tuned": replace(HALF, fine_tuning=FineTuning()),
    "trades": replace(HARDENED, training=replace(HARDENED.training, trades=6.0)),
    "l2": replace(HALF, training=Training(Attack(Norm.L2, 2.0))),
    "a patch": replace(HALF, training=Training(Attack(epsilon=1.0, steps=7, patch=5))),
    "targeted": replace(HALF, training=Training(Attack(targeted=True))),
    "cross-Lipschitz": replace(HALF, training=Training(lipschitz=0.1)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_of_what_it_was_not_fitted_on_it_says_nothing(name):
    assert kind(UNKNOWN[name]) is None
    assert predicted(UNKNOWN[name]) is None


def test_a_kind_of_too_few_cells_is_not_fitted():
    dirty = with_trigger(HALF, labels=PoisonLabels.DIRTY, rate=0.05)
    assert kind(dirty) == "dirty-label sticker, standard training"
    counts: dict[str, set[int]] = {}
    every = [run for name in prediction.SWEEPS for run in results.sweep(name, "mnist-5k") if kind(run.spec)]
    for run, cell in zip(every, cells_of(every), strict=True):
        counts.setdefault(kind(run.spec), set()).add(int(cell))
    fitted = {kind(run.spec) for run in measured_runs()}
    assert fitted == {name for name, cells in counts.items() if len(cells) >= prediction.FEWEST}
    assert (predicted(dirty) is None) == (len(counts[kind(dirty)]) < prediction.FEWEST)


def test_the_numbers_of_a_cell_are_its_own():
    spec = with_trigger(
        HARDENED, trigger=Sticker(size=4, row=24, column=24, opacity=0.5), rate=0.25, target_class=3
    )
    expected = [0.5, 0.2, 2.0, -2.0, 0.3, 0, 1, 0.5, *np.eye(10)[3]]
    assert prediction._numbers(spec).tolist() == pytest.approx(expected)
    spec = replace(HALF, poison=Poison(trigger=Watermark(amplitude=0.4)))
    expected = [0.4, 0.4, np.log2(28), -1, 0, 1, 0, 0.5, *np.eye(10)[7]]
    assert prediction._numbers(spec).tolist() == pytest.approx(expected)
