"""The command line: python -m tradeoff_core COMMAND.

`--json` prints one JSON document on stdout; bars, notes and errors go to stderr. Exit status 0 is done,
2 bad usage or bad input (one line says what), 1 anything else. Commands import what they need when they
run, so that help comes at once.
"""

import argparse
import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tradeoff_core.errors import TradeoffError

if TYPE_CHECKING:
    from tradeoff_core.attacks import Attack
    from tradeoff_core.datasets import ImageDataset
    from tradeoff_core.experiments import ExperimentSpec
    from tradeoff_core.training import Progress
    from tradeoff_core.zoo import Model

DEFAULT_PRESET = "standard"
Answer = tuple[Any, str]  # a command's result: the JSON document, and the text for people


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; raises SystemExit for --help alone."""
    _tolerate_any_encoding()
    options = argparse.Namespace()
    try:
        build_parser().parse_args(arguments, options)
        with redirect_stdout(sys.stderr):  # whatever a library prints, stdout carries the answer only
            document, text = options.run(options)
        print(json.dumps(_without_nan(document), indent=1, allow_nan=False) if options.json else text)
        sys.stdout.flush()
    except TradeoffError as error:
        _say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        _say("interrupted" + getattr(options, "after_interrupt", ""))
        return 130
    except BrokenPipeError:  # whoever read stdout has gone, as with `| head`: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _say(f"error: {error}")
        return 1
    return 0


class Parser(argparse.ArgumentParser):
    """Reports bad usage as a TradeoffError; `details` adds lines to the help when that is printed."""

    details: Callable[[], str] | None = None

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, and where the usage stands."""
        raise TradeoffError(f"{message}; see {self.prog} --help")

    def format_help(self) -> str:
        """The usual help, and the details after it."""
        return super().format_help() + (f"\n{self.details()}\n" if self.details else "")


def build_parser() -> Parser:
    """The commands and their options. Every command sets `run`: options -> Answer."""
    parser = Parser(
        prog="python -m tradeoff_core",
        description="Measure and train networks that show how adversarial training makes backdoors easier.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], Answer], what: str) -> Parser:
        added = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        added.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        added.set_defaults(run=run)
        return added

    command("models", run_models, "list the trained models in the repository")
    _add_evaluate(command("evaluate", run_evaluate, "measure a model's three rates"))
    _add_train(command("train", run_train, "train and measure one network, or go on with a broken-off run"))
    download = command("download", run_download, "fetch a full data set into TRADEOFF_DATA (default: data/)")
    download.add_argument("dataset", metavar="DATASET", help="its name, as mnist")
    bench = command("bench", run_bench, "measure speeds and show them beside their limits")
    bench.add_argument("--training", action="store_true", help="also train the fast preset (minutes)")
    return parser


def _add_evaluate(parser: Parser) -> None:
    parser.description = (
        "Measure clean accuracy, adversarial accuracy and backdoor success rate. Without options this "
        "repeats the measurement on the model's card; each option changes one part of it."
    )
    parser.add_argument("model", metavar="MODEL", help="an id that `models` lists, or the folder of a run")
    parser.add_argument(
        "--images",
        metavar="PATH",
        type=Path,
        help="an .npz (images uint8 (N, H, W[, C]), labels) or a folder with one folder of images a class, "
        "in place of the test split",
    )
    parser.add_argument("--norm", metavar="linf|l2", help="the norm of the perturbation")
    parser.add_argument("--epsilon", metavar="E", help="its size in [0, 1] pixel units: 0.3 or 8/255")
    parser.add_argument("--steps", metavar="K", type=int, help="steps of the attack")
    parser.add_argument("--restarts", metavar="R", type=int, help="random starts tried for each example")
    parser.add_argument(
        "--targeted", action=argparse.BooleanOptionalAction, help="aim at the next class after the label"
    )
    parser.add_argument("--limit", metavar="N", type=_whole(1), help="only N examples, evenly spaced")
    parser.add_argument("--seed", metavar="S", type=_whole(0), default=0, help="of the random starts (0)")


def _add_train(parser: Parser) -> None:
    parser.details = _preset_lines
    parser.add_argument(
        "spec",
        metavar="SPEC",
        nargs="?",
        type=Path,
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
    parser.add_argument("--out", metavar="DIR", type=Path, help="the run's folder (default: runs/<its id>)")
    parser.set_defaults(after_interrupt=": the same command goes on where it stopped")


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = -1
        if not least <= value < 2**31:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least}")
        return value

    return parse


def run_models(_: argparse.Namespace) -> Answer:
    """The zoo: every model's summary."""
    from tradeoff_core.zoo import find_model, model_ids

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
        **_rate_rows(summary["metrics"], model.spec, model.spec.evaluation),
    }
    if model.spec.poison:
        rows["poison"] += (
            f" {summary['trigger']}, {summary['poison_rate_class']:.1%} of the target class, "
            f"{summary['poison_rate_dataset']:.1%} of the data set"
        )
    return f"{model.id}\n{_aligned(rows)}"


