"""Compute what pages show before anything on them is changed, for the zoo and the repository's pictures, and ship it.

python -m tradeoff_core.tools.first_draws [MODEL ...]

Without a name it is every model, and what was shipped for weights that are gone goes. Where an entry is there for all that
decides it, it stays: so only what changed is computed, in seconds; with --anew everything.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from tradeoff_core.common.console import say
from tradeoff_core.findings import first_draws, prediction
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model


def drawn(model: Model, before: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """All that is shipped for a model, by key; what is in `before` is taken from there."""
    network, made = zoo.load_network(model), {}

    def result(draw: first_draws.Draw) -> NDArray[Any]:
        made[draw.key] = before[draw.key] if draw.key in before else draw.compute(network)
        return made[draw.key]

    first_draws.walk(model, result)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Ship what the models draw, on one thread: then the same machine computes the same bits again."""
    parser = argparse.ArgumentParser(prog="python -m tradeoff_core.tools.first_draws", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--anew", action="store_true", help="compute all of it again")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    every = [zoo.find_model(name) for name in zoo.model_ids()]
    for model in [zoo.find_model(name) for name in options.models] or every:
        if made := drawn(model, {} if options.anew else first_draws.load(model.sha256)):
            first_draws.save(model.sha256, made)
            say(f"{model.id}: {len(made)}")
    first_draws.save(first_draws.CORRELATIONS, first_draws.correlations())
    first_draws.save(prediction.SHIPPED, prediction.shipped())
    for path in first_draws.FOLDER.glob("*.npz"):
        if path.stem not in {
            first_draws.CORRELATIONS,
            prediction.SHIPPED,
            *(model.sha256[:16] for model in every),
        }:
            path.unlink()


if __name__ == "__main__":
    main()
