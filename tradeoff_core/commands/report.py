"""`report`: finished runs or shipped models as one HTML file, or one of them as a notebook."""

import argparse

from tradeoff_core.commands.arguments import MODEL_HELP, check_place
from tradeoff_core.commands.output import Answer
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import typed

WHAT = "write a run, or several beside each other, as one HTML file, or one of them as a notebook"


def add(parser: argparse.ArgumentParser) -> None:
    """The runs, and where the file goes."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=typed,
        default=typed("report.html"),
        help="an .html (report.html), or an .ipynb that measures one again",
    )


def run(options: argparse.Namespace) -> Answer:
    """Where the file is and how large."""
    from tradeoff_core.models.zoo import find_model
    from tradeoff_core.reports.notebook import notebook
    from tradeoff_core.reports.report import report

    wanted = ".ipynb" if options.out.suffix == ".ipynb" else ".html"
    check_place("--out", options.out, wanted)
    models = [find_model(name) for name in dict.fromkeys(options.models)]
    if wanted == ".ipynb" and len(models) > 1:
        raise TradeoffError("a notebook measures one network: name one, or let --out end in .html")
    content = (notebook(models[0]) if wanted == ".ipynb" else report(models)).encode()
    write_atomically(options.out, content)
    return {"report": str(options.out), "bytes": len(content)}, f"{options.out}: {len(content) / 1e6:.1f} MB"
