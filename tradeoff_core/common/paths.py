"""Where things lie on disk."""

import os
from pathlib import Path

from tradeoff_core.common.errors import TradeoffError

ROOT = Path(__file__).resolve().parents[2]  # where app.py lies
ASSETS = ROOT / "assets"
MODELS = ASSETS / "models"
RESULTS = ASSETS / "results"
STICKERS = ASSETS / "stickers"
SAMPLES = ASSETS / "data" / "samples"


def data_folder() -> Path:
    """The folder of the full data sets: `TRADEOFF_DATA`, by default `data/` in the working folder."""
    return _asked("TRADEOFF_DATA", "data")


def cache_folder() -> Path:
    """Where decoded pictures are kept: `.cache/` beside the full data sets."""
    return data_folder() / ".cache"


def runs_folder() -> Path:
    """The folder of a user's runs: `TRADEOFF_RUNS`, by default `runs/` in the working folder."""
    return _asked("TRADEOFF_RUNS", "runs")


def unpacked_folder() -> Path | None:
    """Where the processes of one server map weights from: `TRADEOFF_UNPACKED`, None without it."""
    asked = os.environ.get("TRADEOFF_UNPACKED", "").strip()
    return typed(asked) if asked else None


def read_only() -> bool:
    """Whether `TRADEOFF_READ_ONLY` is 1, or anything else that is no no: the app then trains, imports and downloads nothing."""
    return os.environ.get("TRADEOFF_READ_ONLY", "").strip().lower() not in ("", "0", "false", "no", "off")


def _asked(variable: str, default: str) -> Path:
    """The folder that a variable names, the default one if it is not set or empty."""
    return typed(os.environ.get(variable, "").strip() or default)


def typed(text: str) -> Path:
    """A path that a person typed, with `~` and `$HOME` as a shell reads them.

    Raises TradeoffError for an empty one and for the home of nobody.
    """
    if not text.strip():
        raise TradeoffError("an empty path names no file or folder: write ./ for the folder you are in")
    try:
        return Path(os.path.expandvars(text)).expanduser()
    except RuntimeError:
        raise TradeoffError(f"'{text[:80]}': there is no such home folder") from None
