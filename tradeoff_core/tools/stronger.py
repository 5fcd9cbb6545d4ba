"""Measure the zoo under stronger attacks than its cards', and write what they leave into the cards.

python -m tradeoff_core.tools.stronger [--threads N] [MODEL ...]

Each card gets an entry "stronger", made for the weights whose checksum stands in it; a model that has one for its
weights is skipped. A card from before certified accuracy gets that too, if its other metrics come out the same
again. Needs torchattacks. The exit code is 1 if a model was refused.
"""

import argparse
import json
import sys
from typing import Any

import torch

from tradeoff_core import zoo
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.errors import TradeoffError
from tradeoff_core.experiments import certifiable
from tradeoff_core.experiments import measure as measure_metrics
from tradeoff_core.paths import write_atomically
from tradeoff_core.stronger import measure
from tradeoff_core.zoo import Model


def is_measured(model: Model) -> bool:
    """Whether the card's entry is there and was made for the weights that it names."""
    return bool(model.card.get("stronger", {}).get("sha256") == model.sha256)


def lacks_certified(model: Model) -> bool:
    """Whether the card could name a certified accuracy and does not."""
    if "certified_accuracy" in model.card["metrics"]:
        return False
    return certifiable(zoo.load_network(model), model.spec.evaluation)


def metrics_with_certified(model: Model) -> dict[str, Any]:
    """The card's metrics measured anew, certified accuracy included.

    Raises TradeoffError unless all that stand on the card come out exactly as they stand.
    """
    test, evaluation = load_dataset(model.spec.dataset, Split.TEST).tensors(), model.spec.evaluation
    measured = measure_metrics(zoo.load_network(model), *test, model.spec, evaluation)
    for name, value in model.card["metrics"].items():
        if measured.get(name) != value:
            raise TradeoffError(
                f"{name} of '{model.id}' is {value} on its card and {measured.get(name)} here: card left as it was"
            )
    return measured


def write_into_card(model: Model, entries: dict[str, Any]) -> None:
    """Put `entries` into the card as it is now. Raises TradeoffError if it has come to name other weights."""
    path = model.folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    if card["sha256"] != model.sha256:
        raise TradeoffError(
            f"the weights of '{model.id}' changed while they were measured: measure them again"
        )
    write_atomically(path, (json.dumps(card | entries, indent=1) + "\n").encode())


def complete(model: Model) -> dict[str, Any]:
    """Measure what the card lacks, write it, and return it."""
    added: dict[str, Any] = {}
    if lacks_certified(model):
        added["metrics"] = metrics_with_certified(model)
        write_into_card(model, added)
    if not is_measured(model):
        added["stronger"] = measure(model)
        write_into_card(model, added)
    return added


def main(arguments: list[str] | None = None) -> int:
    """Complete every card of our own models, or those of the models named; print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    refused = False
    here = [name for name in zoo.model_ids() if not zoo.find_model(name).trained_elsewhere]
    for name in options.models or here:
        try:
            line = {"model": name, **complete(zoo.find_model(name))}
        except TradeoffError as error:
            line, refused = {"model": name, "error": str(error)}, True
        print(json.dumps(line), file=sys.stderr, flush=True)
    return int(refused)


if __name__ == "__main__":
    sys.exit(main())
