"""Every CIFAR-10 row of the paper has a run by the shared recipe, and takes it as soon as it is measured."""

import json
from dataclasses import replace

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.sweep import Job, read_grid
from tradeoff_core.findings import cifar10_rows, our_rows, results
from tradeoff_core.poisoning.poison import PoisonLabels

JOBS = read_grid(RESULTS / "grids" / "rows-cifar10.toml")
PUBLISHED = [
    row for row in json.loads((RESULTS / "published.json").read_text())["rows"] if row["dataset"] == "cifar10"
]
TRADEOFF = [row for row in PUBLISHED if row["table"] not in our_rows.DEFENDED]


def line(job: Job) -> results.Run:
    metrics = {
        "n": 1000,
        "backdoor_n": 900,
        "clean_accuracy": 0.8,
        "adversarial_accuracy": 0.2,
        "backdoor_success_rate": 0.5,
    }
    second = metrics | {"adversarial_accuracy": 0.3, "certified_accuracy": 0.25}
    return results._run(
        {
            "name": job.name,
            "run": job.spec.id,
            "metrics": metrics,
            "second_metrics": second,
            "spec": spec_to_dict(job.spec),
        }
    )


@pytest.fixture
def all_measured(monkeypatch):
    real, lines = results.sweep, tuple(line(job) for job in JOBS)
    monkeypatch.setattr(
        results, "sweep", lambda name, dataset: lines if name == "rows" else real(name, dataset)
    )


@pytest.mark.usefixtures("all_measured")
def test_there_are_38_rows_and_those_of_the_tradeoff_all_have_runs():
    assert len(PUBLISHED) == 38
    assert len(TRADEOFF) == 24
    for row in TRADEOFF:
        counterpart = our_rows.of(row)
        assert [run.seed for run in counterpart.runs] == [0, 1, 2], row
        assert counterpart.rates["adversarial_accuracy"] == (0.3, 0.3, 0.3)
        assert ("certified_accuracy" in counterpart.rates) == (row["table"] == "main-1b")
        assert "pgd_40" not in counterpart.rates
        assert "leaves 20.0%" in counterpart.differs


def test_each_row_is_trained_as_its_table_says():
    first = {job.name: job.spec for job in JOBS if job.spec.seed == 0}
    for row in TRADEOFF:
        rate = row["rate_in_table"] if row["table"] == "main-1b" else None
        spec = first[cifar10_rows.condition_of(our_rows._key(row), rate)]
        attack = spec.training.attack
        assert (attack is not None) == row["defense"].endswith("-at")
        assert (spec.training.lipschitz_squared is not None) == ("lipschitz" in row["defense"])
        assert ("denoising" in spec.network) == ("denoising" in row["defense"])
        assert (spec.training.interval_bounds is not None) == (row["defense"] == "ibp")
        assert spec.width == (2 if row.get("filters") == [32, 32, 64, 128] else 1)
        if row.get("epsilon"):
            assert attack.epsilon == pytest.approx(row["epsilon"], abs=1e-6)
            assert spec.second_evaluation.steps == row["steps"]
        if row.get("norm") == "l2":
            assert spec.second_evaluation.norm == "l2"
        assert spec.poison.rate == (0.05 if rate == 0.5 else 0.5)
    assert first["adversarial-10-steps"].training.attack_in(39).steps == 10
    assert first["ibp"].training.interval_bounds.epsilon == pytest.approx(1.1 * 8 / 255)


def test_the_detections_of_each_rate_have_a_network_here_or_in_the_tables():
    trained = [job.spec for job in [*JOBS, *read_grid(RESULTS / "grids" / "tables-cifar10.toml")]]
    for row in PUBLISHED:
        if row["table"] != "main-3ab":
            continue
        dirty = row["labels"] == "dirty"
        rate = row["rate_in_table"] / (100 if dirty else 10)
        assert [
            spec
            for spec in trained
            if spec.poison
            and spec.seed == 0
            and spec.poison.labels is (PoisonLabels.DIRTY if dirty else PoisonLabels.CLEAN)
            and spec.poison.rate == pytest.approx(rate)
            and (spec.training.attack is None) == dirty
        ], row


def test_every_row_is_compared_with_one_trained_by_the_same_recipe():
    first = {job.name: job.spec for job in JOBS if job.spec.seed == 0}
    for name, base in (
        ("adversarial", "standard"),
        ("targeted-fgsm", "standard-fgsm"),
        ("l2", "standard-l2"),
    ):
        assert replace(first[name].training, attack=None) == first[base].training
        assert first[name].second_evaluation == first[base].second_evaluation


def test_without_the_recipes_runs_the_shipped_networks_stand_there(monkeypatch):
    real = results.sweep
    monkeypatch.setattr(results, "sweep", lambda name, dataset: () if name == "rows" else real(name, dataset))
    row = next(row for row in TRADEOFF if row["table"] == "main-1a" and row["defense"] == "none")
    assert len(our_rows.of(row).runs) == 3
    assert our_rows.of(row).runs[0].spec.training.batch_size == 100
