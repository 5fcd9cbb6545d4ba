"""Labelled images: the bundled digits, torchvision's sets from disk or download, and a user's own files."""

import io
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from tradeoff_core.errors import TradeoffError
from tradeoff_core.paths import ASSETS, data_folder

MAX_IMAGES = 100_000
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
# what numpy and zipfile raise for a damaged, encrypted or absurdly large archive
UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    TypeError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


class Split(StrEnum):
    """Recipes are chosen on the validation images and reported on the test images."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """Images as stored: uint8 (N, H, W, C), with integer labels (N,) that index `classes`."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...] = field(default_factory=lambda: tuple("0123456789"))

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise TradeoffError(
                f"{self.name}: images must be uint8 of shape (N, H, W, C), not {describe(self.images)}"
            )
        if self.labels.shape != (len(self.images),) or self.labels.dtype.kind not in "iu":
            raise TradeoffError(
                f"{self.name}: labels must be whole numbers of shape ({len(self.images)},), "
                f"not {describe(self.labels)}"
            )
        if len(self.images) == 0:
            raise TradeoffError(f"{self.name}: there is no image in it")
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise TradeoffError(
                f"{self.name}: labels run from {self.labels.min()} to {self.labels.max()}, "
                f"but the classes are 0 to {len(self.classes) - 1}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W), as a network sees one image."""
        height, width, channels = self.images.shape[1:]
        return channels, height, width

    def take(self, indices: NDArray[np.int64] | slice) -> "ImageDataset":
        """The examples at `indices`, in that order."""
        return ImageDataset(self.name, self.images[indices], self.labels[indices], self.classes)

    def spread(self, count: int) -> "ImageDataset":
        """At most `count` examples, evenly spaced: of a split sorted by class, the same number of each."""
        return self.take(np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(np.int64))

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Images float32 (N, C, H, W) in [0, 1] and labels int64 (N,)."""
        return to_tensor(self.images), torch.from_numpy(self.labels.astype(np.int64))


def describe(array: NDArray[np.generic]) -> str:
    """An array's dtype and shape, for an error message."""
    return f"{array.dtype} {tuple(array.shape)}"


def to_tensor(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (N, H, W, C) -> float32 (N, C, H, W) in [0, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous()


def to_uint8(images: Tensor) -> NDArray[np.uint8]:
    """float (N, C, H, W) in [0, 1] -> uint8 (N, H, W, C), rounded to the nearest 1/255."""
    stored: NDArray[np.uint8] = images.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return stored


@cache
def load_dataset(name: str, split: Split) -> ImageDataset:
    """A split of a registered data set, from the repository or from `TRADEOFF_DATA`.

    Raises TradeoffError for an unknown name, or if the data set is not on disk.
    """
    if name not in DATASETS:
        raise TradeoffError(f"unknown data set '{name}': choose one of {', '.join(DATASETS)}")
    return DATASETS[name](name, Split(split))


def _mnist_5k(name: str, split: Split) -> ImageDataset:
    with np.load(ASSETS / "data" / "mnist-5k.npz", allow_pickle=False) as archive:
        chosen = archive["split"] == split
        return ImageDataset(name, archive["images"][chosen], archive["labels"][chosen].astype(np.int64))


def _torchvision(name: str, split: Split) -> ImageDataset:
    try:
        source = _torchvision_class(name)(data_folder(), train=split is not Split.TEST)
    except RuntimeError:
        raise TradeoffError(
            f"{name} is not in '{data_folder()}': set TRADEOFF_DATA to its folder, or download it with "
            f"python -m tradeoff_core download {name}"
        ) from None
    images = source.data.numpy()[..., None]  # (N, 28, 28, 1)
    labels = source.targets.numpy()
    if split is not Split.TEST:
        from sklearn.model_selection import train_test_split  # here, because its import takes a second

        # 5,000 of the 60,000 training images serve as validation
        train, validation = train_test_split(
            np.arange(len(labels)), test_size=5000, stratify=labels, random_state=0
        )
        chosen = train if split is Split.TRAIN else validation
        images, labels = images[chosen], labels[chosen]
    return ImageDataset(name, images, labels, tuple(source.classes))


DATASETS: dict[str, Callable[[str, Split], ImageDataset]] = {
    "mnist-5k": _mnist_5k,
    "mnist": _torchvision,
    "fashion-mnist": _torchvision,
}


def available(name: str) -> bool:
    """Whether the data set is on this machine."""
    try:
        load_dataset(name, Split.TEST)
    except TradeoffError:
        return False
    return True


def download(name: str, progress: Callable[[float], None] | None = None) -> None:
    """Fetch a data set into `TRADEOFF_DATA`; `progress` is told the share that is done, 0 to 1.

    Raises TradeoffError for a data set that needs no download, and without a network.
    """
    if DATASETS.get(name) is not _torchvision:
        choices = [known for known, source in DATASETS.items() if source is _torchvision]
        raise TradeoffError(f"'{name}' cannot be downloaded: choose one of {', '.join(choices)}")
    source = _torchvision_class(name)
    from torchvision.datasets.utils import check_integrity, download_and_extract_archive

    folder = data_folder() / source.__name__ / "raw"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TradeoffError(f"'{folder}' cannot be written ({error.strerror}): set TRADEOFF_DATA") from None
    for done, (file, checksum) in enumerate(source.resources):
        if not check_integrity(str(folder / file), checksum) and not any(
            _fetched(download_and_extract_archive, mirror + file, folder, checksum)
            for mirror in source.mirrors
        ):
            raise TradeoffError(f"{name} could not be downloaded: is there a network?")
        if progress:
            progress((done + 1) / len(source.resources))
    load_dataset.cache_clear()


def _fetched(fetch: Callable[..., None], url: str, folder: Path, checksum: str) -> bool:
    try:
        fetch(url, str(folder), md5=checksum)
    except (OSError, RuntimeError):  # no network, or a file that does not match its checksum
        return False
    return True


def load_images(path: Path, classes: tuple[str, ...], image_shape: tuple[int, int, int]) -> ImageDataset:
    """A user's labelled images, fitted to a network's `classes` and `image_shape` (C, H, W).

    Either an `.npz` with `images` uint8 (N, H, W[, C]) and `labels` (N,), or a folder that holds one folder
    of images a class. Raises TradeoffError, in one sentence, for anything that does not fit.
    """
    if not os.path.exists(path):  # False also for a name too long to be one
        raise TradeoffError(f"there is no file or folder '{path}'")
    dataset = _read_folder(path, classes, image_shape) if path.is_dir() else _read_npz(path, classes)
    if dataset.image_shape != image_shape:
        channels, height, width = image_shape
        raise TradeoffError(
            f"{path.name}: the network takes images of {height} x {width} with {channels} channel(s), "
            f"these are {describe(dataset.images)}"
        )
    return dataset


def _read_npz(path: Path, classes: tuple[str, ...]) -> ImageDataset:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            images, labels = archive["images"], archive["labels"]
    except KeyError:
        raise TradeoffError(f"{path.name}: an .npz must hold the arrays 'images' and 'labels'") from None
    except UNREADABLE:
        raise TradeoffError(f"{path.name} is not a readable .npz file of numbers") from None
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise TradeoffError(f"{path.name}: the images hold NaN or infinite values; they must be uint8")
    if images.ndim and len(images) > MAX_IMAGES:
        raise TradeoffError(f"{path.name}: {len(images):,} images are more than {MAX_IMAGES:,} at once")
    if images.ndim == 3:
        images = images[..., None]
    return ImageDataset(
        path.name, images, labels.astype(np.int64) if labels.dtype.kind in "iu" else labels, classes
    )


def _read_folder(path: Path, classes: tuple[str, ...], image_shape: tuple[int, int, int]) -> ImageDataset:
    channels, height, width = image_shape
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    unknown = [folder.name for folder in folders if folder.name not in classes]
    if not folders or unknown:
        raise TradeoffError(
            f"{path}: its folders must be named after the classes ({', '.join(classes)})"
            + (f", '{unknown[0]}' is not one" if unknown else "")
        )
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for folder in folders:
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            if len(images) == MAX_IMAGES:
                raise TradeoffError(f"{path}: it holds more than {MAX_IMAGES:,} images")
            picture = read_picture(file.read_bytes(), file.name).convert("L" if channels == 1 else "RGB")
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            images.append(np.asarray(picture).reshape(height, width, channels))
            labels.append(classes.index(folder.name))
    if not images:
        raise TradeoffError(f"{path}: there is no image in its folders")
    return ImageDataset(path.name, np.stack(images), np.array(labels), classes)


def read_picture(content: bytes, name: str, max_bytes: int = 20_000_000, max_side: int = 8192) -> Image.Image:
    """A decoded still picture. Raises TradeoffError for what is empty, huge, animated or no picture."""
    if not content:
        raise TradeoffError(f"{name} is empty: choose a PNG or JPEG picture")
    if len(content) > max_bytes:
        raise TradeoffError(f"{name} has {len(content):,} bytes: choose a picture below {max_bytes:,}")
    try:
        picture = Image.open(io.BytesIO(content))
        if max(picture.size) > max_side:
            raise TradeoffError(
                f"{name} is {picture.width} x {picture.height}: choose one of at most {max_side} a side"
            )
        # phones write stills as MPO, several JPEGs in one file
        if getattr(picture, "is_animated", False) and picture.format != "MPO":
            raise TradeoffError(f"{name} is animated: choose a still picture")
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise TradeoffError(f"{name} is not a picture that can be read: choose a PNG or JPEG") from None
    return picture


def _torchvision_class(name: str):  # type: ignore[no-untyped-def]  # torchvision carries no types
    import_torchvision()
    from torchvision import datasets

    return {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}[name]


@cache
def import_torchvision() -> None:
    """Import torchvision, also where its compiled operators do not match a CPU-only torch.

    PyPI's torchvision is built for the CUDA torch; beside a CPU-only one its operators are absent and its
    import fails on registering them. Declaring the two that it registers is enough: nothing here calls them.
    """
    try:
        import torchvision
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        import torchvision  # noqa: F401
