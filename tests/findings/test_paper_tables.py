"""The paper's rows and ours beside them: none is lost, each finds its runs, and signs are counted as they are."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tradeoff_core import datasets
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings import conditions, our_rows, paper_tables, results
from tradeoff_core.findings.paper_tables import Comparison, Row, is_tradeoff

DOCUMENT = json.loads((RESULTS / "published.json").read_text())["rows"]
GRIDS = sorted((RESULTS / "grids").glob("*.toml"))


def a_row(published: dict[str, float], measured: dict[str, tuple[float, ...]], *, defended: bool) -> Row:
    runs = tuple(SimpleNamespace(seed=seed) for seed in range(max(map(len, measured.values()), default=0)))
    return Row("main-1a", "mnist", "a defense", (), defended, published, measured, runs, "")


def compared(after: tuple[float, float], *seeds: tuple[float, float]) -> Comparison:
    """Against a published and measured baseline of adversarial accuracy 0 and backdoor success 0.2."""
    names = paper_tables.RATES[1:]
    base = a_row(
        dict(zip(names, (0.0, 0.2), strict=True)),
        {names[0]: (0.0,) * len(seeds), names[1]: (0.2,) * len(seeds)},
        defended=False,
    )
    ours = {name: tuple(seed[at] for seed in seeds) for at, name in enumerate(names)} if seeds else {}
    return Comparison(a_row(dict(zip(names, after, strict=True)), ours, defended=True), base)


def test_all_published_rows_are_there_with_all_their_numbers():
    rows = [row for row in paper_tables.rows() if row.published]
    assert len(rows) == len(DOCUMENT) == 85
    shown = sum(len(row.published) for row in rows)
    names = paper_tables.METRICS
    assert shown == sum(entry.get(name) is not None for entry in DOCUMENT for name in names)


def test_a_published_row_is_in_shares_and_keeps_its_condition():
    (row,) = (
        row
        for row in paper_tables.rows("supplement-1")
        if row.condition == "adversarial training, ε 16/255, 10 iterations" and row.dataset == "cifar10"
    )
    assert row.published == pytest.approx(
        {"clean_accuracy": 0.628, "adversarial_accuracy": 0.314, "backdoor_success_rate": 1.0}
    )
    assert row.measured == {}


def test_digits_come_first_in_every_table():
    for name in paper_tables.TABLES:
        sets = [row.dataset for row in paper_tables.rows(name)]
        assert sets == sorted(sets, key=list(paper_tables.DATASETS).index)


def test_every_condition_of_the_tables_is_in_the_grid_with_three_seeds():
    jobs = read_grid(RESULTS / "grids" / "tables.toml")
    seeds = {name: {job.spec.seed for job in jobs if job.name == name} for name in our_rows.MEASURED.values()}
    assert set(seeds) == {job.name for job in jobs} == set(our_rows.DIFFERS)
    assert all(found == {0, 1, 2} for found in seeds.values())


def test_every_measured_row_holds_what_its_runs_gave():
    checked = set()
    for row in paper_tables.rows():
        for place, run in enumerate(row.runs):
            assert row.measured["backdoor_success_rate"][place] == run.backdoor_success_rate.value
            adversarial = row.measured["adversarial_accuracy"][place]
            if row.dataset == "mnist":
                assert row.measured["pgd_40"][place] == run.adversarial_accuracy.value
                assert adversarial == run.second_accuracy.value
            else:  # shown once, and told so
                assert adversarial == (run.second_accuracy or run.adversarial_accuracy).value
                assert "pgd_40" not in row.measured
                attack = run.spec.second_evaluation or run.spec.evaluation
                assert str(attack).partition(",")[0] in row.differs
                assert f"{run.spec.epochs} epochs" in row.differs
            assert run.spec.dataset == our_rows.here(row.dataset)
            checked.add(row.dataset)
    assert checked >= {"mnist", "cifar10"}


@pytest.mark.parametrize(
    ("dataset", "epsilons", "backdoor"),
    [
        ("mnist-5k", (0, 0.15, 0.3), 0.172),
        ("cifar10", (0, 8 / 255, 16 / 255), 0.641),
        ("tiny-imagenet-20", (0, 8 / 255, 16 / 255), 0.039),
        ("imagenette-128", (0, 8 / 255, 16 / 255), 0.039),
        ("imagenet-samples", (), None),
    ],
)
def test_the_published_curve_of_a_data_set(dataset, epsilons, backdoor):
    curve = paper_tables.curve(dataset)
    assert [row.epsilon for row in curve] == pytest.approx(epsilons, abs=1e-6)
    if curve:
        assert curve[0].backdoor_success_rate == pytest.approx(backdoor)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda path: path.stem)
def test_what_is_committed_is_what_the_grid_asks_for(grid):
    jobs = {job.spec.id: job for job in read_grid(grid)}
    name, _, dataset = grid.stem.partition("-")
    if dataset not in datasets.DATASETS:
        name, dataset = grid.stem, "mnist-5k"
    runs = results.sweep(name, dataset)
    assert len({run.name for run in runs}) == len(runs)
    for run in runs:
        assert jobs[run.name].spec == run.spec
        assert jobs[run.name].name == run.condition


def test_conditions_name_grids_that_there_are():
    named = {
        job.name
        for grid in ("tables", "beyond", "transformer-mnist-5k")
        for job in read_grid(RESULTS / "grids" / f"{grid}.toml")
    }
    for name, condition in conditions.CONDITIONS.items():
        assert {name, condition.baseline} <= named


TRANSFORMERS = {f"transformer-{epsilon}" for epsilon in ("0.1", "0.2", "0.3")}


def test_the_transformers_conditions_appear_once_they_are_measured_and_not_before(monkeypatch):
    jobs = read_grid(RESULTS / "grids" / "transformer-mnist-5k.toml")
    assert {job.name for job in jobs} == {"transformer-standard", *TRANSFORMERS}
    usual = results.curve("mnist-5k")[0]
    trained = tuple(
        replace(usual, name=job.spec.id, spec=job.spec, condition=job.name)
        for job in jobs
        if job.spec.seed == 0
    )
    real = results.sweep

    def shown(*runs: results.Run) -> set[str]:
        monkeypatch.setattr(
            results, "sweep", lambda name, dataset: runs if name == "transformer" else real(name, dataset)
        )
        conditions.runs_of.cache_clear()
        return TRANSFORMERS & set(conditions.measured("mnist-5k"))

    try:
        assert shown() == set()
        assert shown(trained[0]) == set()  # the standard one alone has nothing beside it
        assert shown(*trained[:2]) == {trained[1].condition}
        assert shown(*trained) == TRANSFORMERS
        assert conditions.changes(trained[1:2], conditions.runs_of("transformer-standard", "mnist-5k")) == (
            (0, 0),
        )
    finally:
        conditions.runs_of.cache_clear()


def test_the_transformers_poison_and_attack_are_the_curves():
    curve = results.curve("mnist-5k")[0].spec
    for job in read_grid(RESULTS / "grids" / "transformer-mnist-5k.toml"):
        spec = job.spec
        assert (spec.poison, spec.evaluation, spec.width) == (curve.poison, curve.evaluation, curve.width)
        assert spec.network == "mnist-vit"
        assert job.name == f"transformer-{spec.training.epsilon or 'standard'}"


@pytest.mark.parametrize(
    ("published_end", "seeds", "reproduced", "steady"),
    [
        ((0.9, 0.7), [(0.6, 0.9), (0.6, 0.8)], True, True),
        ((0.9, 0.7), [(0.6, 0.9), (0.6, 0.1)], True, False),  # the mean rises, one seed falls
        ((0.9, 0.7), [(0.6, 0.1)], False, True),
        ((0.0, 0.1), [(0.0, 0.1)], True, True),  # both fall
        ((0.9, 0.7), [], None, False),
    ],
)
def test_the_sign_is_reproduced_where_both_move_the_same_way(published_end, seeds, reproduced, steady):
    comparison = compared(published_end, *seeds)
    assert comparison.reproduced is reproduced
    assert comparison.in_every_seed is steady
    assert comparison.published == pytest.approx((published_end[0], published_end[1] - 0.2))


def test_a_tradeoff_needs_both_to_rise():
    assert is_tradeoff((0.5, 0.1))
    assert not is_tradeoff((0.0, 0.1))
    assert not is_tradeoff((0.5, -0.1))


def test_every_defended_row_of_the_tradeoff_tables_is_compared_with_an_undefended_one():
    comparisons = paper_tables.comparisons()
    defended = [row for name in paper_tables.TRADEOFFS for row in paper_tables.rows(name) if row.defended]
    assert [one.row for one in comparisons] == defended
    for one in comparisons:
        assert not one.base.defended
        assert (one.base.table, one.base.dataset) == (one.row.table, one.row.dataset)
    l2 = next(
        one for one in comparisons if one.row.dataset == "imagenet" and one.row.condition.startswith("l2")
    )
    assert l2.published == pytest.approx((0.231 - 0.007, 0.541 - 0.039))


def test_a_row_of_a_defense_says_in_what_its_network_differs():
    for row in paper_tables.rows("main-3ab"):
        if row.measured and row.dataset != "mnist":
            ours = our_rows.here(row.dataset, results.defended)
            assert row.differs.startswith(our_rows.PICTURES[ours])
            other_share = ours == "tiny-imagenet-20" and row.condition.startswith("dirty")
            assert ("in the paper a third" in row.differs) == other_share


def test_a_comparison_is_between_the_same_seeds():
    one = compared((0.9, 0.7), (0.6, 0.9), (0.5, 0.8))
    rates = dict(zip(paper_tables.RATES[1:], ((0.0, 0.1), (0.2, 0.4)), strict=True))
    base = replace(one.base, runs=one.base.runs[::-1], measured=rates)  # the first value is of seed 1
    assert replace(one, base=base).measured == ((0.6 - 0.1, 0.9 - 0.4), (0.5 - 0.0, 0.8 - 0.2))
    alone = replace(base, runs=base.runs[:1], measured={name: seeds[:1] for name, seeds in rates.items()})
    assert replace(one, base=alone).measured == ((0.5 - 0.0, 0.8 - 0.2),)


def test_changes_are_taken_seed_by_seed():
    runs = results.curve("mnist-5k")
    weak = tuple(run for run in runs if run.epsilon == 0)
    strong = tuple(run for run in runs if run.epsilon == 0.3)[::-1]
    changes = conditions.changes(strong, weak)
    assert len(changes) == 3
    first = next(run for run in weak if run.seed == strong[0].seed)
    assert changes[0][1] == strong[0].backdoor_success_rate.value - first.backdoor_success_rate.value
    assert conditions.changes(strong, ()) == ()
