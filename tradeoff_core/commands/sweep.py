"""`sweep`: a grid of experiments, several at a time, resumable."""

import argparse
from pathlib import Path

from tradeoff_core.commands.arguments import whole
from tradeoff_core.commands.output import Answer, decode_pictures, share_bar
from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import runs_folder

WHAT = "train and measure every run of a grid, several at a time, or go on with a broken-off sweep"


def add(parser: argparse.ArgumentParser) -> None:
    """The grid, how many at once, and where runs and results go."""
    parser.add_argument("grid", metavar="GRID", type=Path, help="a TOML file of tables [[grid]]")
    parser.add_argument(
        "--workers", metavar="N", type=whole(1), default=1, help="runs at a time, one thread each (1)"
    )
    parser.add_argument(
        "--runs", metavar="DIR", type=Path, default=runs_folder(), help="the runs' folder (runs)"
    )
    parser.add_argument(
        "--results",
        metavar="PATH",
        type=Path,
        help="a line of JSON a run (default: beside the runs, as the grid is named)",
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
    """Every run's line, and how many were done, failed and skipped."""
    from tradeoff_core.sweep import read_grid, run_sweep

    jobs = read_grid(options.grid)
    if options.runs.exists() and not options.runs.is_dir():
        raise TradeoffError(f"--runs '{options.runs}' is a file: choose a folder")
    path = options.results or options.runs / f"{options.grid.stem}.jsonl"
    if path.is_dir():
        raise TradeoffError(f"--results '{path}' is a folder: choose a file in it")
    for dataset in sorted({job.spec.dataset for job in jobs}):
        decode_pictures(dataset)
    if options.address and options.engine != "ray":
        raise TradeoffError("--address is that of a Ray cluster: say --engine ray too")
    with share_bar(f"{len(jobs)} runs") as progress:
        if options.engine == "ray":
            from tradeoff_core.cluster import on_ray

            with on_ray(options.address) as (execute, workers):
                swept = run_sweep(jobs, options.runs, path, workers, progress, execute)
        else:
            swept = run_sweep(jobs, options.runs, path, options.workers, progress)
    lines = [f"{swept.done} done, {swept.failed} failed, {swept.skipped} were finished before: {path}"]
    lines += [f"  failed: {line['run']}: {line['error']}" for line in swept.results if "error" in line]
    document = {
        "done": swept.done,
        "failed": swept.failed,
        "skipped": swept.skipped,
        "results": str(path),
    }
    return document, "\n".join(lines)
