"""Runs in the background, as the tests start them, wait for them and end them."""

import functools
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tradeoff_core import jobs
from tradeoff_core.experiments import run_experiment
from tradeoff_core.runs import State, find_run
from tradeoff_core.specs import spec_to_dict

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
