"""Checks of what the user gives that several commands share."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from tradeoff_core.errors import TradeoffError

MODEL_HELP = "an id that `models` lists, or the folder of a run"


def whole(least: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `least`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = -1
        if not least <= value < 2**31:
            raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from {least}")
        return value

    return parse


def check_place(option: str, path: Path, ending: str) -> None:
    """Raise TradeoffError if no file can be written at `path`, before the work that it is to hold is done."""
    if path.suffix != ending:
        raise TradeoffError(f"{option} '{path}' does not end in {ending}: choose a name that does")
    if path.is_dir():
        raise TradeoffError(f"{option} '{path}' is a folder: choose a file in it")
    above = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not above.is_dir():
        raise TradeoffError(f"{option} '{path}' cannot be written: '{above}' is no folder")
    if not os.access(above, os.W_OK):
        raise TradeoffError(f"{option} '{path}' cannot be written: '{above}' is not yours to write in")
