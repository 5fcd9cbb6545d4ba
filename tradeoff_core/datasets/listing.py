"""What lies in a folder of pictures, `<folder>/<class>/*`, read from the directory alone: no file is opened."""

import hashlib
import itertools
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.datasets.reading import IMAGE_SUFFIXES
from tradeoff_core.errors import TradeoffError

SUFFIXES = tuple(sorted(IMAGE_SUFFIXES))
MAX_FILES = 1_500_000  # ImageNet has 1.28 million to train on
LAYOUT = "lay the pictures out as <folder>/train/<class>/* and <folder>/test/<class>/* (or val)"


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures of a folder as `<class>/<file>`, by label and name, and a digest of names, sizes and times."""

    folder: Path
    files: list[str]
    labels: NDArray[np.int64]
    digest: str


def is_folder(path: Path) -> bool:
    """Whether there is such a folder. Raises TradeoffError if that must not be known."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError as error:
        raise TradeoffError(f"the folder '{path}' cannot be read: {error.strerror}") from None
    except (OSError, ValueError):  # none, or a name that cannot be one
        return False


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted. Raises TradeoffError if it cannot be listed, or is vast."""
    with _entries(folder) as entries:
        some = list(itertools.islice(entries, MAX_FILES + 1))
        if len(some) > MAX_FILES:
            raise _too_many(folder, MAX_FILES)
        return sorted(entry.name for entry in some if not entry.name.startswith(".") and entry.is_dir())


def list_pictures(
    folder: Path, labels: Mapping[str, int], most: int | None = None, may_be_empty: bool = False
) -> Listing:
    """The pictures in the class folders `labels` names, each with the label it gives.

    Raises TradeoffError for a class folder that cannot be listed or holds no picture, and as soon as there are
    more than `most` files, which includes those that are no pictures.
    """
    files: list[str] = []
    counts: list[int] = []
    digest = hashlib.sha256()
    limit = MAX_FILES if most is None else most
    seen = 0
    by_label = sorted(labels, key=lambda name: (labels[name], name))
    for name in by_label:
        rows: list[tuple[str, int, int]] = []
        with _entries(folder / name) as entries:
            for seen, entry in enumerate(entries, seen + 1):  # noqa: B020  # the count goes on
                if seen > limit:
                    raise _too_many(folder, limit)
                # by its name; what starts with a dot is another system's note on a picture
                if entry.name.lower().endswith(SUFFIXES) and entry.name[0] != "." and entry.is_file():
                    status = entry.stat()
                    rows.append((entry.name, status.st_size, status.st_mtime_ns))
        if not rows and not may_be_empty:
            raise TradeoffError(f"'{folder / name}' holds no picture ({', '.join(SUFFIXES)})")
        rows.sort()
        files += [f"{name}/{file}" for file, *_ in rows]
        counts.append(len(rows))
        digest.update(repr((name, labels[name], rows)).encode())
    each = np.array([labels[name] for name in by_label], dtype=np.int64)
    return Listing(folder, files, np.repeat(each, counts), digest.hexdigest())


@contextmanager
def _entries(folder: Path) -> Iterator[Iterator["os.DirEntry[str]"]]:
    """The entries of a folder, with their statuses asked for relative to it, which takes half the time."""
    try:
        if os.scandir not in os.supports_fd:  # Windows
            with os.scandir(folder) as entries:
                yield entries
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with os.scandir(descriptor) as entries:
                yield entries
        finally:
            os.close(descriptor)
    except OSError as error:
        raise TradeoffError(f"the folder '{folder}' cannot be read: {error.strerror}") from None


def _too_many(folder: Path, most: int) -> TradeoffError:
    return TradeoffError(f"'{folder}' holds more than {most:,} images or other files: give fewer")
