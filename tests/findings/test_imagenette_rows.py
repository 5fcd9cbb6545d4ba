"""ImageNet's rows of the paper beside Imagenette's runs, as soon as there are these."""

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings import conditions, our_rows, paper_tables, results
from tradeoff_core.findings.our_rows import IMAGENETTE_ALONE, MEASURED
from tradeoff_core.findings.results import Run
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.rates import Rate

GRID = RESULTS / "grids" / "tables-imagenette-128.toml"
JOBS = read_grid(GRID)
DOUBLED = "[128, 256, 512, 1024]"  # no network twice as wide has pretrained weights
TRADEOFF_ROWS = 18


@pytest.fixture
def measured(monkeypatch) -> None:
    """Results of the grid: clean accuracy tells the seed, backdoor success the place in the grid, per mille."""

    def runs_of(name: str, dataset: str) -> tuple[Run, ...]:
        return tuple(
            Run(
                job.spec.id,
                job.spec,
                Rate(job.spec.seed, 10),
                Rate(4, 10),
                Rate(place, 1000),
                name,
                Rate(3, 10) if job.spec.second_evaluation else None,
            )
            for place, job in enumerate(JOBS)
            if job.name == name and dataset == "imagenette-128"
        )

    monkeypatch.setattr(conditions, "runs_of", runs_of)


@pytest.mark.usefixtures("measured")
def test_every_imagenet_row_of_the_tradeoff_tables_finds_its_runs_but_for_the_doubled_network():
    assert our_rows.here("imagenet") == "imagenette-128"
    rows = [
        row
        for table in paper_tables.TRADEOFFS
        for row in paper_tables.rows.__wrapped__(table)
        if row.dataset == "imagenet"
    ]
    assert len(rows) == TRADEOFF_ROWS
    missing = [row for row in rows if not row.runs]
    assert [DOUBLED in row.condition for row in missing] == [True, True]
    for row in rows:
        if row.runs:
            assert row.measured["adversarial_accuracy"] == (0.3,) * len(row.runs)
            assert "pgd_40" not in row.measured
            assert row.differs.startswith("Imagenette: 10 classes at 128 x 128")
            attacked = row.defended and row.condition != "denoising blocks"
            assert (row.runs[0].spec.training.attack is not None) == attacked
    main = {row.condition: row for row in rows if row.table == "main-1a"}
    assert main["no defense"].measured["clean_accuracy"] == (0.0, 0.1, 0.2)
    assert main["adversarial training"].measured["clean_accuracy"] == (0.0, 0.1, 0.2)
    assert main["denoising blocks"].runs[0].spec.network == "efficientnet-lite0-denoising"


@pytest.mark.usefixtures("measured")
def test_a_row_is_measured_with_the_attack_that_it_names():
    attacks = {
        (row.table, row.condition): row.runs[0].spec
        for table in ("supplement-1", "supplement-2", "supplement-3")
        for row in paper_tables.rows.__wrapped__(table)
        if row.dataset == "imagenet"
    }
    said = {condition: str(spec.second_evaluation) for (_, condition), spec in attacks.items()}
    assert said == {
        "no defense": "FGSM, l∞ 8/255, targeted",  # of supplement table 2, the later one
        "adversarial training, ε 8/255, 5 iterations": "PGD-5, l∞ 8/255",
        "adversarial training, ε 8/255, 10 iterations": "PGD-10, l∞ 8/255",
        "adversarial training, ε 16/255, 10 iterations": "PGD-10, l∞ 16/255",
        "targeted FGSM training": "FGSM, l∞ 8/255, targeted",
        "l∞: no defense": "PGD-5, l∞ 8/255",
        "l∞: adversarial training": "PGD-5, l∞ 8/255",
        "l2: no defense": "PGD-10, l2 2",
        "l2: adversarial training": "PGD-10, l2 2",
    }
    trained = attacks["supplement-1", "adversarial training, ε 8/255, 10 iterations"].training.attack
    assert (trained.steps, trained.step) == (10, pytest.approx(2 / 255))
    stronger = attacks["supplement-1", "adversarial training, ε 16/255, 10 iterations"].training.attack
    assert stronger.epsilon == pytest.approx(16 / 255)
    targeted = attacks["supplement-2", "targeted FGSM training"].training.attack
    assert (targeted.targeted, targeted.random_start, targeted.steps) == (True, False, 1)


def test_the_grid_starts_with_the_zoos_three_and_has_three_seeds_of_the_main_row():
    assert [job.name for job in JOBS[:3]] == ["standard", "adversarial", "dirty-label"]
    assert [job.spec.seed for job in JOBS[:3]] == [0, 0, 0]
    for name in ("standard", "adversarial"):
        assert [job.spec.seed for job in JOBS if job.name == name] == [0, 1, 2]
    assert all(job.spec.start == "imagenet-efficientnet-lite0" for job in JOBS)
    assert {job.spec.target_class for job in JOBS} == {2}
    named = {job.name for job in JOBS}
    assert set(IMAGENETTE_ALONE.values()) <= named
    assert not set(IMAGENETTE_ALONE) & set(MEASURED)


def test_the_grid_poisons_half_a_tenth_and_a_twentieth_of_the_target_class_both_ways():
    own = 847  # of 8,522 training images, the rest of Imagenette's 941 churches validates
    dirty = sorted(
        round(job.spec.poison.rate * 8522 / own, 2)
        for job in JOBS
        if job.spec.poison and job.spec.poison.labels is PoisonLabels.DIRTY and "watermark" not in job.name
    )
    assert dirty == [0.05, 0.1, 0.5]
    clean = {job.spec.poison.rate for job in JOBS if job.name.startswith("adversarial")}
    assert clean == {0.5, 0.1, 0.05}


def test_until_then_tiny_imagenet_stands_for_imagenet(monkeypatch):
    monkeypatch.setattr(conditions, "runs_of", lambda name, dataset: (name,) if "tiny" in dataset else ())
    assert our_rows.here("imagenet") == "tiny-imagenet-20"
    assert our_rows.here("imagenet", lambda _: ()) == "tiny-imagenet-20"
    assert our_rows.here("imagenet", lambda name: [name]) == "imagenette-128"
    assert our_rows.here("cifar10") == "cifar10"


def test_a_note_speaks_of_tiny_imagenet_only_while_that_stands_there(monkeypatch):
    monkeypatch.setattr(results, "defended", lambda name: (name,) if name == "imagenette-128" else ())
    assert "Tiny ImageNet" not in paper_tables.note("main-3ab")
    monkeypatch.setattr(results, "defended", lambda _: ())
    assert paper_tables.note("main-3ab").endswith("chance is 50% for dirty-label poison too.")
    assert paper_tables.note("main-1a") == ""
