"""Many experiments on one machine: a grid over the fields of a spec, in worker processes of one thread each.

A grid file is TOML, a list of tables:

    [[grid]]
    name = "strength of the attacker"                # goes into every result line
    preset = "adversarial"                           # what the runs start from
    set = { "width" = 0.5 }                          # changes that all of them share
    vary = { "training.attack.epsilon" = [0.1, 0.3], "seed" = [0, 1, 2] }   # every combination
    poisons = "all"                                  # or some of experiments/poisons.py: each, under its own name

Every run lies in its own folder, goes on where it stopped, and is skipped if it is finished or if the results file
already holds it. A run that fails, or whose process dies, is recorded and does not stop the others. Runs are started in
the grid's order, the most worth having first; within a given time only those that fit it.
"""

import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import read_by_hand, read_lines, shortened, write_lines
from tradeoff_core.experiments.poisons import POISONS
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec, changed, flat, spec_from_dict, spec_to_dict
from tradeoff_core.experiments.stored_runs import read_run
from tradeoff_core.experiments.timetable import Timetable
from tradeoff_core.experiments.workers import Workers
from tradeoff_core.training.loop import Progress

Execute = Callable[[ExperimentSpec, Path, Callable[[float], None]], dict[str, Any] | None]

MOST_RUNS = 10_000  # of a grid
FIELDS = ("name", "preset", "set", "vary", "poisons")


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep, and the name of the grid that asked for it."""

    name: str
    spec: ExperimentSpec


@dataclass(frozen=True, slots=True)
class Sweep:
    """What came of a sweep: result lines in the grid's order, and how many were done, failed and skipped.

    `left` counts the runs that the time was too short for; they have no line.
    """

    results: list[dict[str, Any]]
    done: int
    failed: int
    skipped: int
    left: int = 0


def read_grids(paths: Sequence[Path]) -> list[Job]:
    """The runs of several grid files, in order, each once, under the name of the first grid that asks for it."""
    return _each_once(job for path in paths for job in read_grid(path))


def read_grid(path: Path) -> list[Job]:
    """The runs of a grid file, in order, each once. Raises TradeoffError that names what is wrong in it."""
    document = read_by_hand(path, "grid", "valid TOML")
    grids = document.get("grid")
    if set(document) != {"grid"} or not isinstance(grids, list) or not grids:
        raise TradeoffError(f"{path.name} must hold tables [[grid]] and nothing else")
    return _each_once(job for number, grid in enumerate(grids) for job in _expand(grid, f"grid {number + 1}"))


def _each_once(jobs: Iterable[Job]) -> list[Job]:
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.spec.id, job)
    return list(first.values())


def _expand(grid: Any, place: str) -> Iterator[Job]:
    """Every combination of what varies."""
    unknown = [name for name in grid if name not in FIELDS] if isinstance(grid, dict) else ["?"]
    if unknown:
        raise TradeoffError(f"{place}: unknown field '{unknown[0]}': choose {', '.join(FIELDS)}")
    preset = grid.get("preset", "standard")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise TradeoffError(
            f"{place}: unknown preset '{shortened(preset)}': choose one of {', '.join(PRESETS)}"
        )
    shared, vary = _table(grid, "set", place), _table(grid, "vary", place)
    for key, values in vary.items():
        if not isinstance(values, list) or not values:
            raise TradeoffError(f"{place}: vary.{key} must be a list of at least one value")
    asked = math.prod(len(values) for values in vary.values())
    if asked > MOST_RUNS:
        raise TradeoffError(f"{place} asks for {asked:,} runs: at most {MOST_RUNS:,}")
    settings = [_setting(key, value) for key, value in shared.items()]
    for name, spec in _poisoned(grid, PRESETS[preset], place):
        base = changed(spec_to_dict(spec), settings)
        for combination in itertools.product(*vary.values()):
            varied = [_setting(key, value) for key, value in zip(vary, combination, strict=True)]
            try:
                yield Job(name, spec_from_dict(changed(base, varied)))
            except TradeoffError as error:
                raise TradeoffError(
                    f"{place}, {', '.join(map(shortened, varied)) or 'as it is'}: {error}"
                ) from None


def _poisoned(grid: dict[str, Any], spec: ExperimentSpec, place: str) -> Iterator[tuple[str, ExperimentSpec]]:
    """The preset under the grid's name, or with each poison that the grid lists, under that one's."""
    if "poisons" not in grid:
        yield str(grid.get("name", place)), spec
        return
    asked = grid["poisons"]
    names = list(POISONS) if asked == "all" else asked
    known = [isinstance(name, str) and name in POISONS for name in names] if isinstance(names, list) else []
    if not (known and all(known)):
        raise TradeoffError(
            f'{place}: poisons must be "all" or a list of some of {", ".join(POISONS)}: not {shortened(asked)}'
        )
    for name in names:
        yield name, replace(spec, poison=POISONS[name])


def _table(grid: dict[str, Any], name: str, place: str) -> dict[str, Any]:
    """A table's entries with dotted keys, so that `training.epochs` may be written with quotes or without."""
    table = grid.get(name, {})
    if not isinstance(table, dict):
        raise TradeoffError(f"{place}: set and vary must be tables")
    return flat(table)