def run_evaluate(options: argparse.Namespace) -> Answer:
    """The three rates of one model, on its test split or on the user's images."""
    from tradeoff_core.evaluation import evaluate
    from tradeoff_core.experiments import metrics
    from tradeoff_core.zoo import find_model, load_network

    started = time.perf_counter()
    model = find_model(options.model)
    attack = _changed_attack(model.spec.evaluation, options)
    network = load_network(model)
    data, sample = _sample(model, options)
    with _share_bar("attacking") as progress:
        outcomes = evaluate(network, *data.tensors(), model.spec.trigger, attack, options.seed, progress)
    measured = metrics(outcomes, model.spec, attack)
    document = {
        "model": model.id,
        **measured,
        "step_size": attack.step,
        "restarts": attack.restarts,
        "targeted": attack.targeted,
        "seed": options.seed,
        "sample": sample,
        "seconds": round(time.perf_counter() - started, 2),
    }
    rows = {
        **_rate_rows(measured, model.spec, attack),
        "measured on": sample,
        "seed": str(options.seed),
        "seconds": f"{document['seconds']:.1f}",
    }
    return document, f"{model.id}\n{_aligned(rows)}"


def _changed_attack(attack: "Attack", options: argparse.Namespace) -> "Attack":
    """The attack with the options that were given; its step stays 2.5 ε / steps unless the spec fixes it."""
    from tradeoff_core.attacks import parse_epsilon

    given = {name: getattr(options, name) for name in ("norm", "steps", "restarts", "targeted")}
    given["epsilon"] = None if options.epsilon is None else parse_epsilon(options.epsilon)
    return replace(attack, **{name: value for name, value in given.items() if value is not None})


def _sample(model: "Model", options: argparse.Namespace) -> tuple["ImageDataset", str]:
    """What to measure on, and how to call it."""
    from tradeoff_core.datasets import Split, load_dataset, load_images

    data = load_dataset(model.spec.dataset, Split.TEST)
    source = f"the {len(data):,} test examples of {model.spec.dataset}"
    if options.images is not None:
        data = load_images(options.images, data.classes, data.image_shape)
        source = f"the {len(data):,} examples in {options.images}"
    if options.limit is None:
        return data, source
    some = data.spread(options.limit)
    return some, f"{len(some):,}, evenly spaced, of {source}"


def run_train(options: argparse.Namespace) -> Answer:
    """One run: trained, measured and stored in a folder. A finished one is only reported."""
    from tradeoff_core.experiments import run_experiment

    spec = _spec(options)
    folder = options.out or Path("runs") / spec.id
    if folder.exists() and not folder.is_dir():
        raise TradeoffError(f"--out '{folder}' is a file: choose a folder")
    if (folder / "result.json").exists():
        result = run_experiment(spec, folder)
        _say(f"this run was finished before: its result is in {folder}")
    else:
        with _epoch_bar(spec.training.epochs) as progress:
            result = run_experiment(spec, folder, progress)
    overfitted = result["catastrophic_overfitting_epochs"]
    if overfitted:
        epochs = ", ".join(map(str, overfitted))
        _say(f"warning: catastrophic overfitting in epochs {epochs}: training attack resisted, PGD-10 not")
    rows = {
        **_rate_rows(result["metrics"], spec, spec.evaluation),
        "folder": str(folder),
        "seconds": f"{result['seconds']:.1f}",
    }
    return result | {"folder": str(folder)}, f"{result['run']}\n{_aligned(rows)}"


