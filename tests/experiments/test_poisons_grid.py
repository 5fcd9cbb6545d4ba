"""The grid of poison against training: each poison in each training with the seeds 0, 1 and 2, as its paper poisons."""

from collections import defaultdict
from dataclasses import replace

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.poisons import POISONS
from tradeoff_core.experiments.presets import FAST, PRESETS, training_at
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.poisoning.poison import Poison, PoisonLabels

JOBS = read_grid(RESULTS / "grids" / "poisons-mnist-5k.toml")
DIRTY = {"dirty-label sticker", "blended", "warp", "adaptive-blend", "adaptive-patch"}
COVERED = {"warp", "adaptive-blend", "adaptive-patch"}


@pytest.fixture
def poisons() -> dict[str, list[ExperimentSpec]]:
    found = defaultdict(list)
    for job in JOBS:
        found[job.name].append(job.spec)
    return found


def test_each_poison_meets_each_training_with_three_seeds(poisons):
    assert len(poisons) == 9
    for name, specs in poisons.items():
        by_training = defaultdict(set)
        for spec in specs:
            by_training[spec.training.title].add(spec.seed)
        assert len(by_training) == 6, name
        assert all(seeds == {0, 1, 2} for seeds in by_training.values())
        assert len({spec.poison for spec in specs}) == 1
    trainings = {spec.training for specs in poisons.values() for spec in specs}
    assert {training_at(epsilon, FAST) for epsilon in (0, 0.1, 0.2, 0.3)} < trainings
    assert replace(FAST, trades=6.0) in trainings


def test_each_poison_is_its_papers(poisons):
    found: dict[str, Poison] = {name: specs[0].poison for name, specs in poisons.items()}
    assert len(set(found.values())) == 9
    assert {name for name, poison in found.items() if poison.labels is PoisonLabels.DIRTY} == DIRTY
    assert {name for name, poison in found.items() if poison.cover_rate} == COVERED
    assert found["label-consistent"] == replace(Poison(), perturbed=found["label-consistent"].perturbed)
    assert all(spec.network == PRESETS["fast"].network for specs in poisons.values() for spec in specs)


def test_seed_0_comes_first_and_of_it_standard_training_and_the_strongest():
    assert {job.spec.training.title for job in JOBS[:18]} == {"standard", "adversarial ε 0.3"}
    assert {job.spec.seed for job in JOBS[:54]} == {0}


@pytest.mark.parametrize("asked", ['"blend"', '["blended", "blend"]', "[]", "3", "[[1]]"])
def test_a_poison_that_there_is_not_is_refused(asked, tmp_path, refused):
    grid = tmp_path / "grid.toml"
    grid.write_text(f"[[grid]]\npoisons = {asked}\n")
    with refused('grid 1: poisons must be "all" or a list of some of clean-label sticker, '):
        read_grid(grid)


def test_some_poisons_are_named_by_themselves(tmp_path):
    grid = tmp_path / "grid.toml"
    grid.write_text('[[grid]]\npoisons = ["warp", "blended"]\nvary = { seed = [3, 4] }\n')
    assert [(job.name, job.spec.seed) for job in read_grid(grid)] == [
        ("warp", 3),
        ("warp", 4),
        ("blended", 3),
        ("blended", 4),
    ]
    assert all(job.spec.poison == POISONS[job.name] for job in read_grid(grid))
