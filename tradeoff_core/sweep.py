"""Many experiments on one machine: a grid over the fields of a spec, in worker processes of one thread each.

A grid file is TOML, a list of tables:

    [[grid]]
    name = "strength of the attacker"                # goes into every result line
    preset = "adversarial"                           # what the runs start from
    set = { "width" = 0.5 }                          # changes that all of them share
    vary = { "training.attack.epsilon" = [0.1, 0.3], "seed" = [0, 1, 2] }   # every combination

Every run lies in its own folder, goes on where it stopped, and is skipped if it is finished or if the results file
already holds it. A run that fails, or whose process dies, is recorded and does not stop the others.
"""

import itertools
import json
import multiprocessing
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tradeoff_core.errors import TradeoffError
from tradeoff_core.experiments import run_experiment
from tradeoff_core.paths import write_atomically
from tradeoff_core.presets import PRESETS
from tradeoff_core.recipes import Training
from tradeoff_core.specs import ExperimentSpec, Source, changed, flat, spec_from_dict, spec_to_dict
from tradeoff_core.training import Progress

Execute = Callable[[ExperimentSpec, Path, Callable[[float], None]], dict[str, Any]]

FIELDS = ("name", "preset", "set", "vary")
HELD_OUT_SHARE = 1 / 9  # of the training images that a data set holds out, roughly


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a sweep, and the name of the grid that asked for it."""

    name: str
    spec: ExperimentSpec


@dataclass(frozen=True, slots=True)
class Sweep:
    """What came of a sweep: result lines in the grid's order, and how many were done, failed and skipped."""

    results: list[dict[str, Any]]
    done: int
    failed: int
    skipped: int


