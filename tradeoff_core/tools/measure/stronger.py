"""What stronger attacks than a card's own leave: an entry "stronger" on the card.

It is made for the weights whose checksum stands in it. A card from before certified accuracy gets that too, if its other
metrics come out the same again. Needs torchattacks.
"""

import time
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from tradeoff_core.certification.bounds import certifiable
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset, Split, load_dataset
from tradeoff_core.evaluation.withstood import withstood
from tradeoff_core.experiments.card import Metrics
from tradeoff_core.experiments.run import measure as measure_metrics
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model

EXAMPLES = 200
STEPS = 100  # of PGD and of AutoAttack's parts
QUERIES = 5000  # of the Square attack, as AutoAttack's standard version has it


def is_measured(model: Model) -> bool:
    """Whether the card's entry is there and was made for the weights that it names."""
    return model.card.stronger is not None and model.card.stronger["sha256"] == model.sha256


def is_complete(model: Model) -> bool:
    """Whether the card has all that `complete` gives it."""
    return is_measured(model) and not lacks_certified(model)


def lacks_certified(model: Model) -> bool:
    """Whether the card could name a certified accuracy and does not."""
    if "certified_accuracy" in model.card.metrics:
        return False
    return certifiable(zoo.load_network(model), model.spec.evaluation)


def metrics_with_certified(model: Model) -> Metrics:
    """The card's metrics measured anew, certified accuracy included.

    Raises TradeoffError unless all that stand on the card come out exactly as they stand.
    """
    test, evaluation = load_dataset(model.spec.dataset, Split.TEST).tensors(), model.spec.evaluation
    measured = measure_metrics(zoo.load_network(model), *test, model.spec, evaluation)
    for name, value in model.card.metrics.items():
        if measured.get(name) != value:
            raise TradeoffError(
                f"{name} of '{model.id}' is {value} on its card and {measured.get(name)} here: card left as it was"
            )
    return measured


def write_into_card(model: Model, entries: dict[str, Any]) -> None:
    """Put `entries` into the card as it is now. Raises TradeoffError if it has come to name other weights."""
    folder = RunFolder(model.folder)
    card = folder.read_card()
    if card.sha256 != model.sha256:
        raise TradeoffError(
            f"the weights of '{model.id}' changed while they were measured: measure them again"
        )
    folder.write_card(replace(card, **entries))


def subset(dataset: str) -> ImageDataset:
    """200 test examples, evenly spread over the classes. Raises TradeoffError if the data set is not on disk."""
    test = load_dataset(dataset, Split.TEST)
    return test.take(np.argsort(test.labels, kind="stable")).spread(EXAMPLES)


def measure(model: Model) -> dict[str, Any]:
    """What a model's card holds as "stronger": the document, what it was measured on and for which weights.

    Raises TradeoffError as `withstood` and `subset` do.
    """
    started = time.perf_counter()
    examples = subset(model.spec.dataset)
    outcome = withstood(zoo.load_network(model), *examples.tensors(), model.spec.evaluation, STEPS, QUERIES)
    return {
        "subset": f"{len(examples)} test examples, evenly spread over the classes",
        **outcome.document(),
        "autoattack_steps": STEPS,
        "square_queries": QUERIES,
        "sha256": model.sha256,
        "versions": {"torchattacks": version("torchattacks"), "torch": torch.__version__},
        "seconds": round(time.perf_counter() - started, 1),
    }


def complete(model: Model) -> None:
    """Measure what the card lacks, and write it."""
    if lacks_certified(model):
        write_into_card(model, {"metrics": metrics_with_certified(model)})
    if not is_measured(model):
        write_into_card(model, {"stronger": measure(model)})
