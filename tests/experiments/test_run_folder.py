"""A run's folder: its files by name, each read as what it is, or said to be damaged."""

import json
import shutil
import subprocess
import sys

import pytest

from tradeoff_core.common.paths import ROOT
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.stored_runs import State, change_order, read_run


@pytest.fixture
def folder(finished_run, tmp_path):
    return RunFolder(shutil.copytree(finished_run, tmp_path / "mine"))


def test_the_files_of_a_finished_run_are_read(folder, tiny_spec):
    assert folder.finished
    assert folder.read_spec() == spec_to_dict(tiny_spec)
    assert folder.read_result()["metrics"] == folder.read_card().metrics
    assert [entry["epoch"] for entry in folder.epochs()] == [1, 2]
    assert folder.read_order() == {}


def test_what_is_not_there_or_empty_is_none(tmp_path):
    empty = RunFolder(tmp_path)
    for file in (empty.spec, empty.result, empty.order):
        file.write_text("{}")
    assert (empty.read_spec(), empty.read_result(), empty.read_order(), empty.epochs()) == (
        {},
        None,
        {},
        [],
    )
    absent = RunFolder(tmp_path / "none")
    assert (absent.read_spec(), absent.read_result(), absent.read_order(), absent.epochs()) == (
        None,
        None,
        {},
        [],
    )
    assert not absent.finished


def test_checkpoints_go_with_those_half_written_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path)
    for number in (0, 1):
        folder.checkpoint(number).write_bytes(b"1")
    assert {folder.checkpoint(number).name for number in (0, 1)} == {
        "checkpoint.safetensors",
        "checkpoint-2.safetensors",
    }
    for name in (".checkpoint.safetensors.77", ".checkpoint-2.safetensors.a1.unfinished", "mine.safetensors"):
        (tmp_path / name).write_bytes(b"1")
    folder.remove_checkpoints()
    assert [file.name for file in tmp_path.iterdir()] == ["mine.safetensors"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"epoch": 3}', "line 3 of progress.jsonl is damaged: epochs is missing"),
        ('{"epoch": 3, "epochs": 2, "loss": {}, "seconds": 1}', "loss must be a number, not"),
        (
            '{"epoch": 0, "epochs": 2, "loss": 1, "seconds": 1}',
            "epoch 0 is out of range: a whole number from 1",
        ),
        ('{"epoch": "3", "epochs": 2, "loss": 1, "seconds": 1}', "epoch must be a whole number, not '3'"),
        ('{"epoch": 3, "epochs": 2, "loss": 1, "seconds": -1}', "seconds -1 is out of range"),
        ("3", "line 3 of progress.jsonl is damaged: it must be a table"),
    ],
)
def test_a_line_without_its_fields_is_named_and_shown_nowhere(line, said, folder, refused):
    with folder.progress.open("a") as file:
        file.write(line + "\n")
    assert [entry["epoch"] for entry in folder.epochs()] == [1, 2]
    with refused(said):
        folder.check_epochs()


def test_a_line_that_a_kill_tore_is_no_damage(folder):
    with folder.progress.open("a") as file:
        file.write('{"epoch": 3, "epo')
    folder.check_epochs()
    assert [entry["epoch"] for entry in folder.epochs()] == [1, 2]


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (
            "result.json",
            {"metrics": {"clean_accuracy": {}}},
            "result.json is damaged: metrics.n is missing: put",
        ),
        ("result.json", {"metrics": "good"}, "result.json is damaged: metrics must be a table of fields"),
        (
            "order.json",
            {"queued": "yesterday"},
            "order.json is damaged: queued must be a number, not 'yesterday'",
        ),
        ("order.json", {"name": ["mine"]}, "order.json is damaged: name must be a text"),
        ("order.json", {"process": -1}, "order.json is damaged: process -1 is out of range"),
    ],
)
def test_a_damaged_document_is_shown_as_damaged(file, change, said, folder):
    path = folder.path / file
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(before | change))
    run = read_run(folder.path)
    assert run.state is State.FAILED
    assert run.problem.startswith(said)
    assert run.name == "mine"


def test_a_damaged_order_begins_anew(folder):
    folder.order.write_text("{")
    change_order(folder.path, note="again")
    assert folder.read_order() == {"note": "again"}


def test_runs_are_listed_without_torch():
    code = "import tradeoff_core.experiments.queue, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
