"""Sweeps: grids become runs, runs are kept one by one, and a broken-off sweep does only what is left."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tradeoff_core.__main__ import main
from tradeoff_core.presets import PRESETS
from tradeoff_core.sweep import Job, read_grid, run_one, run_sweep

TINY = """
[[grid]]
name = "tiny"
set = { width = 0.05, "training.epochs" = 2, "training.batch_size" = 200, "evaluation.steps" = 1 }
vary = { seed = [0, 1] }
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def grid_of(text: str, tmp_path: Path) -> list[Job]:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return read_grid(path)


def without_times(results: list[dict]) -> list[dict]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in results]


def test_a_grid_is_every_combination_over_what_is_shared(tmp_path):
    jobs = grid_of(TINY.replace("[0, 1]", '[0, 1], "poison.rate" = [0.5, 1.0]'), tmp_path)
    assert [(job.spec.seed, job.spec.poison.rate) for job in jobs] == [(0, 0.5), (0, 1.0), (1, 0.5), (1, 1.0)]
    assert all(job.name == "tiny" and job.spec.training.epochs == 2 for job in jobs)
    assert len({job.spec.id for job in jobs}) == 4


def test_several_grids_keep_their_order_and_a_run_is_asked_for_once(tmp_path):
    jobs = grid_of(
        '[[grid]]\nvary.seed = [0, 1]\n[[grid]]\npreset = "fast"\n[[grid]]\nvary.seed = [1, 2]\n', tmp_path
    )
    assert [job.spec.seed for job in jobs] == [0, 1, 0, 2]
    assert jobs[2].spec == PRESETS["fast"]


def test_no_poison_and_another_trigger_can_be_said(tmp_path):
    text = '[[grid]]\nvary."poison" = ["none"]\n[[grid]]\nset."poison.trigger.kind" = "watermark"\n'
    none, watermark = grid_of(text, tmp_path)
    assert none.spec.poison is None
    assert type(watermark.spec.trigger).__name__ == "Watermark"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"must hold tables \[\[grid\]\]"),
        ("grid = 3", r"must hold tables \[\[grid\]\]"),
        ("[[grid]]\n[other]", "and nothing else"),
        ("[[grid]", "is not valid TOML"),
        ("[[grid]]\nvery = 1", "unknown field 'very'"),
        ('[[grid]]\npreset = "slow"', "unknown preset 'slow'"),
        ("[[grid]]\nvary.seed = 3", "vary.seed must be a list"),
        ("[[grid]]\nvary.seed = []", "vary.seed must be a list of at least one"),
        ("[[grid]]\nset = 3", "set and vary must be tables"),
        ("[[grid]]\n[[grid]]\nvary.seed = [0, -1]", "grid 2, seed=-1: seed -1 is out of range"),
        ("[[grid]]\nset.colour = 3", "unknown field 'colour'"),
    ],
)
def test_a_wrong_grid_is_one_sentence(text, sentence, tmp_path, refused):
    with refused(sentence):
        grid_of(text, tmp_path)


def test_a_missing_grid_is_one_sentence(tmp_path, refused):
    with refused("no readable grid file"):
        read_grid(tmp_path / "none.toml")


def test_two_workers_give_what_one_run_at_a_time_gives_and_a_second_sweep_skips_all(grid, tmp_path):
    jobs = read_grid(grid)
    told: list[float] = []
    swept = run_sweep(jobs, tmp_path / "a", tmp_path / "a.jsonl", workers=2, progress=told.append)
    assert (swept.done, swept.failed, swept.skipped) == (2, 0, 0)
    assert told[-1] == pytest.approx(1)
    written = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert written == json.loads(json.dumps(swept.results))
    assert [line["run"] for line in written] == [job.spec.id for job in jobs]
    alone = run_one(written[0]["spec"], str(tmp_path / "alone"))
    assert alone["metrics"] == written[0]["metrics"]
    again = run_sweep(jobs, tmp_path / "a", tmp_path / "a.jsonl")
    assert (again.done, again.failed, again.skipped) == (0, 0, 2)
    assert again.results == swept.results


def test_a_failed_run_is_recorded_and_the_others_go_on(grid, tmp_path):
    jobs = read_grid(grid)[:2]
    folder = tmp_path / "runs" / jobs[0].spec.id
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    swept = run_sweep(jobs, tmp_path / "runs", tmp_path / "out.jsonl")
    assert (swept.done, swept.failed) == (1, 1)
    assert "holds another run" in swept.results[0]["error"]
    assert "metrics" in swept.results[1]


def test_a_worker_that_dies_is_recorded(grid, tmp_path):
    def kill_the_first() -> None:
        while not multiprocessing.active_children():
            time.sleep(0.01)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    swept = run_sweep(read_grid(grid)[:2], tmp_path / "runs", tmp_path / "out.jsonl")
    killer.join()
    assert swept.results[0]["error"] == "the worker died with exit code -9"
    assert "metrics" in swept.results[1]


def test_a_killed_sweep_does_only_what_was_left_and_ends_as_an_unbroken_one(grid, tmp_path):
    command = [sys.executable, "-m", "tradeoff_core", "sweep", str(grid), "--json", "--runs"]
    broken = subprocess.Popen(
        [*command, str(tmp_path / "broken")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while len(list((tmp_path / "broken").glob("*/result.json"))) < 1:
        assert broken.poll() is None
        time.sleep(0.05)
    broken.kill()
    broken.wait()
    kept = len(list((tmp_path / "broken").glob("*/result.json")))
    done = subprocess.run([*command, str(tmp_path / "broken")], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["skipped"] >= kept
    assert answer["done"] + answer["skipped"] == 2
    assert answer["failed"] == 0
    whole = run_sweep(read_grid(grid), tmp_path / "whole", tmp_path / "whole.jsonl")
    lines = [json.loads(line) for line in Path(answer["results"]).read_text().splitlines()]
    assert without_times(lines) == without_times(json.loads(json.dumps(whole.results)))


def test_bad_usage_is_one_sentence(grid, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for arguments in (["--runs", str(tmp_path / "file")], ["--results", str(tmp_path)], ["--workers", "0"]):
        assert main(["sweep", str(grid), *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_what_the_results_file_holds_is_not_done_again_without_its_folders(grid, tmp_path):
    jobs, results = read_grid(grid), tmp_path / "out.jsonl"
    first = run_sweep(jobs[:1], tmp_path / "elsewhere", results)
    swept = run_sweep(jobs, tmp_path / "runs", results)
    assert (swept.done, swept.failed, swept.skipped) == (1, 0, 1)
    assert swept.results[0] == first.results[0]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [jobs[1].spec.id]


def test_a_failed_line_or_one_of_another_spec_is_done_again(grid, tmp_path):
    (job, _), results = read_grid(grid), tmp_path / "out.jsonl"
    for line in (
        {"name": "tiny", "run": job.spec.id, "error": "no memory"},
        {"name": "tiny", "run": job.spec.id, "metrics": {}, "spec": {}},
    ):
        results.write_text(json.dumps(line) + "\n")
        swept = run_sweep([job], tmp_path / str(len(line)), results)
        assert swept.results[0]["metrics"]["n"] == 1000


def test_a_damaged_results_file_is_one_sentence_and_stays(grid, tmp_path, refused):
    results = tmp_path / "out.jsonl"
    results.write_text('{"run": ')
    with refused("is damaged: delete it"):
        run_sweep(read_grid(grid), tmp_path / "runs", results)
    assert results.read_text() == '{"run": '
