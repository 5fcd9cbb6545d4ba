"""`download`: a full data set, fetched into the data folder."""

import argparse
import time

from tradeoff_core.commands.output import Answer
from tradeoff_core.common.console import share_bar

WHAT = "fetch a full data set into TRADEOFF_DATA (default: data/)"


def add(parser: argparse.ArgumentParser) -> None:
    """The data set."""
    parser.add_argument("dataset", metavar="DATASET", help="its name, as mnist")


def run(options: argparse.Namespace) -> Answer:
    """Where the data set lies, once it is there."""
    from tradeoff_core.common.paths import data_folder
    from tradeoff_core.datasets import download

    started = time.perf_counter()
    with share_bar(f"downloading {options.dataset}") as progress:
        download(options.dataset, progress)
    document = {
        "dataset": options.dataset,
        "folder": str(data_folder()),
        "seconds": round(time.perf_counter() - started, 1),
    }
    return document, f"{options.dataset} is in {data_folder()}"
