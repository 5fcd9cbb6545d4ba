"""Measure what the pages show of trained networks, unless that was done for their weights.

python -m tradeoff_core.tools.measure [WHAT ...] [MODEL ...]

A WHAT is one of those below, a MODEL one of the zoo's or the folder of a finished run. Without any it is everything, of the
zoo's networks and of the finished runs in --runs that a grid of assets/results/grids/ asks for. A network whose weights have
a line is skipped, lines of weights that are gone go, and so the same command goes on where it was broken off. Networks whose
data set is not on this machine are left out. The exit code is 1 if a network was refused.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import runs_folder, typed
from tradeoff_core.models.zoo import Model
from tradeoff_core.tools.measure import (
    accuracy,
    attacks,
    bounds,
    cause,
    cleansing,
    detection,
    finding,
    removing,
    reviewing,
    stronger,
    walking,
)
from tradeoff_core.tools.measure.lines import Line, What, has_lines, put, without_gone
from tradeoff_core.tools.measure.networks import asked, in_the_zoo


def in_lines(
    words: str,
    name: str,
    lines: Callable[[Model], list[Line]],
    applies: Callable[[Model], bool],
    grid: str | None = None,
) -> What:
    """Something whose answers are lines of results."""
    return What(
        words,
        applies,
        partial(has_lines, name),
        lambda model: put(name, model, lines(model)),
        grid,
        f"{name}*.jsonl",
    )


WHATS = {
    "accuracy": in_lines(
        "accuracy by ε, and backdoor success by the sticker's place",
        "measurements",
        accuracy.lines,
        in_the_zoo,
    ),
    "attacked": in_lines(
        "the rows of the paper that attack an undefended network by targeted FGSM and in l2",
        "attacked",
        attacks.lines,
        attacks.is_undefended,
    ),
    "bounds": in_lines(
        "certified accuracy by ε of the networks trained by interval bounds",
        "bounds",
        bounds.lines,
        bounds.applies,
    ),
    "cause": in_lines(
        "attribution on the sticker, where attacks land, how far features lie apart",
        "cause",
        cause.lines,
        in_the_zoo,
    ),
    "detection": in_lines(
        "what spectral signatures and activation clustering find",
        "detection",
        detection.lines,
        lambda model: model.spec.poison is not None,
        "defenses",
    ),
    "finding": in_lines(
        "what the detectors since 2019 say of the poison, beside spectral signatures and activation clustering",
        "finding",
        finding.lines,
        finding.applies,
    ),
    "game": in_lines("the levels of the game", "game", detection.levels, detection.is_a_level, "levels"),
    "neural-cleanse": in_lines(
        "rebuilt triggers, and what unlearning leaves",
        "neural-cleanse",
        cleansing.lines,
        lambda _: True,
        "cleanse",
    ),
    "removal": in_lines(
        "the three rates before and after each removal: fine-pruning, neuron pruning, I-BAU, ABL's unlearning",
        "removal",
        removing.removal_lines,
        removing.is_removed,
    ),
    "reopening": in_lines(
        "how few poisoned images open the back door of a cleansed network again",
        "reopening",
        removing.reopening_lines,
        removing.is_reopened,
    ),
    "reviewing": in_lines(
        "how many images a person looks at to find the poison, by the score that sorts them",
        "reviewing",
        reviewing.lines,
        reviewing.applies,
    ),
    "worked-example": in_lines(
        "the worked example of Inspect: what its clicks find, and what training anew without it gives",
        "worked-example",
        walking.lines,
        walking.applies,
    ),
    "stronger": What(
        "PGD-100 with five restarts and AutoAttack, onto the card (needs torchattacks)",
        lambda _: True,
        stronger.is_complete,
        stronger.complete,
    ),
}


def parser() -> argparse.ArgumentParser:
    """What the tool is asked."""
    width = max(map(len, WHATS))
    made = argparse.ArgumentParser(
        prog="python -m tradeoff_core.tools.measure",
        description=__doc__,
        epilog="\n".join(["WHAT:", *(f"  {name:<{width}}  {what.words}" for name, what in WHATS.items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("names", nargs="*", metavar="WHAT or MODEL")
    made.add_argument("--runs", type=typed, default=runs_folder(), help="the folder of finished runs (runs)")
    made.add_argument(
        "--retrain",
        type=typed,
        metavar="RUNS",
        help="train anew without what each defense flags, a run in this folder each, and say what that gives",
    )
    made.add_argument(
        "--dry-run", action="store_true", help="only say what would be measured, and what would go"
    )
    made.add_argument("--threads", type=int, default=torch.get_num_threads())
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, the quick things first; print a line of JSON for each."""
    options = parser().parse_intermixed_args(arguments)
    torch.set_num_threads(options.threads)
    whats = [name for name in WHATS if name in options.names]
    named = [name for name in options.names if name not in WHATS]
    refused = False
    for name in whats or WHATS:
        what = WHATS[name]
        if what.files:
            for file, network in without_gone(what.files, drop=not options.dry_run):
                say({"what": name, "network": network, "gone from": file})
        try:
            found = asked(what, named, options.runs, by_name=bool(whats))
        except TradeoffError as error:
            say({"what": name, "error": str(error)})
            return 1
        for model in found:
            refused |= not one(name, model, options)
    return int(refused)


def one(name: str, model: Model, options: argparse.Namespace) -> bool:
    """Measure one thing of one network, unless that was done; False if it was refused."""
    what, line = WHATS[name], {"what": name, "network": model.id}
    try:
        if not what.is_current(model):
            if not options.dry_run:
                what.measure(model)
            say(line)
        if name == "detection" and options.retrain and (options.names or detection.is_retrained(model)):
            if options.dry_run:
                for awaiting in detection.unfilled(model):
                    say(line | {"retrain without": awaiting["method"], "rule": awaiting["rule"]})
            else:
                detection.retrain(model, options.retrain)
    except TradeoffError as error:
        say(line | {"error": str(error)})
        return False
    return True


def say(line: Line) -> None:
    """A line of JSON for whoever watches."""
    print(json.dumps(line), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
