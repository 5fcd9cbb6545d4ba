"""`bench`: measured speeds beside their limits."""

import argparse

from tradeoff_core.commands.output import Answer, say

WHAT = "measure speeds and show them beside their limits"


def add(parser: argparse.ArgumentParser) -> None:
    """Whether to train too."""
    parser.add_argument(
        "--training",
        action="store_true",
        help="also train: the fast preset, the same beside ART, and a sweep of two workers (many minutes)",
    )


def run(options: argparse.Namespace) -> Answer:
    """The rows, and the table of them."""
    from tradeoff_core import bench

    rows = bench.measure(training=options.training, note=say)
    return [row.document() for row in rows], bench.table(rows)
