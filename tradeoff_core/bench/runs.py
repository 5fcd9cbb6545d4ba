"""A visitor's runs: one started, a thousand listed, four of them compared, one watched, and what a cluster adds."""

import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.bench import app
from tradeoff_core.bench.rows import Row, seconds
from tradeoff_core.common.paths import ROOT
from tradeoff_core.experiments import queue
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.spec import ExperimentSpec, spec_to_dict
from tradeoff_core.experiments.stored_runs import change_order, is_running, stored_runs
from tradeoff_core.training.recipe import Training

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

MANY = 1000
COMPARED = 4
WATCHED_SECONDS = 20.0
HEADER = ROW = 35  # pixels of the table of runs, which is drawn on a canvas
TICK = 18  # pixels from its left edge to a row's box
SMALL = ExperimentSpec(
    width=0.05, training=Training(epochs=2, batch_size=200), evaluation=Attack(epsilon=0.1, steps=1)
)
LONG = replace(SMALL, training=Training(Attack(epsilon=0.1, steps=1), epochs=500, batch_size=200))


def runs_rows(root: Path = ROOT, many: int = MANY, watched: float = WATCHED_SECONDS) -> list[Row]:
    """Runs beside `many` finished ones: on the command line, and in the app in `root` in a real browser."""
    with _store(many) as store:
        rows = [
            Row(
                f"{many:,} runs listed", median(seconds(lambda: stored_runs(store)) for _ in range(3)), 1, "s"
            ),
            _started(store, many),
        ]
        if lacking := app.lacking_for(root):
            return [*rows, replace(_compared(many), note=f"skipped: {lacking}")]
        environment = {"TRADEOFF_RUNS": str(store), "TRADEOFF_JOBS": str(os.cpu_count() or 1)}
        with app.chromium() as browser, app.server(root, environment) as (address, process):
            return [*rows, *_in_a_browser(browser, address, process, store, many, watched)]


@contextmanager
def _store(many: int) -> Iterator[Path]:
    """A folder of `many` runs: a small one that was trained now, and copies of it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = Path(folder)
        first = store / SMALL.id
        run_experiment(SMALL, first)
        for number in range(1, many):
            shutil.copytree(first, store / f"run-{number}")
            change_order(store / f"run-{number}", queued=float(number))
        yield store


def _started(store: Path, many: int) -> Row:
    """What the Start button does: the run is queued, and a worker of its own is set off."""
    spec = replace(PRESETS["fast"], seed=1)

    def start() -> None:
        queue.enqueue(store, spec.id, spec_to_dict(spec))
        queue.ensure_workers(store)

    took = seconds(start)
    _stop(store, spec)
    return Row(f"a run started beside {many:,} others", took, 0.5, "s")


def _stop(store: Path, spec: ExperimentSpec) -> None:
    """Stop a run, and wait until nobody writes in its folder any more."""
    queue.stop(store, spec.id)
    while is_running(store / spec.id):
        time.sleep(0.05)


def _compared(many: int, measured: float | None = None) -> Row:
    return Row(f"page 'Runs': {COMPARED} of {many:,} runs compared", measured, 1, "s")


def _in_a_browser(
    browser: "BrowserContext", address: str, process: int, store: Path, many: int, watched: float
) -> list[Row]:
    """Four rows of the table ticked, of which the last draws the comparison; and a run watched while it trains."""
    page = browser.new_page()
    page.goto(f"{address}/runs")
    app.wait_until_drawn(page)
    box = page.locator("[data-testid='stDataFrame']").first.bounding_box()
    assert box is not None
    for row in range(COMPARED):
        height = box["y"] + HEADER + ROW * row + ROW / 2
        took = app.time_rerun(page, lambda at=height: page.mouse.click(box["x"] + TICK, at))  # type: ignore[misc]
    page.get_by_role("heading", name="Beside each other").wait_for()
    watching = Row("page 'Train': a run watched", None, 2, "% of a core")
    if sys.platform != "linux":
        return [
            _compared(many, took),
            replace(watching, note="skipped: needs Linux, which tells a process's time"),
        ]
    queue.enqueue(store, LONG.id, spec_to_dict(LONG))
    queue.ensure_workers(store)
    page.goto(f"{address}/train")
    page.get_by_text(re.compile("^Epoch [1-9]")).first.wait_for()
    time.sleep(5)  # until the page has come to rest
    before, started = _processor_seconds(process), time.perf_counter()
    time.sleep(watched)
    share = (_processor_seconds(process) - before) / (time.perf_counter() - started)
    _stop(store, LONG)
    return [_compared(many, took), replace(watching, measured=100 * share, note=f"beside {many:,} others")]


def _processor_seconds(process: int) -> float:
    """What a process has computed so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
