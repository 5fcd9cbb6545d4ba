"""`train`: one experiment, trained, measured and stored in a folder; a broken-off one goes on."""

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tradeoff_core.commands.output import Answer, aligned, rate_rows
from tradeoff_core.common.console import say, share_bar, speaks
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import runs_folder, typed

if TYPE_CHECKING:
    from tradeoff_core.experiments.spec import ExperimentSpec
    from tradeoff_core.training.loop import Progress

WHAT = "train and measure one network, or go on with a broken-off run"
DEFAULT_PRESET = "standard"
HELP = 110  # characters of a line of help


def add(parser: argparse.ArgumentParser) -> None:
    """The spec, and the folder."""
    add_spec(parser)
    parser.add_argument("--out", metavar="DIR", type=typed, help="the run's folder (default: runs/<its id>)")
    parser.set_defaults(after_interrupt=": the same command goes on where it stopped")


def add_spec(parser: argparse.ArgumentParser) -> None:
    """The spec in its three parts."""
    parser.add_argument(
        "spec",
        metavar="SPEC",
        nargs="?",
        type=typed,
        help="a TOML or JSON file of what differs from the preset",
    )
    parser.add_argument("--preset", metavar="NAME", default=DEFAULT_PRESET, help="one of those below")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="single changes, after the file: training.epochs=5 training.attack.epsilon=0.2 poison=none",
    )


def preset_lines() -> str:
    """What the help lists below the options: every preset, and what it differs in from another."""
    from tradeoff_core.experiments.differences import described
    from tradeoff_core.experiments.presets import PRESETS

    width = max(map(len, PRESETS))
    rows = [
        textwrap.fill(
            described(name), HELP, initial_indent=f"  {name:<{width}}  ", subsequent_indent=" " * (width + 4)
        )
        for name in PRESETS
    ]
    return "\n".join([f"presets (default: {DEFAULT_PRESET}):", *rows])


def run(options: argparse.Namespace) -> Answer:
    """One run; a finished one is only reported. Processes that torchrun started train it together."""
    spec = spec_of(options)  # what is wrong with it is said before torch is there
    from tradeoff_core.common.memory import keep_for_the_next_step
    from tradeoff_core.training import distributed

    keep_for_the_next_step()
    with distributed.group():
        return _run(spec, options)


def _run(spec: "ExperimentSpec", options: argparse.Namespace) -> Answer:
    from tradeoff_core.datasets import Split, load_dataset, prepare
    from tradeoff_core.experiments.run import run_experiment
    from tradeoff_core.experiments.run_folder import RunFolder
    from tradeoff_core.training import distributed

    folder = options.out or runs_folder() / spec.id
    if folder.exists() and not folder.is_dir():
        raise TradeoffError(f"--out '{folder}' is a file: choose a folder")
    if RunFolder(folder).finished:
        result = run_experiment(spec, folder)
        say(f"this run was finished before: its result is in {folder}")
    else:
        with share_bar("decoding pictures") as share:
            distributed.first_does(lambda: prepare(spec.dataset, share), on_each_machine=True)
        if (left_out := load_dataset(spec.dataset, Split.TRAIN).left_out) and speaks():
            say(f"note: {left_out}")
        with _epoch_bar(spec.epochs) as progress:
            result = run_experiment(spec, folder, progress)
    overfitted = result["catastrophic_overfitting_epochs"]
    if overfitted:
        epochs = ", ".join(map(str, overfitted))
        say(f"warning: catastrophic overfitting in epochs {epochs}: training attack resisted, PGD-10 not")
    rows = {
        **rate_rows(result["metrics"], spec, spec.evaluation),
        "folder": str(folder),
        "seconds": f"{result['seconds']:.1f}",
    }
    return result | {"folder": str(folder)}, f"{result['run']}\n{aligned(rows)}"


def spec_of(options: argparse.Namespace) -> "ExperimentSpec":
    """The preset, then the file over it, then the single settings."""
    from tradeoff_core.experiments.presets import PRESETS
    from tradeoff_core.experiments.spec import changed, read_spec, spec_from_dict, spec_to_dict

    if options.preset not in PRESETS:
        raise TradeoffError(f"unknown preset '{options.preset}': choose one of {', '.join(PRESETS)}")
    document = spec_to_dict(PRESETS[options.preset])
    if options.spec is not None:
        document = _merged(document, read_spec(options.spec))
    return spec_from_dict(changed(document, [_with_decimal_epsilon(setting) for setting in options.set]))


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `over` put in their places; a table of another kind replaces the whole."""
    if over.get("kind", base.get("kind")) != base.get("kind"):
        return over
    merged = dict(base)
    for name, value in over.items():
        inner = base.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _with_decimal_epsilon(setting: str) -> str:
    """The setting, `epsilon=8/255` as a decimal number."""
    from tradeoff_core.attacks.attack import parse_epsilon

    key, _, text = setting.partition("=")
    return f"{key}={parse_epsilon(text)}" if key.endswith("epsilon") and "/" in text else setting


@contextmanager
def _epoch_bar(epochs: int) -> Iterator[Callable[["Progress"], None]]:
    """A bar of epochs with what each one reached, and the time that is left."""
    from tqdm import tqdm

    with tqdm(total=epochs, desc="training", unit="epoch", file=sys.stderr, disable=not speaks()) as bar:

        def show(entry: "Progress") -> None:
            if bar.n < entry.epoch - 1:  # the run goes on: the epochs before were not timed here
                bar.initial = bar.n = entry.epoch - 1
            bar.set_postfix_str(_epoch_text(entry), refresh=False)
            bar.update()
            if entry.epoch == entry.epochs:
                bar.set_description("measuring")

        yield show


def _epoch_text(entry: "Progress") -> str:
    text = f"loss {entry.loss:.3f}, accuracy {entry.accuracy:.1%}, validation {entry.validation_accuracy:.1%}"
    return text if entry.pgd_accuracy is None else f"{text}, under PGD-10 {entry.pgd_accuracy:.1%}"
