"""What trains is a grid: every committed network and line comes from one, so that nothing has to be trained again."""

import json

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings import results
from tradeoff_core.models import zoo

MEASURED = {  # of a grid's runs, not by `sweep`
    "defenses": "detection-mnist-5k.jsonl",
    "levels": "game-mnist-5k.jsonl",
    "cleanse": "neural-cleanse-mnist-5k.jsonl",
}


def specs(grid: str) -> dict[str, dict]:
    return {job.spec.id: spec_to_dict(job.spec) for job in read_grid(RESULTS / "grids" / f"{grid}.toml")}


@pytest.mark.parametrize("grid", MEASURED)
def test_the_lines_of_a_measured_file_are_of_its_grids_runs(grid):
    assert {line["run"]: line["spec"] for line in results.lines_of(MEASURED[grid])} == specs(grid)


def test_the_networks_of_the_zoo_are_one_grid():
    own = [model for name in zoo.model_ids() if not (model := zoo.find_model(name)).trained_elsewhere]
    assert {model.spec.id: model.card.spec for model in own} == specs("zoo")
    assert all(model.id == model.spec.title for model in own)


def swept() -> list[str]:
    """The files whose lines are what `sweep` writes."""
    return [
        path.name
        for path in sorted(RESULTS.glob("*.jsonl"))
        if {"name", "metrics"} <= (line := json.loads(path.read_text().splitlines()[0])).keys()
        and "sha256" not in line  # of networks that are trained already
    ]


def test_the_curve_and_the_tables_are_swept():
    assert {"curve-mnist-5k.jsonl", "tables-mnist-5k.jsonl", "tables-cifar10.jsonl"} <= set(swept())


@pytest.mark.parametrize("file", swept())
def test_a_swept_file_holds_its_grid_in_its_order(file):
    lines = results.lines_of(file)
    found = [grid.stem for grid in (RESULTS / "grids").glob("*.toml") if file in grid.read_text()]
    assert len(found) == 1
    grid = specs(found[0])
    assert [line["run"] for line in lines] == [
        name for name in grid if name in {line["run"] for line in lines}
    ]
    assert all(line["spec"] == grid[line["run"]] for line in lines)
