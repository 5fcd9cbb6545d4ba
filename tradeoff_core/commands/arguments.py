"""Checks of what the user gives that several commands share."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from tradeoff_core.common.errors import TradeoffError

MODEL_HELP = "an id that `models` lists, or the folder of a run"
ALL = "all"


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


def duration(text: str) -> float:
    """The seconds of 90s, 10m or 2h; the type of an option."""
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * {"s": 1, "m": 60, "h": 3600}[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is no duration: write 90s, 10m or 2h")
    return seconds


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


def chosen_class(text: str | None, classes: tuple[str, ...], default: int) -> int | None:
    """The class by its name or its number, the default if none was named, None for all."""
    if text is None:
        return default
    if text == ALL:
        return None
    if text in classes:
        return classes.index(text)
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    raise TradeoffError(f"unknown class '{text}': choose one of {', '.join(classes)}, or {ALL}")
