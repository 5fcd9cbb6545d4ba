"""`work`: train what is queued, in the background."""

import argparse
from pathlib import Path

from tradeoff_core.commands.output import Answer
from tradeoff_core.paths import runs_folder

WHAT = "train the runs that the app queued, until none is left (the app starts this itself)"


def add(parser: argparse.ArgumentParser) -> None:
    """Where the runs are."""
    parser.add_argument(
        "--runs", metavar="DIR", type=Path, default=runs_folder(), help="the runs' folder (runs)"
    )


def run(options: argparse.Namespace) -> Answer:
    """How many were trained."""
    from tradeoff_core.jobs import work

    trained = work(options.runs)
    return {"trained": trained}, f"{trained} runs trained"
