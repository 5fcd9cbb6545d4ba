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

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import data_folder
from tradeoff_core.datasets.base import Share

MAX_MEMBERS = 500_000
MAX_BYTES = 8_000_000_000
DAMAGED = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError)
LEFTOVER_SECONDS = 24 * 3600  # what is unfinished for so long is nobody's any more
FULL = {errno.ENOSPC, errno.EDQUOT}
# an archive's name -> its data set, and the bytes that its files take on a disk of 4 KiB blocks
ARCHIVES = {
    "cifar10-jpeg.tar.xz": ("cifar10", 250_000_000),
    "tiny-imagenet-20.tar.xz": ("tiny-imagenet-20", 46_000_000),
    "imagenette-128.tar": ("imagenette-128", 105_000_000),
    "imagenet-10-groups.tar.xz": ("imagenet-10-groups", 121_000_000),
}


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


def unpack_data_set(archive: Path, progress: Share | None = None) -> str:
    """Unpack an archive as `TRADEOFF_DATA/<data set>`, unless that is there; one sentence says which.

    Raises TradeoffError for another archive than ours, one that cannot be read, and a disk without room.
    """
    if not os.path.isfile(archive):  # False also for a name too long to be one
        raise TradeoffError(f"there is no archive '{archive}'")
    if archive.name not in ARCHIVES:
        raise TradeoffError(f"'{archive.name}' is no archive of a data set: give {' or '.join(ARCHIVES)}")
    name, needed = ARCHIVES[archive.name]
    target = data_folder() / name
    if (target / "train").is_dir():
        return f"{name} is in {target} already"
    if target.exists():
        raise TradeoffError(f"'{target}' is there and holds no data set: move it away")
    disk = next(folder for folder in target.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(disk).free
    if free < needed:
        raise TradeoffError(
            f"{name} needs {needed / 1e6:,.0f} MB in '{data_folder()}', where {free / 1e6:,.0f} MB are free: make "
            "room, or set TRADEOFF_DATA to a folder on a larger disk"
        )
    unpack(archive, target, progress, holding="train")
    return f"{name} is in {target}"


def unpack(archive: Path, target: Path, progress: Share | None = None, *, holding: str = ".") -> None:
    """Unpack a tar archive, compressed or not, into the new folder `target`, which appears when all is there.

    Where all of it lies in one folder, that folder becomes `target`.

    Raises TradeoffError for a file that is none, is damaged, is absurdly large, leads out of the folder or lacks
    the folder `holding`, and where `target` cannot be written; then there is no `target`.
    """
    with folder_beside(target) as folder:
        extract(archive, folder / "content", progress)
        content = folder / "content"
        if not (content / holding).is_dir():
            only = list(content.iterdir())
            if len(only) != 1 or not (only[0] / holding).is_dir():
                raise TradeoffError(f"'{archive}' has no folder '{holding}' in it: it is another archive")
            content = only[0]
        try:
            os.rename(content, target)
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
