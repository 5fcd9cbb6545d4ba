"""`models`: the zoo."""

import argparse
from typing import TYPE_CHECKING

from tradeoff_core.commands.output import Answer, aligned, rate_rows

if TYPE_CHECKING:
    from tradeoff_core.models.zoo import Model

WHAT = "list the trained models in the repository"


def add(_: argparse.ArgumentParser) -> None:
    """No options."""


def run(_: argparse.Namespace) -> Answer:
    """Every model's summary."""
    from tradeoff_core.models.zoo import find_model, model_ids

    models = [find_model(name) for name in model_ids()]
    text = "\n\n".join(_model_text(model) for model in models)
    empty = "there is no model in assets/models: make one with python -m tradeoff_core train"
    return [model.summary() for model in models], text or empty


def _model_text(model: "Model") -> str:
    summary = model.summary()
    rows = {
        "training": summary["training"],
        "poison": summary["labels"],
        "size": f"{summary['bytes'] / 1e6:.1f} MB",
        **rate_rows(summary["metrics"], model.spec, model.spec.evaluation),
    }
    if model.spec.poison:
        rows["poison"] += (
            f" {summary['trigger']}, {summary['poison_rate_class']:.1%} of the target class, "
            f"{summary['poison_rate_dataset']:.1%} of the data set"
        )
    return f"{model.id}\n{aligned(rows)}"
