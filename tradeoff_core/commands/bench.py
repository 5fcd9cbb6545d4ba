"""`bench`: measured speeds beside their limits."""

import argparse

from tradeoff_core.commands.output import Answer
from tradeoff_core.common.console import say

WHAT = "measure speeds and show them beside their limits"


def add(parser: argparse.ArgumentParser) -> None:
    """Whether to train too, or the app's table alone."""
    parser.add_argument(
        "--app",
        action="store_true",
        help="only the table of the app, in a browser, over its socket and with twenty visitors (five minutes), "
        "which is kept in assets/results/app-figures.json",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="only the core beside torchattacks, foolbox and ART, where they are installed (ten minutes), "
        "which is kept in assets/results/peers-speed.json",
    )
    parser.add_argument(
        "--training",
        action="store_true",
        help="also train: the fast preset, the same beside ART, and a sweep of two workers (many minutes)",
    )


def run(options: argparse.Namespace) -> Answer:
    """The rows, and the table of them."""
    from tradeoff_core import bench

    if options.app:
        from tradeoff_core.bench import figures

        rows = figures.app_figures(say)
        figures.keep(rows)
    elif options.peers:
        from tradeoff_core.bench import beside

        compared = beside.compared(say)
        beside.keep(compared)
        rows = [row for one in compared for row in one.rows()]
    else:
        rows = bench.measure(training=options.training, note=say)
    return [row.document() for row in rows], bench.table(rows)
