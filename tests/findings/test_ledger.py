"""The ledger: every departure has its grid, and its numbers are worked out by hand."""

from dataclasses import replace

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings import conditions, ledger, results
from tradeoff_core.findings.ledger import DEPARTURES, Entry

GRID = RESULTS / "grids" / "ledger-mnist-5k.toml"


def a_run(name: str, seed: int, adversarial: int, backdoor: int, second: int | None = None) -> results.Run:
    metrics = {"n": 1000, "backdoor_n": 900, "clean_accuracy": 0.98, "backdoor_success_rate": backdoor / 900}
    line = {
        "name": name,
        "run": f"{name}-{seed}",
        "metrics": metrics | {"adversarial_accuracy": adversarial / 1000},
        "spec": spec_to_dict(replace(PRESETS["standard"], seed=seed)),
    }
    if second is not None:
        line["second_metrics"] = metrics | {"adversarial_accuracy": second / 1000}
    return results._run(line)


def test_every_pair_is_in_the_tables_and_in_the_grid_and_nothing_else_is():
    named = {job.name for job in read_grid(GRID)}
    ours = {ours for departure in DEPARTURES for ours, _ in departure.pairs}
    theirs = {theirs for departure in DEPARTURES for _, theirs in departure.pairs}
    tables = {job.name for job in read_grid(RESULTS / "grids" / "tables.toml")}
    assert ours <= tables
    assert named == ours | theirs
    assert all(bool(departure.pairs) != bool(departure.unmeasured) for departure in DEPARTURES)


def test_our_way_in_the_grid_is_the_tables_own_run():
    tables = {(job.name, job.spec.seed): job.spec for job in read_grid(RESULTS / "grids" / "tables.toml")}
    ours = {ours for departure in DEPARTURES for ours, _ in departure.pairs}
    again = [job for job in read_grid(GRID) if job.name in ours]
    assert len(again) == 3 * len(ours)
    assert all(job.spec == tables[job.name, job.spec.seed] for job in again)


def test_changes_are_of_the_seeds_that_both_have_and_of_all_where_there_is_none():
    departure = DEPARTURES[0]
    ours = (a_run("a", 0, 100, 90), a_run("a", 1, 200, 180), a_run("a", 2, 0, 900))
    theirs = (a_run("b", 0, 150, 45, second=300), a_run("b", 1, 150, 45, second=500))
    entry = Entry(departure, "a", ours, theirs)
    # (300 + 500) / 2 - (100 + 200) / 2 of 1,000, and 5% - (10% + 20%) / 2
    assert entry.change("adversarial_accuracy") == pytest.approx(0.25)
    assert entry.change("backdoor_success_rate") == pytest.approx(-0.10)
    assert entry.rates("backdoor_success_rate") == (
        pytest.approx((0.1, 0.2, 1.0)),
        pytest.approx((0.05, 0.05)),
    )
    others = Entry(departure, "a", ours, (a_run("b", 3, 700, 0), a_run("b", 4, 500, 0)))
    assert others.change("adversarial_accuracy") == pytest.approx(0.6 - 0.1)


def test_without_results_there_is_no_change_and_no_failure(monkeypatch):
    monkeypatch.setattr(results, "sweep", lambda *_: ())
    conditions.runs_of.cache_clear()
    try:
        entries = ledger.entries()
    finally:
        conditions.runs_of.cache_clear()
    assert len(entries) == sum(max(1, len(departure.pairs)) for departure in DEPARTURES)
    assert {entry.change("clean_accuracy") for entry in entries} == {None}


def test_the_ledgers_own_runs_of_our_way_are_taken_before_the_tables(monkeypatch):
    beside = (a_run("standard", 0, 1, 1),)
    real = results.sweep
    monkeypatch.setattr(
        results, "sweep", lambda name, dataset: beside if name == "ledger" else real(name, dataset)
    )
    assert ledger.runs_of("standard") == beside
    assert len(ledger.runs_of("adversarial")) == 3
