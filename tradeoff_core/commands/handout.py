"""`handout`: the finding as one HTML file for a class: two networks, the playground, the curve, the explanation."""

import argparse

from tradeoff_core.commands.arguments import MODEL_HELP, check_place
from tradeoff_core.commands.output import Answer
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import typed

WHAT = "write the playground with two networks as one HTML file that needs no network"
USUAL = ("mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3")


def add(parser: argparse.ArgumentParser) -> None:
    """The two networks, and where the file goes."""
    parser.add_argument(
        "--models",
        nargs=2,
        metavar=("A", "B"),
        default=USUAL,
        help=f"two networks of digits, each {MODEL_HELP} ({' '.join(USUAL)})",
    )
    parser.add_argument(
        "--out", metavar="FILE", type=typed, default=typed("finding.html"), help="the file (finding.html)"
    )


def run(options: argparse.Namespace) -> Answer:
    """Where the file is and how large."""
    from tradeoff_core.models.zoo import find_model
    from tradeoff_core.reports.handout import handout

    check_place("--out", options.out, ".html")
    content = handout([find_model(name) for name in options.models]).encode()
    write_atomically(options.out, content)
    return {"handout": str(options.out), "bytes": len(content)}, f"{options.out}: {len(content) / 1e6:.1f} MB"
