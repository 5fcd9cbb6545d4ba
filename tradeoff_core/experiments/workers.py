"""The processes of a sweep. Each takes one run after the other, so that a GPU starts once a process, and torch once."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict, spec_to_dict

PATIENCE = 5  # seconds for a process to end before it is killed
FORKED: Final = "forkserver"  # a process without threads that imports once and is copied; where there is none, each imports
PRELOADED = ["tradeoff_core.experiments.run"]


class Workers:
    """As many processes as runs are executed at once, started when they are first needed; for several threads.

    `seconds_left` tells the time until runs are stopped where they are, None for never.
    """

    def __init__(self, seconds_left: Callable[[], float | None] = lambda: None) -> None:
        self._seconds_left = seconds_left
        self._idle: list[_Worker] = []
        self._all: list[_Worker] = []
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def execute(
        self, spec: ExperimentSpec, folder: Path, note: Callable[[float], None]
    ) -> dict[str, Any] | None:
        """The result of a run, what went wrong as {"error": ...}, or None if it was stopped.

        What was stopped keeps the checkpoint of its last epoch. A process that died is replaced for the next run.
        """
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker()
            self._all.append(worker)
        answer = worker.run(spec, folder, note, self._seconds_left)
        if worker.process.is_alive():
            self._idle.append(worker)
        return None if self._stopped else answer

    def stop(self) -> None:
        """End all processes, whatever they do."""
        self._stopped = True
        for worker in self._all:
            worker.process.terminate()
        for worker in self._all:
            worker.stop()


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self) -> None:
        forked = FORKED in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context(FORKED) if forked else multiprocessing.get_context("spawn")
        if forked:
            context.set_forkserver_preload(PRELOADED)
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, dict(os.environ)), daemon=True)
        self.process.start()
        there.close()

    def run(
        self,
        spec: ExperimentSpec,
        folder: Path,
        note: Callable[[float], None],
        seconds_left: Callable[[], float | None],
    ) -> dict[str, Any] | None:
        """As `Workers.execute`."""
        try:
            self.pipe.send((spec_to_dict(spec), str(folder)))
            while True:
                left = seconds_left()
                if not self.pipe.poll(None if left is None else max(left, 0)):
                    self.stop()
                    return None
                kind, value = self.pipe.recv()
                if kind == "result":
                    answer: dict[str, Any] = value
                    return answer
                note(value)
        except (EOFError, OSError):  # its end of the pipe is gone
            self.process.join()
            return {"error": f"the worker died with exit code {self.process.exitcode}"}

    def stop(self) -> None:
        """End the process. What it writes it writes beside and renames, so that no file is torn."""
        self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(pipe: Connection, environment: dict[str, str]) -> None:
    """In the process: run after run on one thread, progress and results through the pipe, until nobody asks any more."""
    os.environ.update(environment)
    import torch

    from tradeoff_core.common.devices import best_device
    from tradeoff_core.common.memory import keep_for_the_next_step

    keep_for_the_next_step()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep is interrupted, and ends its processes itself
    torch.set_num_threads(1)
    seed = torch.initial_seed()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the sweep is gone
        while True:
            document, folder = pipe.recv()
            torch.manual_seed(seed)  # dropout draws what it draws in a process of its own
            try:
                torch.empty(0, device=best_device())  # a GPU takes seconds to start
                pipe.send(("share", 0.0))
                result = _run(document, folder, pipe)
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:  # recorded, whatever it is: the others go on
                result = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
            pipe.send(("result", result))
            gc.collect()
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.empty_cache()  # the other processes may need it


def _run(document: dict[str, Any], folder: str, pipe: Connection) -> dict[str, Any]:
    from tradeoff_core.experiments.run import run_experiment

    told = run_experiment(
        spec_from_dict(document),
        Path(folder),
        lambda entry: pipe.send(("share", entry.epoch / entry.epochs)),
    )
    return dict(told)
