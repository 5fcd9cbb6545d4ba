"""Runs in the background: queued, stopped, killed at any moment, resumed to the result of an unbroken run."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tradeoff_core import jobs
from tradeoff_core.__main__ import main
from tradeoff_core.experiments import run_experiment
from tradeoff_core.locks import held
from tradeoff_core.runs import State, change_order, find_run, stored_runs
from tradeoff_core.specs import spec_from_dict, spec_to_dict

PATIENCE = 120


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setenv("TRADEOFF_JOBS", str(os.cpu_count()))  # a thread each, as the unbroken run has


@pytest.fixture(scope="module")
def slow(tiny_spec):
    """A run of some seconds, most of which are epochs."""
    document = spec_to_dict(tiny_spec)
    document["training"]["epochs"] = 12
    return spec_from_dict(document)


@pytest.fixture(scope="module")
def unbroken(slow, tmp_path_factory):
    return run_experiment(slow, tmp_path_factory.mktemp("unbroken") / slow.id)["metrics"]


def until(condition, seconds=PATIENCE):
    """Wait until a condition gives something true, and give that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def start(root, spec):
    jobs.enqueue(root, spec.id, spec_to_dict(spec))
    jobs.ensure_workers(root)
    return root / spec.id


def state(root, spec):
    return find_run(root, spec.id).state


def process_of(folder):
    return until(lambda: json.loads((folder / "order.json").read_text()).get("process"))


def finish(root, spec):
    until(lambda: state(root, spec) is not State.RUNNING)
    if state(root, spec) is not State.DONE:
        jobs.resume(root, spec.id)
    until(lambda: state(root, spec) is State.DONE)
    return find_run(root, spec.id)


def test_a_queued_run_trains_in_the_background_and_leaves_what_the_command_does(tmp_path, slow, unbroken):
    started = time.perf_counter()
    folder = start(tmp_path, slow)
    assert time.perf_counter() - started < 0.5
    assert state(tmp_path, slow) in (State.QUEUED, State.RUNNING)
    until(lambda: state(tmp_path, slow) is State.RUNNING)
    run = finish(tmp_path, slow)
    assert run.metrics == unbroken
    assert len(run.progress()) == 12
    assert (folder / "model.safetensors").is_file()


def test_a_stopped_run_keeps_its_epochs_and_goes_on_to_the_same_result(tmp_path, slow, unbroken):
    folder = start(tmp_path, slow)
    until(lambda: len(find_run(tmp_path, slow.id).progress()) >= 2)
    jobs.stop(tmp_path, slow.id)
    until(lambda: state(tmp_path, slow) is State.STOPPED)
    kept = find_run(tmp_path, slow.id).progress()
    assert 2 <= len(kept) < 12
    assert (folder / "checkpoint.safetensors").is_file()
    run = finish(tmp_path, slow)
    assert run.metrics == unbroken
    assert run.progress()[: len(kept)] == kept


@pytest.mark.parametrize("moment", range(2))
@pytest.mark.parametrize("victim", ["training", "worker", "both"])
def test_killed_at_any_moment_it_is_interrupted_and_resumes_to_the_same_result(
    victim, moment, tmp_path, slow, unbroken
):
    folder = start(tmp_path, slow)
    training = process_of(folder)
    worker = int(Path(f"/proc/{training}/stat").read_text().rpartition(")")[2].split()[1])
    time.sleep(random.Random(f"{victim}-{moment}").uniform(0, 4))
    for process in {"training": [training], "worker": [worker], "both": [worker, training]}[victim]:
        if state(tmp_path, slow) is not State.DONE:
            os.kill(process, signal.SIGKILL)
    if victim != "worker" and state(tmp_path, slow) is not State.DONE:
        until(lambda: state(tmp_path, slow) is State.INTERRUPTED)
    assert finish(tmp_path, slow).metrics == unbroken


def test_a_queue_is_worked_off_oldest_first_and_a_failure_does_not_stop_it(tmp_path, tiny_spec, monkeypatch):
    monkeypatch.setenv("TRADEOFF_JOBS", "1")
    broken = spec_to_dict(tiny_spec) | {"seed": 1}
    jobs.enqueue(tmp_path, "broken", broken | {"colour": "red"})
    jobs.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    assert jobs.work(tmp_path) == 2
    assert find_run(tmp_path, tiny_spec.id).state is State.DONE
    failed = find_run(tmp_path, "broken")
    assert failed.state is State.FAILED
    assert failed.problem.startswith("unknown field 'colour'")


def test_a_run_is_not_queued_twice_nor_trained_by_two(tmp_path, tiny_spec, refused):
    jobs.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    with refused("this run is already queued"):
        jobs.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    with held(tmp_path / tiny_spec.id), refused("is being trained by another process"):
        run_experiment(tiny_spec, tmp_path / tiny_spec.id)
    jobs.work(tmp_path)
    with refused("this run is already done"):
        jobs.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))


def test_a_run_that_waits_can_be_stopped_before_it_starts(tmp_path, tiny_spec):
    jobs.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
    jobs.stop(tmp_path, tiny_spec.id)
    assert state(tmp_path, tiny_spec) is State.STOPPED
    assert jobs.work(tmp_path) == 0


def test_too_many_slots_or_none_is_one_sentence(monkeypatch, refused):
    for wrong in ("0", "many", "-1"):
        monkeypatch.setenv("TRADEOFF_JOBS", wrong)
        with refused("is not a whole number from 1"):
            jobs.at_once()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path, tiny_spec, refused):
    (tmp_path / "file").write_text("")
    with refused("the run cannot be written"):
        jobs.enqueue(tmp_path / "file", tiny_spec.id, spec_to_dict(tiny_spec))


def test_the_commands_stop_and_resume(tmp_path, tiny_spec, capsys):
    jobs.enqueue(tmp_path, tiny_spec.id, spec_to_dict(tiny_spec))
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
    times = []
    for _ in range(3):
        started = time.perf_counter()
        runs = stored_runs(tmp_path)
        times.append(time.perf_counter() - started)
    assert len(runs) == 1000
    assert runs[0].id == "run-999"
    assert min(times) < 1
