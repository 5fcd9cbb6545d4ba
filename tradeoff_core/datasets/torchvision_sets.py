"""torchvision's sets, from their own files in TRADEOFF_DATA or downloaded there: MNIST, Fashion-MNIST, CIFAR-10."""

import gzip
import hashlib
import http.client
import os
import shutil
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import data_folder
from tradeoff_core.datasets.archives import FULL, extract, folder_beside
from tradeoff_core.datasets.base import ImageDataset, Share, Split, between, hold_out

CLASSES = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "cifar10": "CIFAR10"}
HELD_OUT = 5000  # of the training images, for validation
TIMEOUT = 30  # seconds without a byte
PIECE = 2**18  # bytes
CIFAR10_FILES = ("batches.meta", *(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
IDX_FILES = tuple(
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)
# what torchvision raises for its files once they are damaged
DAMAGED = (RuntimeError, ValueError, AssertionError, LookupError, OSError, EOFError)


def load_torchvision(name: str, split: Split, progress: Share | None) -> ImageDataset:  # noqa: ARG001
    """A split of torchvision's set; 5,000 of its training images, stratified, serve as validation."""
    try:
        source = _torchvision_class(name)(data_folder(), train=split is not Split.TEST)
    except DAMAGED:
        raise TradeoffError(
            f"the files of {name} in '{data_folder()}' are damaged: delete them, and download them again with "
            f"python -m tradeoff_core download {name}"
        ) from None
    images, labels = np.asarray(source.data), np.asarray(source.targets)
    if images.ndim == 3:
        images = images[..., None]  # (N, 28, 28, 1)
    if split is not Split.TEST:
        chosen = hold_out(labels, HELD_OUT)[split is Split.VALIDATION]
        images, labels = images[chosen], labels[chosen]
    return ImageDataset(name, np.ascontiguousarray(images), labels, tuple(source.classes))


def torchvision_present(name: str) -> bool:
    """Whether all of the set's own files are in TRADEOFF_DATA."""
    if name == "cifar10":
        return all(os.path.isfile(data_folder() / "cifar-10-batches-py" / file) for file in CIFAR10_FILES)
    return all(_whole_idx(data_folder() / CLASSES[name] / "raw" / file) for file in IDX_FILES)


def _whole_idx(path: Path) -> bool:
    """Whether a file of the original MNIST format is as long as its header says."""
    try:
        with path.open("rb") as file:
            dimensions = file.read(4)[3]
            sizes = np.frombuffer(file.read(4 * dimensions), ">u4")
            return os.fstat(file.fileno()).st_size == 4 + 4 * dimensions + int(np.prod(sizes, dtype=np.int64))
    except (OSError, LookupError, ValueError):
        return False


def download_torchvision(name: str, progress: Share | None = None) -> None:
    """Fetch the set's files; what is whole already stays. Raises TradeoffError without a network or room.

    Files are fetched and unpacked beside and moved in when they are whole, so one that is cut off leaves nothing.
    """
    source = _torchvision_class(name)
    tell = progress or (lambda _: None)
    if name == "cifar10":
        _download_cifar10(source, tell)
        return
    folder = data_folder() / source.__name__ / "raw"
    with folder_beside(folder) as beside:
        for done, (file, checksum) in enumerate(source.resources):
            target = folder / file.removesuffix(".gz")
            if not _whole_idx(target):
                urls = [mirror + file for mirror in source.mirrors]
                _fetch(name, urls, beside / file, checksum, between(tell, done / 4, (done + 1) / 4))
                with gzip.open(beside / file) as packed, (beside / target.name).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
                folder.mkdir(exist_ok=True)
                os.replace(beside / target.name, target)
            tell((done + 1) / 4)


def _download_cifar10(source: Any, tell: Share) -> None:
    from torchvision.datasets.utils import check_integrity

    target = data_folder() / source.base_folder
    files = [*source.train_list, *source.test_list, (source.meta["filename"], source.meta["md5"])]
    if not all(check_integrity(str(target / file), checksum) for file, checksum in files):
        with folder_beside(target) as beside:
            archive = beside / source.filename
            _fetch("cifar10", [source.url], archive, source.tgz_md5, between(tell, 0, 0.9))
            extract(archive, beside / "unpacked", between(tell, 0.9, 1))
            target.mkdir(exist_ok=True)
            for file in (beside / "unpacked" / source.base_folder).iterdir():
                os.replace(file, target / file.name)
    tell(1.0)


def _fetch(name: str, urls: list[str], path: Path, checksum: str, tell: Share) -> None:
    """Fetch a file from the first of `urls` that gives what the MD5 checksum asks for."""
    for url in urls:
        request = urllib.request.Request(url, headers={"User-Agent": "python"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response, path.open("wb") as file:
                total = int(response.headers.get("Content-Length") or 0)
                digest = hashlib.md5(usedforsecurity=False)
                while piece := response.read(PIECE):
                    digest.update(piece)
                    file.write(piece)
                    if total:
                        tell(min(1.0, file.tell() / total))
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            continue
        if digest.hexdigest() == checksum:
            return
    raise TradeoffError(f"{name} could not be downloaded: is there a network?")


def _torchvision_class(name: str) -> Any:
    import_torchvision()
    from torchvision import datasets

    return getattr(datasets, CLASSES[name])


@cache
def import_torchvision() -> None:
    """Import torchvision, also where its compiled operators do not match a CPU-only torch.

    PyPI's torchvision is built for the CUDA torch; beside a CPU-only one its operators are absent and its
    import fails on registering them. Declaring the two that it registers is enough: nothing here calls them.
    """
    try:
        import torchvision
    except RuntimeError:
        import torch

        for name in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        import torchvision  # noqa: F401
