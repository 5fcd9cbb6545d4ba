"""`estimate`: what `train` would cost on this machine."""

import argparse
from dataclasses import asdict

from tradeoff_core.commands import train
from tradeoff_core.commands.output import Answer, aligned, decode_pictures

WHAT = "measure what a training would cost here, from a few of its steps"


def add(parser: argparse.ArgumentParser) -> None:
    """The spec, as `train` takes it."""
    train.add_spec(parser)


def run(options: argparse.Namespace) -> Answer:
    """Seconds of an epoch and of the measuring, and megabytes of memory."""
    from tradeoff_core.experiments.cost import estimate

    spec = train.spec_of(options)
    decode_pictures(spec.dataset)
    found = estimate(spec)
    seconds = found.seconds(spec.epochs)
    rows = {
        "an epoch": f"{found.epoch_seconds:.1f} s",
        f"{spec.epochs} epochs and measuring": f"{seconds / 60:.1f} min",
        "memory": f"{found.megabytes:,.0f} MB",
    }
    return asdict(found) | {"epochs": spec.epochs, "seconds": seconds}, f"{spec.id}\n{aligned(rows)}"
