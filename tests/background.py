"""Runs in other processes, as the tests start them, wait for them and end them."""

import functools
import io
import json
import multiprocessing
import os
import signal
import socket
import time
from contextlib import redirect_stdout, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from tradeoff_core.__main__ import main
from tradeoff_core.experiments import queue
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.stored_runs import State, find_run
from tradeoff_core.experiments.workers import FORKED, PRELOADED

PATIENCE = 120


@functools.cache
def unbroken(spec):
    """The metrics of a run that nothing interrupts."""
    with TemporaryDirectory() as folder:
        return run_experiment(spec, Path(folder) / spec.id)["metrics"]


def until(condition, seconds=PATIENCE):
    """Wait until a condition gives something true, and give that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def start(root, spec):
    queue.enqueue(root, spec.id, spec_to_dict(spec))
    queue.ensure_workers(root)
    return root / spec.id


def state(root, spec):
    return find_run(root, spec.id).state


def process_of(folder):
    return until(lambda: json.loads((folder / "order.json").read_text()).get("process"))


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def kill(*processes):
    for process in processes:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.kill(process, signal.SIGKILL)


def finish(root, spec):
    until(lambda: state(root, spec) is not State.RUNNING)
    if state(root, spec) is not State.DONE:
        queue.resume(root, spec.id)
    until(lambda: state(root, spec) is State.DONE)
    return find_run(root, spec.id)


def in_processes(count, command):
    """What a command prints, run by processes that find each other by their environment, as torchrun's do."""
    context = multiprocessing.get_context(FORKED)  # which has torch already
    context.set_forkserver_preload(PRELOADED)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for number in range(count):
        here, there = context.Pipe()
        names = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "MASTER_PORT": port}
        environment = (
            os.environ | {"MASTER_ADDR": "127.0.0.1"} | {name: str(of) for name, of in names.items()}
        )
        process = context.Process(target=_run, args=(there, environment, command), daemon=True)
        process.start()
        there.close()
        started.append((process, here))
    said = [here.recv() for _, here in started]
    for process, _ in started:
        process.join()
    assert [status for status, _ in said] == [0] * count, said
    assert not any(text for _, text in said[1:])  # the first alone answers
    return said[0][1]


def _run(pipe: Connection, environment, command):
    os.environ.update(environment)
    with redirect_stdout(io.StringIO()) as printed:
        status = main(command)
    pipe.send((status, printed.getvalue()))
