"""Run folders and archives of before: tests/fixtures holds what commit 2737aa0 wrote, and all of it opens as it did."""

import json
import shutil
from pathlib import Path

import pytest
from opening import everything_said, opened

from pages.components import model_picker
from tradeoff_core.__main__ import main
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.spec import spec_from_dict, spec_to_dict
from tradeoff_core.experiments.stored_runs import State, find_run
from tradeoff_core.models import zoo

FIXTURES = Path(__file__).parents[1] / "fixtures"
NAME = "mnist-5k-dirty-label-pgd-0.05-seed3-21f27107"  # the name ends in its spec's digest of then
FINISHED, INTERRUPTED = FIXTURES / "runs" / NAME, FIXTURES / "runs" / "interrupted"
RESULT = json.loads((FINISHED / "result.json").read_text())


@pytest.fixture
def old(tmp_path):
    """A copy of the old runs, which may be changed."""
    return Path(shutil.copytree(FIXTURES / "runs", tmp_path / "runs"))


@pytest.fixture
def said(capsys):
    """What a command prints as JSON."""

    def call(*arguments):
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


def test_an_old_spec_is_read_and_written_as_it_was_and_keeps_its_id():
    document = json.loads((FINISHED / "spec.json").read_text())
    spec = spec_from_dict(document)
    assert spec.id == NAME
    assert spec_to_dict(spec) == document


def test_old_runs_are_listed_with_state_name_numbers_and_epochs(old, said):
    by_id = {run["run"]: run for run in said("runs", "list", "--runs", old)}
    assert set(by_id) == {NAME, "interrupted"}
    done = said("runs", "show", NAME, "--runs", old)
    assert (done["name"], done["note"], done["state"]) == ("made before the rooms", "seed 3", "done")
    assert done["metrics"] == RESULT["metrics"]
    assert [entry["epoch"] for entry in done["progress"]] == [1, 2, 3, 4, 5]
    assert by_id["interrupted"]["state"] == "interrupted"


def test_an_old_run_is_evaluated_to_its_card(old, said):
    measured = said("evaluate", old / NAME)
    assert {name: measured[name] for name in RESULT["metrics"]} == pytest.approx(RESULT["metrics"])
    assert measured["backdoor_n"] == 902


def test_an_old_archive_is_imported_and_holds_the_run(old, tmp_path, said):
    root = tmp_path / "elsewhere"
    assert said("runs", "import", FIXTURES / "archives" / f"{NAME}.zip", "--runs", root)["run"] == NAME
    for file in FINISHED.iterdir():
        assert (root / NAME / file.name).read_bytes() == (old / NAME / file.name).read_bytes()
    assert find_run(root, NAME).metrics == RESULT["metrics"]
    assert zoo.load_network(zoo.find_model(str(root / NAME))).image_shape == (1, 28, 28)


def test_an_old_finished_run_is_not_trained_again_and_an_interrupted_one_goes_on_to_the_same_result(old):
    spec = spec_from_dict(json.loads((FINISHED / "spec.json").read_text()))

    def never(_):
        raise AssertionError("it was trained")

    assert run_experiment(spec, old / NAME, never) == RESULT
    trained = []
    result = run_experiment(spec, old / "interrupted", lambda entry: trained.append(entry.epoch))
    assert trained == [3, 4, 5]  # its checkpoint is of the second
    assert result["metrics"] == RESULT["metrics"]
    assert result["second_metrics"] == RESULT["second_metrics"]
    assert find_run(old, "interrupted").state is State.DONE


def test_old_runs_are_in_the_table_in_the_pickers_and_in_the_address(old, runs_at):
    runs_at(old)
    app = opened("runs")
    assert not app.exception
    assert {"made before the rooms", "interrupted"} <= set(app.dataframe[0].value["name"])
    label = model_picker.describe(zoo.find_model(str(old / NAME)))
    app = opened("overview", B=label)
    assert not app.exception
    assert app.sidebar.selectbox(key="B").value == NAME
    assert f">{RESULT['metrics']['backdoor_success_rate']:.0%}<" in everything_said(app)
