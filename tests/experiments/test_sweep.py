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
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.sweep import Job, read_grid, read_grids, run_one, run_sweep
from tradeoff_core.experiments.timetable import Timetable
from tradeoff_core.experiments.workers import PATIENCE, Workers

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
        ('[[grid]]\npreset = ["fast"]', r"unknown preset '\['fast'\]'"),
        (
            f"[[grid]]\nvary.seed = {list(range(1000))}\nvary.width = {[0.1] * 1000}",
            "grid 1 asks for 1,000,000 runs: at most 10,000",
        ),
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


def test_a_killed_sweep_does_only_what_was_left_and_ends_as_an_unbroken_one(grid, tmp_path, capsys):
    command = ["sweep", str(grid), "--json", "--runs", str(tmp_path / "broken")]
    broken = subprocess.Popen(
        [sys.executable, "-m", "tradeoff_core", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(list((tmp_path / "broken").glob("*/result.json"))) < 1:
        assert broken.poll() is None
        time.sleep(0.05)
    broken.kill()
    broken.wait()
    kept = len(list((tmp_path / "broken").glob("*/result.json")))
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
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
        {"name": "tiny", "run": job.spec.id, "error": "no memory", "spec": spec_to_dict(job.spec)},
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


class Clock:
    """Seconds that pass only when something says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def pretended(clock: Clock, seconds: float, started: list[int], *, stops: float | None = None):
    """What executes a run in `seconds` of the clock, an epoch at a time; None for one that runs beyond `stops`."""

    def execute(spec, _, note):
        started.append(spec.seed)
        note(0.0)
        for epoch in range(spec.epochs):
            clock.now += seconds / spec.epochs
            if stops is not None and clock.now > stops:
                return None
            note((epoch + 1) / spec.epochs)
        return {"metrics": {}}

    return execute


def seeds(count: int, tmp_path: Path) -> list[Job]:
    return grid_of(TINY.replace("[0, 1]", str(list(range(count)))), tmp_path)


@pytest.mark.parametrize(
    ("within", "runs"),
    [(5.0, 1), (19.0, 1), (20.5, 2), (45.0, 4), (1000.0, 6)],  # the first is started without knowing
)
def test_only_runs_that_fit_the_time_are_started(within, runs, tmp_path):
    clock, started = Clock(), []
    jobs = seeds(6, tmp_path)
    swept = run_sweep(
        jobs,
        tmp_path / "runs",
        tmp_path / "out.jsonl",
        execute=pretended(clock, 10, started),
        within=within,
        clock=clock,
    )
    assert started == list(range(runs))
    assert (swept.done, swept.failed, swept.skipped, swept.left) == (runs, 0, 0, 6 - runs)
    written = [json.loads(line)["run"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written == [job.spec.id for job in jobs[:runs]]


def test_a_shorter_run_takes_the_place_of_one_that_does_not_fit(tmp_path):
    clock, started = Clock(), []
    text = TINY + TINY.replace("[0, 1]", "[2]").replace('epochs" = 2', 'epochs" = 1')
    jobs = grid_of(text, tmp_path)

    def execute(spec, folder, note):
        return pretended(clock, 10 if spec.epochs == 2 else 6, started)(spec, folder, note)

    swept = run_sweep(
        jobs, tmp_path / "runs", tmp_path / "out.jsonl", execute=execute, within=19, clock=clock
    )
    assert started == [0, 2]
    assert swept.left == 1


def test_what_was_left_is_done_by_the_next_sweep(tmp_path):
    clock, started = Clock(), []
    jobs, place = seeds(3, tmp_path), (tmp_path / "runs", tmp_path / "out.jsonl")
    first = run_sweep(jobs, *place, execute=pretended(clock, 10, started), within=12, clock=clock)
    rest = run_sweep(jobs, *place, execute=pretended(clock, 10, started), clock=clock)
    assert (first.done, first.left, rest.done, rest.skipped, rest.left) == (1, 2, 2, 1, 0)
    assert started == [0, 1, 2]


def test_a_run_that_is_stopped_is_left_and_the_others_are_not_started(tmp_path):
    clock, started = Clock(), []
    swept = run_sweep(
        seeds(3, tmp_path),
        tmp_path / "runs",
        tmp_path / "out.jsonl",
        execute=pretended(clock, 10, started, stops=8),
        within=8,
        clock=clock,
    )
    assert (started, swept.done, swept.failed, swept.left) == ([0], 0, 0, 3)


def test_an_estimate_counts_what_a_broken_off_run_has_done(tmp_path):
    first, second = (job.spec for job in seeds(2, tmp_path))
    clock = Clock()
    table = Timetable([first, second], 30, {second.id: 0.5}, clock)
    assert table.take() == first
    table.tell(first, 0.0)
    clock.now = 4
    assert table.tell(first, 0.5) == pytest.approx((0.5 + 0.5) * 2 / (2 * (2 + 0.5)))
    whole = table.seconds(first)
    assert whole == pytest.approx(
        4 / 1 * (2 + 0.5)
    )  # a pass took 4 s; two of training, half of one to measure
    assert table.seconds(second) == pytest.approx(whole - 4)
    clock.now = 30
    assert table.take() is None


def test_the_command_ends_in_time(tmp_path, capsys):
    path = tmp_path / "long.toml"
    path.write_text(TINY.replace('epochs" = 2', 'epochs" = 4000'))
    began = time.monotonic()
    assert main(["sweep", str(path), "--json", "--runs", str(tmp_path / "runs"), "--within", "5s"]) == 0
    assert 4.9 < time.monotonic() - began < 5 + PATIENCE
    answer = json.loads(capsys.readouterr().out)
    assert (answer["done"], answer["failed"], answer["skipped"], answer["left"]) == (0, 0, 0, 2)


def test_a_stopped_run_goes_on_from_its_last_epoch(tmp_path):
    epochs = 4000
    (job,) = grid_of(TINY.replace("[0, 1]", "[0]").replace('epochs" = 2', f'epochs" = {epochs}'), tmp_path)
    told: list[list[float]] = [[], []]
    for heard in told:
        with Workers(lambda heard=heard: 0 if len(heard) > 3 else 100) as workers:
            assert workers.execute(job.spec, tmp_path / "run", heard.append) is None
        assert (tmp_path / "run" / "checkpoint.safetensors").is_file()
    numbers = [[round(share * epochs) for share in heard] for heard in told]
    assert numbers[0][:4] == [0, 1, 2, 3]
    # an epoch may have ended after the last that was heard of, or its checkpoint may not have been written any more
    assert numbers[1][:2] in ([0, last] for last in range(numbers[0][-1], numbers[0][-1] + 3))


def test_a_process_stays_for_the_next_run_and_draws_as_a_new_one_does(grid, tmp_path):
    first, second = (job.spec for job in read_grid(grid))
    with Workers() as workers:
        workers.execute(first, tmp_path / "first", lambda _: None)
        (process,) = multiprocessing.active_children()
        stayed = workers.execute(second, tmp_path / "second", lambda _: None)
        assert multiprocessing.active_children() == [process]
    assert not process.is_alive()
    with Workers() as workers:
        new = workers.execute(second, tmp_path / "new", lambda _: None)
    assert stayed["metrics"] == new["metrics"]


def test_several_grids_go_into_one_results_file(grid, tmp_path, capsys):
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("[0, 1]", "[1, 2]"))
    jobs = read_grids([grid, other])
    assert [job.spec.seed for job in jobs] == [0, 1, 2]
    lines = [{"run": job.spec.id, "metrics": {}, "spec": spec_to_dict(job.spec)} for job in jobs]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main(["sweep", str(grid), str(other), "--json", "--runs", str(tmp_path / "runs")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {
        "done": 0,
        "failed": 0,
        "skipped": 3,
        "left": 0,
        "results": str(tmp_path / "runs" / "results.jsonl"),
    }


@pytest.mark.parametrize("text", ["10", "m", "0s", "-1m", "nans", "10 minutes", ""])
def test_a_wrong_time_is_one_sentence(text, grid, capsys):
    assert main(["sweep", str(grid), f"--within={text}"]) == 2
    assert "is no duration: write 90s, 10m or 2h" in capsys.readouterr().err
