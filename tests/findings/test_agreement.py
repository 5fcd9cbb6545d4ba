"""Coverage and agreement with the paper: every row has ours or why not, and the counts are counted here anew."""

import json
from statistics import median

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings import agreement, coverage, our_rows, paper_tables
from tradeoff_core.findings.our_rows import Counterpart

PUBLISHED = json.loads((RESULTS / "published.json").read_text())["rows"]
SIZES = {"mnist": 14, "cifar10": 38, "imagenet": 33}


def test_every_published_row_has_ours_or_a_sentence_why_not():
    for row in paper_tables.rows():
        if row.published:
            assert row.measured or row.missing, row.name
            complete = set(row.published) <= set(row.measured)
            assert complete == (not row.missing), row.name
        else:
            assert not row.missing


def test_a_row_that_waits_names_a_network_of_its_grid():
    trained = {
        dataset: {job.name for job in read_grid(RESULTS / "grids" / f"{grid}.toml")}
        for dataset, grid in coverage.GRIDS.items()
    }
    for path in (RESULTS / "grids" / "tables-cifar10.toml", RESULTS / "grids" / "defenses.toml"):
        trained["mnist" if path.stem == "defenses" else "cifar10"] |= {job.name for job in read_grid(path)}
    for entry in PUBLISHED:
        said = coverage.missing(entry, Counterpart({}))
        if entry.get("filters") == coverage.DOUBLED:
            assert said == coverage.NEVER
        elif entry["dataset"] != "mnist":
            assert coverage.network_of(entry) in trained[entry["dataset"]], entry
            assert coverage.network_of(entry) in said


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"table": "main-3ab", "dataset": "cifar10", "labels": "clean", "rate_in_table": 1}, "clean-label-1-adversarial"),
        ({"table": "main-3ab", "dataset": "imagenet", "labels": "dirty", "rate_in_table": 0.5}, "dirty-label-less-poison"),
        ({"table": "main-3c", "dataset": "imagenet", "labels": "clean", "trigger": "watermark"}, "watermark-adversarial"),
        ({"table": "supplement-5a", "dataset": "imagenet", "labels": "clean", "trigger": "sticker"}, "adversarial"),
        ({"table": "main-1a", "dataset": "cifar10", "defense": "lipschitz"}, "lipschitz"),
        ({"table": "main-1b", "dataset": "cifar10", "defense": "ibp", "rate_in_table": 0.5}, "ibp-0.5"),
    ],
)  # fmt: skip
def test_the_network_of_a_row(entry, name):
    assert coverage.network_of(entry) == name


def test_a_network_that_is_trained_waits_for_the_defense_alone(monkeypatch):
    entry = {"table": "main-3ab", "dataset": "cifar10", "labels": "dirty", "rate_in_table": 1}
    trained = type("Trained", (), {"condition": "dirty-label-1"})()
    monkeypatch.setattr(coverage.results, "sweep", lambda *_: (trained,))
    assert coverage.missing(entry, Counterpart({})).startswith("Not measured yet: its network is trained")
    monkeypatch.setattr(coverage.results, "sweep", lambda *_: ())
    assert (
        coverage.missing(entry, Counterpart({}))
        == "Not trained yet: dirty-label-1 in grids/rows-cifar10.toml"
    )


def test_the_coverage_counts_each_published_row_once():
    covered = agreement.covered()
    assert {one.dataset: one.published for one in covered} == SIZES
    for one in covered:
        rows = [entry for entry in PUBLISHED if entry["dataset"] == one.dataset]
        assert one.here == sum(bool(our_rows.of(entry).rates) for entry in rows)
        assert one.never == (2 if one.dataset == "imagenet" else 0)


def test_a_pair_is_a_published_number_and_ours():
    pairs = {(pair.row, pair.metric): pair for pair in agreement.pairs()}
    rows = [row for row in paper_tables.rows() if row.published]
    common = [(row.name, name) for row in rows for name in row.published if name in row.measured]
    assert sorted(pairs) == sorted(key for key in common if key[1] != "mean_deviation")
    one = pairs["main-1a: mnist, adversarial training", "backdoor_success_rate"]
    assert one.published == pytest.approx(0.672)
    (row,) = (row for row in rows if row.name == one.row)
    assert one.ours == row.measured["backdoor_success_rate"]
    assert (one.table, one.dataset, one.condition) == (row.table, row.dataset, row.condition)
    assert one.kind is agreement.Kind.BACKDOOR


def test_a_verdict_is_of_the_rows_of_its_data_set():
    for verdict in agreement.verdicts():
        compared = [one for one in paper_tables.comparisons() if one.row.dataset == verdict.dataset]
        signs = [one.reproduced for one in compared if one.reproduced is not None]
        assert (verdict.alike, verdict.known) == (sum(signs), len(signs))
        assert len(verdict.others) == len(signs) - sum(signs)
        off = [
            abs(row.mean("backdoor_success_rate") - row.published["backdoor_success_rate"])
            for row in paper_tables.rows()
            if row.dataset == verdict.dataset
            and {"backdoor_success_rate"} <= row.published.keys() & row.measured.keys()
        ]
        assert verdict.distance == pytest.approx(median(off))


def test_the_specs_of_a_row_are_those_of_its_networks():
    for row in paper_tables.rows():
        if row.runs:
            assert row.specs == tuple(run.spec for run in row.runs)
        assert bool(row.specs) == bool(row.measured), row.name
