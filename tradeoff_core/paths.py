"""Where things lie on disk."""

import os
from pathlib import Path

from tradeoff_core.errors import TradeoffError

ASSETS = Path(__file__).resolve().parent.parent / "assets"
MODELS = ASSETS / "models"
RESULTS = ASSETS / "results"
STICKERS = ASSETS / "stickers"
SAMPLES = ASSETS / "data" / "samples"


def data_folder() -> Path:
    """The folder of the full data sets: `TRADEOFF_DATA`, by default `data/` in the working folder."""
    return Path(os.environ.get("TRADEOFF_DATA", "data"))


def cache_folder() -> Path:
    """Where decoded pictures are kept: `.cache/` beside the full data sets."""
    return data_folder() / ".cache"


def runs_folder() -> Path:
    """The folder of a user's runs: `TRADEOFF_RUNS`, by default `runs/` in the working folder."""
    return Path(os.environ.get("TRADEOFF_RUNS", "runs"))


def read_only() -> bool:
    """Whether `TRADEOFF_READ_ONLY` is 1: the app then trains, imports, deletes and downloads nothing."""
    return os.environ.get("TRADEOFF_READ_ONLY") == "1"


def typed(text: str) -> Path:
    """A path that a person typed, `~` included. Raises TradeoffError for the home of nobody."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise TradeoffError(f"'{text[:80]}': there is no such home folder") from None


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path` and rename, so that a kill at any moment leaves the last good file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError:  # a full disk should not stay full of it
        unfinished.unlink(missing_ok=True)
        raise
