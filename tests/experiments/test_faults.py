"""What goes wrong on a real machine: kills at any moment, a full disk, two servers, files of other versions.

A few moments of each by default; `python -m pytest -m faults --moments 10` tries ten.
"""

import json
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import sleep

import pytest
from background import finish, kill, parent_of, process_of, start, state, unbroken, until
from streamlit.testing.v1 import AppTest

from tradeoff_core.experiments import queue
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.stored_runs import State, find_run, stored_runs

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("one_thread")]
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("victim", ["training", "worker", "both"])
def test_killed_at_any_moment_it_is_interrupted_and_resumes_to_the_same_result(
    victim, moment, tmp_path, slow
):
    folder = start(tmp_path, slow)
    training = process_of(folder)
    worker = parent_of(training)
    sleep(random.Random(f"{victim}-{moment}").uniform(0, 4))
    if state(tmp_path, slow) is not State.DONE:
        kill(*{"training": [training], "worker": [worker], "both": [worker, training]}[victim])
    if victim != "worker" and state(tmp_path, slow) is not State.DONE:
        until(lambda: state(tmp_path, slow) is State.INTERRUPTED)
    assert finish(tmp_path, slow).metrics == unbroken(slow)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of two megabytes, which only root may make."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk):
    """Leave no byte free."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return ballast


def test_a_disk_that_fills_up_fails_the_run_in_one_sentence_and_costs_no_epoch(small_disk, slow):
    start(small_disk, slow)
    until(lambda: len(find_run(small_disk, slow.id).progress()) >= 2)
    ballast = fill(small_disk)
    until(lambda: state(small_disk, slow) in (State.FAILED, State.INTERRUPTED))
    said = (small_disk / slow.id / "log.txt").read_text()
    ballast.unlink()
    run = find_run(small_disk, slow.id)
    assert "No space left on device" in run.problem + said
    assert len(run.progress()) >= 2
    assert finish(small_disk, slow).metrics == unbroken(slow)
    assert not list((small_disk / slow.id).glob(".checkpoint*"))


def test_a_disk_that_is_full_already_is_one_sentence(small_disk, slow, refused):
    ballast = fill(small_disk)
    with refused("the run cannot be written to .*No space left on device"):
        queue.enqueue(small_disk, slow.id, spec_to_dict(slow))
    ballast.unlink()
    queue.enqueue(small_disk, slow.id, spec_to_dict(slow))
    assert state(small_disk, slow) is State.QUEUED


def test_two_servers_on_one_folder_train_every_run_once_and_no_more_at_a_time_than_allowed(
    tmp_path, tiny_spec, monkeypatch
):
    monkeypatch.setenv("TRADEOFF_JOBS", "1")
    names = [f"run-{number}" for number in range(4)]
    for seed, name in enumerate(names):
        queue.enqueue(tmp_path, name, spec_to_dict(tiny_spec) | {"seed": seed})
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tradeoff_core", "work", "--runs", str(tmp_path), "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    most = 0
    while any(worker.poll() is None for worker in workers):
        most = max(most, sum(run.state is State.RUNNING for run in stored_runs(tmp_path)))
        sleep(0.05)
    assert sum(json.loads(worker.communicate()[0])["trained"] for worker in workers) == 4
    assert most == 1
    assert {run.state for run in stored_runs(tmp_path)} == {State.DONE}


def test_a_run_of_a_newer_version_hides_no_other_one_on_any_page(finished_run, tmp_path, monkeypatch):
    for name in ("mine", "newer"):
        shutil.copytree(finished_run, tmp_path / name)
    spec, card = (tmp_path / "newer" / name for name in ("spec.json", "card.json"))
    document = json.loads(spec.read_text()) | {"colour": "red"}
    spec.write_text(json.dumps(document))
    card.write_text(json.dumps(json.loads(card.read_text()) | {"spec": document}))
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path))
    for page in ("runs", "train", "tradeoff", "overview"):
        app = (
            AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).switch_page(f"pages/{page}.py").run()
        )
        assert not app.exception
        if page == "runs":
            assert {"mine", "newer"} <= set(app.dataframe[0].value["name"])
