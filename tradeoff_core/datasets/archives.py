"""Unpacking of archives: whole or not at all, and nothing outside the folder they are unpacked to."""

import errno
import lzma
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tradeoff_core.datasets.base import Share
from tradeoff_core.errors import TradeoffError

MAX_MEMBERS = 500_000
MAX_BYTES = 8_000_000_000
DAMAGED = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError)
LEFTOVER_SECONDS = 24 * 3600  # what is unfinished for so long is nobody's any more
FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """A folder in which `target` can be made, on the same disk; it is gone afterwards, whatever happens.

    Raises TradeoffError where none can be made, and in place of the OSError of a full disk and the like.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f".{target.name}-*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise TradeoffError(
            f"'{target.parent}' cannot be written ({error.strerror}): set TRADEOFF_DATA to a folder that can"
        ) from None
    try:
        yield folder
    except OSError as error:
        if error.errno not in FULL:
            raise TradeoffError(f"'{target}' cannot be written: {error.strerror}") from None
        free = shutil.disk_usage(target.parent).free
        raise TradeoffError(
            f"there is no room for '{target}' ({free / 1e6:,.0f} MB are free): make room, or set TRADEOFF_DATA to a "
            "folder on a larger disk"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(archive: Path, target: Path, progress: Share | None = None, *, holding: str = ".") -> None:
    """Unpack a tar archive, compressed or not, into the new folder `target`, which appears when all is there.

    Raises TradeoffError for a file that is none, is damaged, is absurdly large, leads out of the folder or lacks
    the folder `holding`, and where `target` cannot be written; then there is no `target`.
    """
    with folder_beside(target) as folder:
        extract(archive, folder / "content", progress)
        if not (folder / "content" / holding).is_dir():
            raise TradeoffError(f"'{archive}' has no folder '{holding}' in it: it is another archive")
        try:
            os.rename(folder / "content", target)
        except OSError:
            if not target.is_dir():  # else another process has unpacked the same meanwhile
                raise


def extract(archive: Path, folder: Path, progress: Share | None = None) -> None:
    """Write what a tar archive holds into the new `folder`. Raises as `unpack` does, and OSError if it cannot."""
    try:
        file = archive.open("rb")
    except OSError as error:
        raise TradeoffError(f"the archive '{archive}' cannot be read: {error.strerror}") from None
    folder.mkdir()
    with file:
        size = os.fstat(file.fileno()).st_size
        members = total = 0
        try:
            with tarfile.open(fileobj=file, mode="r|*") as tar:
                for member in tar:
                    members, total = members + 1, total + member.size
                    if members > MAX_MEMBERS or total > MAX_BYTES:
                        raise TradeoffError(
                            f"'{archive}' is too large: over {MAX_BYTES:,} bytes or {MAX_MEMBERS:,} files"
                        )
                    tar.extract(member, folder, filter="data")
                    if progress:
                        progress(file.tell() / size)
        except tarfile.FilterError:
            raise TradeoffError(f"'{archive}' would write outside its folder: it is not unpacked") from None
        except DAMAGED:
            raise TradeoffError(f"'{archive}' is no tar archive, or is damaged") from None
