"""`work`: train what is queued, in the background."""

import argparse

from tradeoff_core.commands.output import Answer
from tradeoff_core.common.paths import runs_folder, typed

WHAT = "train the runs that the app queued, until none is left (the app starts this itself)"


def add(parser: argparse.ArgumentParser) -> None:
    """Where the runs are."""
    parser.add_argument(
        "--runs", metavar="DIR", type=typed, default=runs_folder(), help="the runs' folder (runs)"
    )


def run(options: argparse.Namespace) -> Answer:
    """How many were trained."""
    from tradeoff_core.experiments.queue import work

    trained = work(options.runs)
    return {"trained": trained}, f"{trained} runs trained"
