"""`runs`: the runs on this machine, listed, shown, deleted, and taken along."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradeoff_core.commands.output import Answer, aligned
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import read_bytes, write_atomically
from tradeoff_core.common.names import one_line
from tradeoff_core.common.paths import runs_folder, typed

if TYPE_CHECKING:
    from tradeoff_core.experiments.stored_runs import StoredRun

WHAT = "list, show, delete, export or import the runs on this machine"
ACTIONS = ("list", "show", "delete", "undelete", "export", "import", "stop", "resume")


def add(parser: argparse.ArgumentParser) -> None:
    """What to do, to which run, and where the runs are."""
    parser.add_argument("action", choices=ACTIONS, help=", ".join(ACTIONS))
    parser.add_argument("name", metavar="RUN", nargs="?", help="its id; for import the archive")
    parser.add_argument(
        "--runs", metavar="DIR", type=typed, default=runs_folder(), help="the runs' folder (runs)"
    )
    parser.add_argument("--out", metavar="FILE", type=typed, help="the archive to write (default: RUN.zip)")


def run(options: argparse.Namespace) -> Answer:
    """The action's answer: a run's document, or all of them."""
    from tradeoff_core.experiments import queue, stored_runs

    root, name = options.runs, options.name
    if options.action == "list":
        every = stored_runs.stored_runs(root)
        total = sum(one.bytes for one in every)
        lines = [f"{one.state:<12}{one.bytes / 1e6:8.1f} MB  {one_line(one.id)}" for one in every]
        return [document(one) for one in every], "\n".join(
            [*lines, f"{len(every)} runs, {total / 1e6:,.1f} MB in {root}"]
        )
    if name is None:
        raise TradeoffError(f"say which run: runs {options.action} RUN; `runs list` lists them")
    if options.action == "show":
        one = stored_runs.find_run(root, name)
        rows = {key: str(value) for key, value in document(one).items() if key != "spec"}
        return document(one) | {"progress": one.progress()}, f"{one.id}\n{aligned(rows)}"
    if options.action == "export":
        content = stored_runs.exported(stored_runs.find_run(root, name))
        place = options.out or Path(f"{name}.zip")
        write_atomically(place, content)
        return {"archive": str(place), "bytes": len(content)}, f"{place}: {len(content) / 1e6:.1f} MB"
    if options.action == "import":
        archive = typed(name)
        if not archive.is_file():
            raise TradeoffError(f"there is no archive '{name}'")
        one = stored_runs.imported(root, read_bytes(archive, stored_runs.MOST_BYTES))
        return document(one), f"{one.id} is now in {root}"
    if options.action == "delete":
        stored_runs.delete(root, name)
        return {"deleted": name}, f"{name} is in the trash for a day: runs undelete {name} takes it back"
    if options.action == "undelete":
        return document(stored_runs.undelete(root, name)), f"{name} is back"
    (queue.stop if options.action == "stop" else queue.resume)(root, name)
    one = stored_runs.find_run(root, name)
    return document(one), f"{name} is {one.state}"


def document(one: "StoredRun") -> dict[str, Any]:
    """A run as JSON has it."""
    return {
        "run": one.id,
        "name": one.name,
        "note": one.note,
        "state": one.state.value,
        "problem": one.problem,
        "metrics": one.metrics,
        "bytes": one.bytes,
        "folder": str(one.folder),
        "spec": one.spec,
    }
