"""Copy finished runs to the zoo, assets/models/.

python -m tradeoff_core.tools.publish [RUN ...] [--runs DIR]

A RUN is the folder of a finished run; without any it is every finished one of assets/results/grids/zoo.toml in --runs. What was
measured of the same weights stays on the card. What was measured of others, `python -m tradeoff_core.tools.measure` measures
anew.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import MODELS, RESULTS, runs_folder, typed
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.models import zoo

GRID = RESULTS / "grids" / "zoo.toml"


def publish(run: Path) -> str:
    """Copy a finished run to the zoo, and return its name there. Raises TradeoffError for what is no finished run."""
    model = zoo.find_model(str(run))
    zoo.load_network(model)  # whose checksum and shapes are right
    name = model.spec.title
    target = RunFolder(MODELS / name)
    card = replace(model.card, id=name)
    if name in zoo.model_ids() and (before := zoo.find_model(name)).sha256 == model.sha256:
        card = replace(card, stronger=card.stronger or before.card.stronger)
    write_atomically(target.weights, RunFolder(run).weights.read_bytes())
    target.write_card(card)
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish the runs that are named, or those of the grid that are finished."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("named", nargs="*", type=typed, metavar="RUN")
    parser.add_argument(
        "--runs", type=typed, default=runs_folder(), help="the folder of finished runs (runs)"
    )
    options = parser.parse_args(arguments)
    of_the_grid = (options.runs / job.spec.id for job in read_grid(GRID))
    try:
        for run in options.named or [run for run in of_the_grid if RunFolder(run).finished]:
            print(publish(run), file=sys.stderr, flush=True)
    except TradeoffError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
