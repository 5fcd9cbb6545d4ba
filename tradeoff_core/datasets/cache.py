"""Pictures decoded once: a memory-mapped file of pixels, and beside it their labels and checksums.

Both files carry the fingerprint of what they were made from in their names, are written beside and renamed, the
pixels first; so two processes that build at once write the same, and a kill leaves nothing that could be taken
for whole. Pixels are checked in blocks of about a megabyte: all of them while that takes under a second.
"""

import os
import shutil
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import UNFINISHED, replacing
from tradeoff_core.datasets.archives import LEFTOVER_SECONDS
from tradeoff_core.datasets.base import UNREADABLE, Share
from tradeoff_core.datasets.reading import Fit, read_picture_file

BLOCK_BYTES = 2**20  # decoded, written and checked at a time
THOROUGH_BYTES = 2**28  # up to here every block is checked at each opening,
SPOT_CHECKS = 256  # beyond it these many, unless the file was touched since

_locks: dict[Path, Lock] = {}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is decoded: the files of a folder in the order of the rows, their labels (N,), and their shape."""

    folder: Path
    files: Sequence[str]
    labels: NDArray[np.int64]
    fit: Fit

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return len(self.files), self.fit.height, self.fit.width, self.fit.channels


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cache lies: `<folder>/<part>-<fingerprint>.npy`, and .npz for its labels and checksums."""

    folder: Path
    part: str
    fingerprint: str

    def file(self, suffix: str) -> Path:
        """One of the two files."""
        return self.folder / f"{self.part}-{self.fingerprint}{suffix}"


def cached(
    place: Place, plan: Callable[[], Plan], progress: Share | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, H, W, C), memory-mapped and read-only, and labels (N,); decoded as `plan` says if need be.

    Raises TradeoffError, and leaves no file, if a picture cannot be read or the disk is full or write-protected.
    """
    with _locks.setdefault(place.folder, Lock()):  # the threads of an app do not build twice
        found = _opened(place)
        if found is None:
            _build(place, plan(), progress)
            found = _opened(place)
        if found is None:
            raise TradeoffError(f"'{place.file('.npy')}' changes while it is read: is the disk in order?")
        return found


def writable_copy(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of images that can be written to; of cached ones only what is written takes memory, not all of them."""
    mapped: Any = images
    while isinstance(mapped, np.ndarray) and not isinstance(mapped, np.memmap):
        mapped = mapped.base
    if not isinstance(mapped, np.memmap) or mapped.filename is None or not images.flags.c_contiguous:
        return images.copy()
    start = images.ctypes.data - mapped.ctypes.data
    try:
        return np.memmap(mapped.filename, images.dtype, "c", mapped.offset + start, images.shape)
    except OSError:  # the file is gone, though what was mapped of it stays
        return images.copy()


def _opened(place: Place) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """The cache, or None where there is none or it is damaged."""
    try:
        with np.load(place.file(".npz"), allow_pickle=False) as kept:
            labels, checksums, shape, written = (
                kept[name] for name in ("labels", "checksums", "shape", "written")
            )
        images = np.load(place.file(".npy"), mmap_mode="r", allow_pickle=False)
        touched = place.file(".npy").stat().st_mtime_ns != written
    except (*UNREADABLE, LookupError):
        return None
    if images.dtype != np.uint8 or images.shape != tuple(shape) or labels.shape != (len(images),):
        return None
    if not _whole(images, checksums, thorough=touched or images.nbytes <= THOROUGH_BYTES):
        return None
    return np.asarray(images), labels


def _whole(images: NDArray[np.uint8], checksums: NDArray[np.uint32], thorough: bool) -> bool:
    rows = rows_in_block(images.shape)
    blocks = -(-len(images) // rows)
    if len(checksums) != blocks:
        return False
    looked_at = np.arange(blocks)
    if not thorough:
        looked_at = np.linspace(0, blocks - 1, min(SPOT_CHECKS, blocks)).astype(np.int64)
    return all(
        zlib.crc32(images[block * rows : (block + 1) * rows].data) == checksums[block] for block in looked_at
    )


def rows_in_block(shape: tuple[int, ...]) -> int:
    """How many images of (N, H, W, C) are decoded, written and checked at a time."""
    return max(1, BLOCK_BYTES // int(np.prod(shape[1:])))


def _build(place: Place, plan: Plan, progress: Share | None) -> None:
    needed = int(np.prod(plan.shape))
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        _sweep(place.folder)
        free = shutil.disk_usage(place.folder).free
        if needed > free:
            raise TradeoffError(
                f"the decoded pictures of '{plan.folder}' need {needed / 1e9:,.1f} GB in '{place.folder}', where "
                f"{free / 1e9:,.1f} GB are free: make room, or set TRADEOFF_DATA to a folder on a larger disk"
            )
        with replacing(place.file(".npy")) as file:
            checksums = _write_images(file, plan, progress)
        written = place.file(".npy").stat().st_mtime_ns
        with replacing(place.file(".npz")) as file:
            np.savez(
                file,
                labels=plan.labels,
                checksums=np.array(checksums, dtype=np.uint32),
                shape=np.array(plan.shape),
                written=np.array(written),
            )
    except OSError as error:
        raise TradeoffError(
            f"the decoded pictures of '{plan.folder}' cannot be kept in '{place.folder}' ({error.strerror}): "
            "set TRADEOFF_DATA to a folder that can be written and has room"
        ) from None
    for file_of_before in place.folder.glob(f"{place.part}-*.np[yz]"):
        if file_of_before.stem != place.file("").name:
            with suppress(OSError):  # another process has it open, or has removed it
                file_of_before.unlink()


def _write_images(file: BinaryIO, plan: Plan, progress: Share | None) -> list[int]:
    """Write the .npy of the decoded pictures; the checksum of every block. Written, not mapped: a full disk raises."""
    header = {"descr": "|u1", "fortran_order": False, "shape": plan.shape}
    np.lib.format.write_array_header_1_0(file, header)
    checksums, done = [], 0
    with closing(_decoded(plan)) as blocks:
        for block in blocks:
            checksums.append(zlib.crc32(block.data))
            file.write(block.data)
            done += len(block)
            if progress:
                progress(done / len(plan.files))
    return checksums


def _decoded(plan: Plan) -> Generator[NDArray[np.uint8], None, None]:
    """The pictures in blocks, in order, decoded by a few threads: Pillow lets go of the interpreter meanwhile."""
    rows = rows_in_block(plan.shape)
    threads = min(8, os.cpu_count() or 1)
    waiting: deque[Future[NDArray[np.uint8]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(plan.files), rows):
                waiting.append(pool.submit(_decode, plan, start, start + rows))
                if len(waiting) > 2 * threads:  # no further ahead, so that memory stays small
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _decode(plan: Plan, start: int, stop: int) -> NDArray[np.uint8]:
    root, part = os.fspath(plan.folder), plan.folder.name
    return np.stack(
        [
            plan.fit.pixels(read_picture_file(f"{root}/{file}", f"{part}/{file}"))
            for file in plan.files[start:stop]
        ]
    )


def _sweep(folder: Path) -> None:
    """Remove what a killed process left unfinished."""
    for file in folder.glob(f".*{UNFINISHED}"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > LEFTOVER_SECONDS:
                file.unlink()
