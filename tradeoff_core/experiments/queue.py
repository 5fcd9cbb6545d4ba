"""Trainings in the background: a queue in the folder of the runs, and workers that survive whoever started them.

A worker is a process of its own, `python -m tradeoff_core work`. It holds one of the few slots, takes the oldest queued
run, trains it with `python -m tradeoff_core train` in yet another process, and ends when the queue is empty. Kill any of
them: locks are freed by the system, and a run goes on from its last epoch when it is resumed.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.locks import is_held
from tradeoff_core.common.paths import ROOT
from tradeoff_core.experiments.run_folder import LOG, Order, RunFolder
from tradeoff_core.experiments.stored_runs import (
    JOB_LOCK,
    State,
    change_order,
    find_run,
    is_running,
    refuse_a_name_of_another,
    stored_runs,
)

QUEUE_LOCK, SLOTS = ".queue.lock", ".workers"
MOST_QUEUED = 100
LAST_WORDS = 2000  # characters of a log in which an error is looked for


def at_once() -> int:
    """How many runs train at a time: `TRADEOFF_JOBS`, by default one for every four cores."""
    asked = os.environ.get("TRADEOFF_JOBS", "")
    if asked and not (asked.isdecimal() and int(asked) > 0):
        raise TradeoffError(f"TRADEOFF_JOBS '{asked}' is not a whole number from 1")
    return int(asked) if asked else max(1, (os.cpu_count() or 1) // 4)


def threads() -> int:
    """The threads of each run, so that those that train at once share the cores."""
    return max(1, (os.cpu_count() or 1) // at_once())


def enqueue(root: Path, run_id: str, spec: dict[str, Any], asked: Order | None = None) -> Path:
    """Queue a run; one that was stopped, interrupted or failed goes on. `spec` is its document,
    `asked` what else its order holds, as a name.

    Raises TradeoffError if it is queued, running or done, if too many are, if another has its name, or if nothing can be
    written.
    """
    folder = root / run_id
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / QUEUE_LOCK):
            every = stored_runs(root)
            same = next((run for run in every if run.id == run_id), None)
            if same and same.state in (State.QUEUED, State.RUNNING, State.DONE):
                raise TradeoffError(f"this run is already {same.state}: change something, as the seed")
            if sum(run.state is State.QUEUED for run in every) >= MOST_QUEUED:
                raise TradeoffError(f"{MOST_QUEUED} runs are queued already: wait, or delete some")
            wanted = asked or {}
            refuse_a_name_of_another(every, run_id, wanted.get("name", ""))
            folder.mkdir(exist_ok=True)
            change_order(folder, **wanted, queued=time.time(), started=None, stop=None, error=None)
            if not RunFolder(folder).spec.exists():  # with which it becomes a run
                RunFolder(folder).write_spec(spec)
    except OSError as error:
        raise TradeoffError(f"the run cannot be written to '{root}': {error.strerror or error}") from None
    return folder


def resume(root: Path, name: str) -> None:
    """Queue a stopped, interrupted or failed run again."""
    run = find_run(root, name)
    enqueue(root, name, run.spec)
    ensure_workers(root)


def stop(root: Path, name: str) -> None:
    """Stop a run that is queued or running; it keeps its finished epochs. Others are left as they are."""
    run = find_run(root, name)
    if run.state not in (State.QUEUED, State.RUNNING):
        return
    with FileLock(root / QUEUE_LOCK):
        change_order(run.folder, stop=True)
    # while the folder is held the number is that of the process that trains in it, and of no later one
    process = _order(run.folder).get("process")
    if process and is_running(run.folder):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def _order(folder: Path) -> Order:
    try:
        return RunFolder(folder).read_order()
    except TradeoffError:
        return {}


def ensure_workers(root: Path) -> None:
    """Start a worker for every free slot that a queued run could use; at once, without waiting for it."""
    queued = sum(run.state is State.QUEUED for run in stored_runs(root))
    free = sum(not is_held(root / SLOTS / f"{slot}.lock") for slot in range(at_once()))
    for _ in range(min(queued, free)):
        subprocess.Popen(
            [sys.executable, "-m", "tradeoff_core", "work", "--runs", str(root.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it outlives the server, and its terminal
            env=environment(),
        )


def environment() -> dict[str, str]:
    """What a process of ours is started with: this program, and its share of the threads."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(threads())}


def work(root: Path) -> int:
    """Hold a slot and train what is queued until nothing is; returns how many runs were trained."""
    (root / SLOTS).mkdir(parents=True, exist_ok=True)
    for slot in range(at_once()):
        lock = FileLock(root / SLOTS / f"{slot}.lock")
        try:
            lock.acquire(timeout=0.1)
        except Timeout:
            continue
        trained = 0
        with lock:
            while folder := _claim(root):
                _train(folder)
                trained += 1
        return trained
    return 0


def _claim(root: Path) -> Path | None:
    """The oldest queued run, which is no longer queued then."""
    with FileLock(root / QUEUE_LOCK):
        queued = [run for run in stored_runs(root) if run.state is State.QUEUED]
        if not queued:
            return None
        folder = min(queued, key=lambda run: run.queued).folder
        change_order(folder, started=time.time())
        return folder


def _train(folder: Path) -> None:
    """Train one run in a process of its own, and note what it said if it failed."""
    with FileLock(folder / JOB_LOCK), (folder / LOG).open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tradeoff_core",
                "train",
                str(RunFolder(folder).spec),
                "--out",
                str(folder),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )
        change_order(folder, process=process.pid)
        if _order(folder).get("stop"):  # asked for before there was a process to stop
            process.terminate()
        status = process.wait()
    if status > 0:  # a signal, which is negative, is an interruption
        said = (folder / LOG).read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:].strip()
        last = said.splitlines()[-1] if said else f"it ended with the status {status}"
        change_order(folder, error=last.removeprefix("error: "))