def _setting(key: str, value: Any) -> str:
    """A value as `changed` reads it; JSON's text and TOML's agree on what a spec holds."""
    return f"{key}={json.dumps(value)}"


def run_one(
    document: dict[str, Any], folder: str, report: Callable[[Progress], None] | None = None
) -> dict[str, Any]:
    """One experiment, from the spec as a document to its result: the unit that is sent to a worker."""
    return dict(run_experiment(spec_from_dict(document), Path(folder), report))


def run_sweep(
    jobs: Sequence[Job],
    runs: Path,
    results: Path,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
    execute: Execute | None = None,
    within: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Sweep:
    """Run what is not finished yet, `workers` at a time, and write a line of JSON a run to `results`.

    `execute` gives the result of a run, what went wrong as {"error": ...}, or None where the time was over; by default
    processes of this machine do. With `within` only runs are started that fit so many seconds of the `clock`; those of
    this machine that take longer than it looked are stopped then, and go on from their last epoch in the next sweep.

    `progress` is told the share of all work that is done. The file is rewritten whole after every run, so
    a kill at any moment leaves lines that are true. A failed run is tried again by the next sweep.
    """
    if workers < 1:
        raise TradeoffError(f"workers {workers} is out of range: a whole number from 1")
    lines = _finished(jobs, runs, results)
    waiting = {job.spec.id: job for job in jobs if job.spec.id not in lines}
    specs = [job.spec for job in waiting.values()]
    table = Timetable(specs, within, {spec.id: _behind(spec, runs / spec.id) for spec in specs}, clock)
    lock = threading.Lock()

    def say(share: float) -> None:
        with lock:
            if progress:
                progress(share)

    def work(execute: Execute) -> None:
        while (spec := table.take()) is not None:
            result = execute(spec, runs / spec.id, lambda share, spec=spec: say(table.tell(spec, share)))  # type: ignore[misc]
            if result is not None:
                with lock:
                    lines[spec.id] = _line(waiting[spec.id], result)
                    write_lines(results, [lines[job.spec.id] for job in jobs if job.spec.id in lines])
            say(table.end(spec, result is not None and "error" not in result))

    write_lines(results, [lines[job.spec.id] for job in jobs if job.spec.id in lines])
    with Workers(table.seconds_left) as processes, ThreadPoolExecutor(workers) as pool:
        try:
            for future in [pool.submit(work, execute or processes.execute) for _ in range(workers)]:
                future.result()
        except BaseException:
            table.close()
            processes.stop()  # which the threads wait for
            raise
    failed = sum("error" in line for line in lines.values())
    left = len(jobs) - len(lines)
    return Sweep(
        [lines[job.spec.id] for job in jobs if job.spec.id in lines],
        len(waiting) - failed - left,
        failed,
        len(jobs) - len(waiting),
        left,
    )


def _behind(spec: ExperimentSpec, folder: Path) -> float:
    """The share of its training that a broken-off run has done."""
    run = read_run(folder) if any(folder.glob("checkpoint*.safetensors")) else None
    return max((entry["epoch"] for entry in run.progress()), default=0) / spec.epochs if run else 0.0


def _finished(jobs: Sequence[Job], runs: Path, results: Path) -> dict[str, dict[str, Any]]:
    """The lines of the runs that are done, by id: from their folders, or from the results file of another machine."""
    try:
        kept = {line["run"]: line for line in read_lines(results) if "error" not in line}
    except (TradeoffError, KeyError, TypeError):
        raise TradeoffError(f"'{results}' is damaged: delete it, or choose another file") from None
    lines = {}
    for job in jobs:
        folder, line = runs / job.spec.id, kept.get(job.spec.id)
        if RunFolder(folder).finished:
            lines[job.spec.id] = _line(job, run_experiment(job.spec, folder))  # a finished one is only read
        elif line is not None and line.get("spec") == spec_to_dict(job.spec):
            lines[job.spec.id] = line | {"name": job.name}
    return lines


def _line(job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": job.name, "run": job.spec.id, **result, "spec": spec_to_dict(job.spec)}