def read_grid(path: Path) -> list[Job]:
    """The runs of a grid file, in order, each once. Raises TradeoffError that names what is wrong in it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise TradeoffError(f"there is no readable grid file '{path}'") from None
    except ValueError as error:
        raise TradeoffError(f"{path.name} is not valid TOML: {error}") from None
    grids = document.get("grid")
    if set(document) != {"grid"} or not isinstance(grids, list) or not grids:
        raise TradeoffError(f"{path.name} must hold tables [[grid]] and nothing else")
    jobs = [job for number, grid in enumerate(grids) for job in _expand(grid, f"grid {number + 1}")]
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
    if preset not in PRESETS:
        raise TradeoffError(f"{place}: unknown preset '{preset}': choose one of {', '.join(PRESETS)}")
    shared, vary = _table(grid, "set", place), _table(grid, "vary", place)
    for key, values in vary.items():
        if not isinstance(values, list) or not values:
            raise TradeoffError(f"{place}: vary.{key} must be a list of at least one value")
    base = changed(spec_to_dict(PRESETS[preset]), [_setting(key, value) for key, value in shared.items()])
    for combination in itertools.product(*vary.values()):
        settings = [_setting(key, value) for key, value in zip(vary, combination, strict=True)]
        try:
            yield Job(str(grid.get("name", place)), spec_from_dict(changed(base, settings)))
        except TradeoffError as error:
            raise TradeoffError(f"{place}, {', '.join(settings) or 'as it is'}: {error}") from None


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
    return run_experiment(spec_from_dict(document), Path(folder), report)


def run_sweep(
    jobs: Sequence[Job],
    runs: Path,
    results: Path,
    workers: int = 1,
    progress: Callable[[float], None] | None = None,
    execute: Execute | None = None,
) -> Sweep:
    """Run what is not finished yet, `workers` at a time, and write a line of JSON a run to `results`.

    `execute` gives the result of a run, or what went wrong as {"error": ...}; by default a process of this machine does.

    `progress` is told the share of all training that is done. The file is rewritten whole after every run, so
    a kill at any moment leaves lines that are true. A failed run is tried again by the next sweep.
    """
    if workers < 1:
        raise TradeoffError(f"workers {workers} is out of range: a whole number from 1")
    execute = execute or _in_a_process
    lines = _finished(jobs, runs, results)
    waiting = [job for job in jobs if job.spec.id not in lines]
    shares = dict.fromkeys((job.spec.id for job in waiting), 0.0)
    costs = {job.spec.id: _cost(job.spec) for job in waiting}
    lock = threading.Lock()

    def note(spec: ExperimentSpec, share: float) -> None:
        with lock:
            shares[spec.id] = share
            if progress:
                progress(sum(costs[name] * part for name, part in shares.items()) / sum(costs.values()))

    def work(job: Job) -> None:
        result = execute(job.spec, runs / job.spec.id, lambda share: note(job.spec, share))
        line = _line(job, result)
        with lock:
            lines[job.spec.id] = line
            _write(results, [lines[other.spec.id] for other in jobs if other.spec.id in lines])
        note(job.spec, 1.0)

    _write(results, [lines[job.spec.id] for job in jobs if job.spec.id in lines])
    pool = ThreadPoolExecutor(workers)
    try:
        for future in [pool.submit(work, job) for job in waiting]:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)
    failed = sum("error" in line for line in lines.values())
    return Sweep(
        [lines[job.spec.id] for job in jobs], len(waiting) - failed, failed, len(jobs) - len(waiting)
    )


def _finished(jobs: Sequence[Job], runs: Path, results: Path) -> dict[str, dict[str, Any]]:
    """The lines of the runs that are done, by id: from their folders, or from the results file of another machine."""
    kept: dict[str, dict[str, Any]] = {}
    if results.exists():
        try:
            for text in results.read_text(encoding="utf-8").splitlines():
                line = json.loads(text)
                if "error" not in line:
                    kept[line["run"]] = line
        except (ValueError, KeyError, TypeError):
            raise TradeoffError(f"'{results}' is damaged: delete it, or choose another file") from None
    lines = {}
    for job in jobs:
        folder, line = runs / job.spec.id, kept.get(job.spec.id)
        if (folder / "result.json").exists():
            lines[job.spec.id] = _line(job, run_experiment(job.spec, folder))  # a finished one is only read
        elif line is not None and line.get("spec") == spec_to_dict(job.spec):
            lines[job.spec.id] = line | {"name": job.name}
    return lines


def _cost(spec: ExperimentSpec) -> float:
    """How long a run takes, in passes over the data."""

    def passes(training: Training) -> float:
        attack = training.attack
        lipschitz = 5 if training.lipschitz is not None else 0  # ten double backward passes of some images
        return training.epochs * (1 + lipschitz + (attack.steps * attack.restarts if attack else 0))

    tuning = spec.fine_tuning
    few = HELD_OUT_SHARE if tuning and tuning.images is Source.HELD_OUT else 1
    return float(spec.width**1.5) * (passes(spec.training) + (few * passes(tuning.training) if tuning else 0))


def _line(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    return {"name": job.name, "run": job.spec.id, **result, "spec": spec_to_dict(job.spec)}


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines).encode())


def _in_a_process(spec: ExperimentSpec, folder: Path, note: Callable[[float], None]) -> dict[str, Any]:
    """The result of a run in a process of its own, or what went wrong as {"error": ...}."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(spec_to_dict(spec), str(folder), there), daemon=True)
    process.start()
    there.close()
    answer: dict[str, Any] | None = None
    try:
        while answer is None:
            kind, value = here.recv()
            if kind == "share":
                note(value)
            else:
                answer = value
    except EOFError:
        process.join()
        answer = {"error": f"the worker died with exit code {process.exitcode}"}
    process.join()
    return answer


def _work(document: dict[str, Any], folder: str, out: Connection) -> None:
    """In the worker: one thread, progress and the result through the pipe, an error as a sentence."""
    import torch

    torch.set_num_threads(1)
    try:
        result = run_one(document, folder, lambda entry: out.send(("share", entry.epoch / entry.epochs)))
        out.send(("result", result))
    except Exception as error:  # recorded, whatever it is: the others go on
        out.send(("result", {"error": " ".join(f"{type(error).__name__}: {error}".split())}))
