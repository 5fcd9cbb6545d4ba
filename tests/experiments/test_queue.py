"""Runs in the background: queued, stopped, resumed to the result of an unbroken run."""

import time
from dataclasses import replace

import pytest
from background import finish, start, state, unbroken, until
from pace import least_seconds

from tradeoff_core.__main__ import main
from tradeoff_core.common.locks import held
from tradeoff_core.experiments import queue
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.stored_runs import State, change_order, find_run, rename, stored_runs

pytestmark = pytest.mark.usefixtures("one_thread")


def without_seconds(progress):
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in progress]


def test_a_queued_run_trains_in_the_background_and_leaves_what_the_command_does(tmp_path, slow):
    started = time.perf_counter()
    folder = start(tmp_path, slow)
    assert time.perf_counter() - started < 0.5
    assert state(tmp_path, slow) in (State.QUEUED, State.RUNNING)
    until(lambda: state(tmp_path, slow) is State.RUNNING)
    run = finish(tmp_path, slow)
    assert run.metrics == unbroken(slow)
    assert len(run.progress()) == 12
    assert (folder / "model.safetensors").is_file()


def test_a_stopped_run_keeps_its_epochs_and_goes_on_to_the_same_result(tmp_path, slow):
    folder = start(tmp_path, slow)
    until(lambda: len(find_run(tmp_path, slow.id).progress()) >= 2)
    queue.stop(tmp_path, slow.id)
    until(lambda: state(tmp_path, slow) is State.STOPPED)
    kept = find_run(tmp_path, slow.id).progress()
    assert 2 <= len(kept) < 12
    assert (folder / "checkpoint.safetensors").is_file()
    run = finish(tmp_path, slow)
    assert run.metrics == unbroken(slow)
    assert without_seconds(run.progress()[: len(kept)]) == without_seconds(kept)


def test_a_queue_is_worked_off_oldest_first_and_a_failure_does_not_stop_it(tmp_path, tiny_spec, monkeypatch):
    monkeypatch.setenv("TRADEOFF_JOBS", "1")
    broken = spec_to_dict(tiny_spec) | {"seed": 1}
    queue.enqueue(tmp_path, "broken", broken | {"colour": "red"})
    queue.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    assert queue.work(tmp_path) == 2
    assert find_run(tmp_path, tiny_spec.id).state is State.DONE
    failed = find_run(tmp_path, "broken")
    assert failed.state is State.FAILED
    assert failed.problem.startswith("unknown field 'colour'")


def test_a_run_is_not_queued_twice_nor_trained_by_two(tmp_path, tiny_spec, refused):
    queue.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    with refused("this run is already queued"):
        queue.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    with held(tmp_path / tiny_spec.id), refused("is being trained by another process"):
        run_experiment(tiny_spec, tmp_path / tiny_spec.id)
    queue.work(tmp_path)
    with refused("this run is already done"):
        queue.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))


def test_a_run_is_named_before_it_starts_and_no_two_are_called_alike(tmp_path, tiny_spec, refused):
    other = replace(tiny_spec, seed=1)
    asked = {"name": "mine", "epoch_seconds": 2.0, "measuring_seconds": 3.0}
    queue.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec), asked)
    run = find_run(tmp_path, tiny_spec.id)
    assert (run.name, run.expected) == ("mine", (2.0, 3.0))
    with refused("another run is called 'mine'"):
        queue.enqueue(tmp_path, other.id, spec_to_dict(other), asked)
    queue.enqueue(tmp_path, other.id, spec_to_dict(other))
    with refused("another run is called 'mine'"):
        rename(tmp_path, other.id, "mine", "")
    rename(tmp_path, tiny_spec.id, "mine", "a note")  # its own
    assert find_run(tmp_path, tiny_spec.id).note == "a note"


def test_a_run_that_waits_can_be_stopped_before_it_starts(tmp_path, tiny_spec):
    queue.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    queue.stop(tmp_path, tiny_spec.id)
    assert state(tmp_path, tiny_spec) is State.STOPPED
    assert queue.work(tmp_path) == 0


def test_too_many_slots_or_none_is_one_sentence(monkeypatch, refused):
    for wrong in ("0", "many", "-1"):
        monkeypatch.setenv("TRADEOFF_JOBS", wrong)
        with refused("is not a whole number from 1"):
            queue.at_once()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, tiny_spec, refused):
    (tmp_path / "file").write_text("")
    with refused("the run cannot be written"):
        queue.enqueue(tmp_path / "file", tiny_spec.id, spec_to_dict(tiny_spec))


def test_the_commands_stop_and_resume(tmp_path, tiny_spec, capsys):
    queue.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    assert main(["runs", "stop", tiny_spec.id, "--runs", str(tmp_path)]) == 0
    assert "is stopped" in capsys.readouterr().out
    assert main(["runs", "resume", tiny_spec.id, "--runs", str(tmp_path)]) == 0
    until(lambda: state(tmp_path, tiny_spec) is State.DONE)


def test_a_thousand_runs_are_listed_within_a_second(tmp_path, finished_run):
    content = {
        name: (finished_run / name).read_bytes() for name in ("spec.json", "progress.jsonl", "result.json")
    }
    for number in range(1000):
        folder = tmp_path / f"run-{number}"
        folder.mkdir()
        for name, data in content.items():
            (folder / name).write_bytes(data)
        change_order(folder, queued=float(number + 1))
    stored_runs(tmp_path)
    assert least_seconds(lambda: stored_runs(tmp_path)) < 1
    runs = stored_runs(tmp_path)
    assert len(runs) == 1000
    assert runs[0].id == "run-999"