def _spec(options: argparse.Namespace) -> "ExperimentSpec":
    """The preset, then the file over it, then the single settings."""
    from tradeoff_core.experiments import PRESETS, changed, read_spec, spec_from_dict, spec_to_dict

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
    from tradeoff_core.attacks import parse_epsilon

    key, _, text = setting.partition("=")
    return f"{key}={parse_epsilon(text)}" if key.endswith("epsilon") and "/" in text else setting


def _preset_lines() -> str:
    from tradeoff_core.experiments import PRESETS

    def describe(spec: "ExperimentSpec") -> str:
        attack = spec.training.attack
        kind = f"adversarial training ({attack})" if attack else "standard training"
        return f"{kind}, {spec.training.epochs} epochs, seed {spec.seed}"

    rows = {name: describe(spec) for name, spec in PRESETS.items()}
    return f"presets (default: {DEFAULT_PRESET}):\n{_aligned(rows)}"


def run_download(options: argparse.Namespace) -> Answer:
    """A full data set, fetched into the data folder."""
    from tradeoff_core.datasets import download
    from tradeoff_core.paths import data_folder

    started = time.perf_counter()
    with _share_bar(f"downloading {options.dataset}") as progress:
        download(options.dataset, progress)
    document = {
        "dataset": options.dataset,
        "folder": str(data_folder()),
        "seconds": round(time.perf_counter() - started, 1),
    }
    return document, f"{options.dataset} is in {data_folder()}"


def run_bench(options: argparse.Namespace) -> Answer:
    """Measured speeds beside their limits."""
    from tradeoff_core import bench

    rows = bench.measure(training=options.training, note=_say)
    return [row.document() for row in rows], bench.table(rows)


def _rate_rows(measured: dict[str, Any], spec: "ExperimentSpec", attack: "Attack") -> dict[str, str]:
    """The three rates as text, each with its n and its 95% Wilson interval."""
    from tradeoff_core.results import rate

    def text(name: str) -> str:
        counted = rate(measured, name)
        low, high = counted.interval
        return f"{counted.value:6.1%}   n = {counted.n:6,}   95% interval {low:6.1%} to {high:6.1%}"

    if measured["backdoor_n"] == 0:
        backdoor = "   n/a   n =      0   the model predicts every example as the target class already"
    else:
        note = "" if spec.poison else "   base rate: the model is not poisoned"
        backdoor = text("backdoor_success_rate") + note
    return {
        "clean accuracy": text("clean_accuracy"),
        "adversarial accuracy": f"{text('adversarial_accuracy')}   under {attack}",
        "backdoor success rate": backdoor,
    }


def _aligned(rows: dict[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {text}" for name, text in rows.items())


@contextmanager
def _share_bar(title: str) -> Iterator[Callable[[float], None]]:
    """A bar for work that tells which share of it is done; on a terminal only."""
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"
    with tqdm(total=1, desc=title, bar_format=layout, leave=False, disable=None, file=sys.stderr) as bar:
        yield lambda share: bar.update(share - bar.n)


@contextmanager
def _epoch_bar(epochs: int) -> Iterator[Callable[["Progress"], None]]:
    """A bar of epochs with what each one reached, and the time that is left."""
    from tqdm import tqdm

    with tqdm(total=epochs, desc="training", unit="epoch", file=sys.stderr) as bar:

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


def _without_nan(value: Any) -> Any:
    """The value with null for every number that JSON cannot write."""
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _say(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    print(" ".join(message.split()), file=sys.stderr, flush=True)


def _tolerate_any_encoding() -> None:
    """Print l∞ as an escape where the terminal cannot show it, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
