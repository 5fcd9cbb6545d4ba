"""The command line: python -m tradeoff_core COMMAND.

`--json` prints one JSON document on stdout; bars, notes and errors go to stderr. Exit status 0 is done,
2 bad usage or bad input (one line says what), 1 anything else. The commands are in commands/.
"""

import argparse
import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any, NoReturn

from tradeoff_core.commands import (
    bench,
    cleanse,
    detect,
    download,
    estimate,
    evaluate,
    handout,
    import_model,
    inspect_examples,
    models,
    report,
    runs,
    sweep,
    train,
    work,
)
from tradeoff_core.commands.output import without_nan
from tradeoff_core.common.console import answer, open_what_is_closed, say, speaks
from tradeoff_core.common.errors import TradeoffError

COMMANDS = {
    "models": models,
    "evaluate": evaluate,
    "train": train,
    "estimate": estimate,
    "sweep": sweep,
    "runs": runs,
    "report": report,
    "work": work,
    "detect": detect,
    "cleanse": cleanse,
    "inspect": inspect_examples,
    "handout": handout,
    "import": import_model,
    "download": download,
    "bench": bench,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; raises SystemExit for --help alone."""
    open_what_is_closed()
    _tolerate_any_encoding()
    options = argparse.Namespace()
    try:
        build_parser().parse_args(arguments, options)
        with redirect_stdout(sys.stderr):  # whatever a library prints, stdout carries the answer only
            document, text = options.run(options)
        if speaks():
            answer(json.dumps(without_nan(document), indent=1, allow_nan=False) if options.json else text)
    except TradeoffError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        say("interrupted" + getattr(options, "after_interrupt", ""))
        return 130
    except BrokenPipeError:  # whoever read stdout has gone, as with `| head`: nothing is left to say
        return 1
    except OSError as error:
        say(f"error: {error}")
        return 1
    return 0


class Parser(argparse.ArgumentParser):
    """Reports bad usage as a TradeoffError; `details` adds lines to the help when that is printed."""

    details: Callable[[], str] | None = None

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, and where the usage stands."""
        raise TradeoffError(f"{message}; see {self.prog} --help")

    def print_help(self, file: Any = None) -> None:  # noqa: ARG002
        """Print it on stdout, where a full disk and a reader who has gone are one line too."""
        answer(self.format_help().rstrip("\n"))

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
    for name, command in COMMANDS.items():
        what = command.WHAT
        added = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        added.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        added.set_defaults(run=command.run)
        command.add(added)
        if command in (train, estimate):
            added.details = train.preset_lines
    return parser


def _tolerate_any_encoding() -> None:
    """Print l∞ as an escape where the terminal cannot show it, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
