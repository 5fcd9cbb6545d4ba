"""What lies in a folder of pictures, `<folder>/<class>/*`, read from the directory alone: no file is opened."""

import errno
import hashlib
import itertools
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets.reading import IMAGE_SUFFIXES

SUFFIXES = tuple(sorted(IMAGE_SUFFIXES))
MOST_REASONS = 5  # that are said
MAX_FILES = 1_500_000  # ImageNet has 1.28 million to train on
LAYOUT = "lay the pictures out as <folder>/train/<class>/* and <folder>/test/<class>/* (or val)"


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures of a folder as `<class>/<file>`, by label and name, and a digest of names, sizes and times.

    `left_out` counts the other files by the reason why they are not read, `first_out` names one for each.
    """

    folder: Path
    files: list[str]
    labels: NDArray[np.int64]
    digest: str
    left_out: Counter[str] = field(default_factory=Counter)
    first_out: dict[str, str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """How many files are not read, and why; nothing if all are."""
        count = self.left_out.total()
        if not count:
            return ""
        why = ", ".join(
            f"{number:,} {reason} ({self.first_out[reason]!r})"
            for reason, number in self.left_out.most_common(MOST_REASONS)
        )
        return f"{count:,} of {count + len(self.files):,} files in '{self.folder}' are left out: {why}"


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
        return sorted(
            entry.name for entry in some if not entry.name.startswith(".") and _leads_to(entry.is_dir)
        )


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
    left_out: Counter[str] = Counter()
    first_out: dict[str, str] = {}
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
                if (
                    entry.name.lower().endswith(SUFFIXES)
                    and entry.name[0] != "."
                    and _leads_to(entry.is_file)
                ):
                    status = entry.stat()
                    rows.append((entry.name, status.st_size, status.st_mtime_ns))
                elif entry.name[0] != ".":
                    why, count = _why_left_out(entry, folder / name / entry.name, limit)
                    left_out[why] += count
                    first_out.setdefault(why, f"{name}/{entry.name}")
        if not rows and not may_be_empty:
            raise TradeoffError(f"'{folder / name}' holds no picture ({', '.join(SUFFIXES)})")
        rows.sort()
        files += [f"{name}/{file}" for file, *_ in rows]
        counts.append(len(rows))
        digest.update(repr((name, labels[name], rows)).encode())
    each = np.array([labels[name] for name in by_label], dtype=np.int64)
    with _entries(folder) as entries:
        # links to nothing too: a class's folder may have been meant
        beside = sorted(
            entry.name for entry in entries if entry.name[0] != "." and not _leads_to(entry.is_dir)
        )
    if beside:
        why = "beside the classes' folders"
        left_out[why], first_out[why] = len(beside), beside[0]
    return Listing(folder, files, np.repeat(each, counts), digest.hexdigest(), +left_out, first_out)


def _why_left_out(entry: "os.DirEntry[str]", path: Path, most: int) -> tuple[str, int]:
    """The reason why an entry of a class's folder is not read, and how many files it stands for."""
    if _leads_to(entry.is_file):
        ending = os.path.splitext(entry.name)[1].lower()
        return (f"that end in {ending[:12]}" if ending else "without an ending"), 1
    if entry.is_dir(follow_symlinks=False):
        return "in folders within a class's folder", _files_below(path, most)
    return "that lead to no file", 1


def _files_below(folder: Path, most: int) -> int:
    """How many files lie in a folder and those in it, up to `most`; links are not followed."""
    found = 0
    for _, _, files in os.walk(folder):
        found += sum(name[0] != "." for name in files)
        if found > most:
            break
    return found


def _leads_to(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind; a link in a circle leads nowhere, as one to nothing does."""
    try:
        return kind()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return False


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
