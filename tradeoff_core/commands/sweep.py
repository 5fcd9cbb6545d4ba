"""`sweep`: a grid of experiments, several at a time, resumable."""

import argparse
import time

from tradeoff_core.commands.arguments import duration, whole
from tradeoff_core.commands.output import Answer, decode_pictures
from tradeoff_core.common.console import share_bar
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import runs_folder, typed

WHAT = "train and measure every run of a grid, several at a time, or go on with a broken-off sweep"


def add(parser: argparse.ArgumentParser) -> None:
    """The grid, how many at once, and where runs and results go."""
    parser.add_argument("grid", metavar="GRID", nargs="+", type=typed, help="a TOML file of tables [[grid]]")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=whole(1),
        help="runs at a time, one thread each (1; on a GPU one a core, 12 at most)",
    )
    parser.add_argument(
        "--within",
        metavar="TIME",
        type=duration,
        help="start only runs that fit it, and end by then: 90s, 10m or 2h",
    )
    parser.add_argument(
        "--runs", metavar="DIR", type=typed, default=runs_folder(), help="the runs' folder (runs)"
    )
    parser.add_argument(
        "--results",
        metavar="PATH",
        type=typed,
        help="a line of JSON a run (default: beside the runs, as the grid is named; of several, results.jsonl)",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine, or a Ray cluster's workers (needs ray)",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="of the Ray cluster, as 10.0.0.1:6379 (default: one started on this machine)",
    )
    parser.set_defaults(after_interrupt=": the same command does only what is left")


def run(options: argparse.Namespace) -> Answer:
    """Every run's line, and how many were done, failed, skipped and left for want of time."""
    from tradeoff_core.common.devices import runs_at_once
    from tradeoff_core.experiments.sweep import read_grids, run_sweep

    end = None if options.within is None else time.monotonic() + options.within

    def seconds_left() -> float | None:
        return None if end is None else end - time.monotonic()

    jobs = read_grids(options.grid)
    if options.runs.exists() and not options.runs.is_dir():
        raise TradeoffError(f"--runs '{options.runs}' is a file: choose a folder")
    name = options.grid[0].stem if len(options.grid) == 1 else "results"
    path = options.results or options.runs / f"{name}.jsonl"
    if path.is_dir():
        raise TradeoffError(f"--results '{path}' is a folder: choose a file in it")
    for dataset in sorted({job.spec.dataset for job in jobs}):
        decode_pictures(dataset)
    if options.address and options.engine != "ray":
        raise TradeoffError("--address is that of a Ray cluster: say --engine ray too")
    with share_bar(f"{len(jobs)} runs") as progress:
        if options.engine == "ray":
            from tradeoff_core.experiments.ray_engine import on_ray

            with on_ray(options.address, seconds_left) as (execute, workers):
                swept = run_sweep(jobs, options.runs, path, workers, progress, execute, seconds_left())
        else:
            workers = options.workers or runs_at_once()
            swept = run_sweep(jobs, options.runs, path, workers, progress, within=seconds_left())
    lines = [f"{swept.done} done, {swept.failed} failed, {swept.skipped} were finished before: {path}"]
    if swept.left:
        lines.append(f"{swept.left} left, skipped for time: the same command goes on with them")
    lines += [f"  failed: {line['run']}: {line['error']}" for line in swept.results if "error" in line]
    document = {
        "done": swept.done,
        "failed": swept.failed,
        "skipped": swept.skipped,
        "left": swept.left,
        "results": str(path),
    }
    return document, "\n".join(lines)
