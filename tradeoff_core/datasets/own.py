"""A user's own labelled images to measure a network on: an `.npz`, or a folder of pictures."""

import io
import os
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import read_bytes
from tradeoff_core.datasets.base import UNREADABLE, ImageDataset, describe
from tradeoff_core.datasets.imagenet import IMAGENET_FIT, imagenet_classes, imagenet_labels
from tradeoff_core.datasets.listing import class_folders, list_pictures
from tradeoff_core.datasets.reading import Fit, read_picture_file

MAX_IMAGES = 100_000
MAX_BYTES = 4_000_000_000  # of decoded pictures, which are all held in memory


def load_images(path: Path, classes: tuple[str, ...], image_shape: tuple[int, int, int]) -> ImageDataset:
    """A user's labelled images, fitted to a network's `classes` and `image_shape` (C, H, W).

    Either an `.npz` with `images` uint8 (N, H, W[, C]) and `labels` (N,), which have the network's height and
    width already, or a folder that holds one folder of pictures a class, which may have any size: see Fit. ImageNet's
    classes may be named as in `imagenet_labels`.
    Raises TradeoffError, in one sentence, for anything that does not fit.
    """
    if not os.path.exists(path):  # False also for a name too long to be one
        raise TradeoffError(f"there is no file or folder '{path}'")
    channels, height, width = image_shape
    if path.is_dir():
        return _read_folder(path, classes, Fit(height, width, channels))
    dataset = _read_npz(path, classes, channels)
    if dataset.image_shape != image_shape:
        raise TradeoffError(
            f"{path.name}: the network takes images of {height} x {width} with {channels} channel(s), "
            f"these are {describe(dataset.images)}"
        )
    return dataset


def _read_npz(path: Path, classes: tuple[str, ...], channels: int) -> ImageDataset:
    try:
        with np.load(io.BytesIO(read_bytes(path, MAX_BYTES)), allow_pickle=False) as archive:
            if not isinstance(archive, NpzFile):
                raise KeyError
            _check_size(archive, path.name)
            images, labels = archive["images"], archive["labels"]
    except KeyError:
        raise TradeoffError(f"{path.name}: an .npz must hold the arrays 'images' and 'labels'") from None
    except UNREADABLE:
        raise TradeoffError(f"{path.name} is not a readable .npz file of numbers") from None
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise TradeoffError(f"{path.name}: the images hold NaN or infinite values; they must be uint8")
    if images.ndim == 3:
        images = images[..., None]
    if channels == 3 and images.ndim == 4 and images.dtype == np.uint8:
        images = _in_colour(images)
    return ImageDataset(
        path.name, images, labels.astype(np.int64) if labels.dtype.kind in "iu" else labels, classes
    )


def _check_size(archive: "NpzFile[Any]", name: str) -> None:
    """Raise TradeoffError for an .npz that unpacks to more than may be measured at once; its headers say so."""
    for entry in ("images", "labels"):
        with archive.zip.open(f"{entry}.npy") as file:  # type: ignore[union-attr]
            version = np.lib.format.read_magic(file)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, kind = header(file)
        if shape and shape[0] > MAX_IMAGES:
            raise TradeoffError(f"{name}: {shape[0]:,} {entry} are more than {MAX_IMAGES:,} at once")
        if prod(shape) * kind.itemsize > MAX_BYTES:
            raise TradeoffError(f"{name}: its {entry} unpack to more than {MAX_BYTES / 1e9:g} GB")


def _in_colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey (N, H, W, 1) repeated, or RGBA (N, H, W, 4) laid over white, as RGB (N, H, W, 3); others as they are."""
    if images.shape[3] == 1:
        return np.repeat(images, 3, axis=3)
    if images.shape[3] == 4:
        colour, opacity = images[..., :3].astype(np.uint16), images[..., 3:].astype(np.uint16)
        return ((colour * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
    return images


def _read_folder(path: Path, classes: tuple[str, ...], fit: Fit) -> ImageDataset:
    folders = class_folders(path)
    if classes == imagenet_classes():
        fit, labels = IMAGENET_FIT, imagenet_labels(path, folders)
    else:
        unknown = [folder for folder in folders if folder not in classes]
        if not folders or unknown:
            raise TradeoffError(
                f"{path}: its folders must be named after the classes ({_some(classes)})"
                + (f", '{unknown[0]}' is not one" if unknown else "")
            )
        labels = {folder: classes.index(folder) for folder in folders}
    most = min(MAX_IMAGES, MAX_BYTES // (fit.height * fit.width * fit.channels))
    listing = list_pictures(path, labels, most, may_be_empty=True)
    if not listing.files:
        raise TradeoffError(f"{path}: there is no image in its folders")
    images = np.empty((len(listing.files), fit.height, fit.width, fit.channels), dtype=np.uint8)
    for row, file in enumerate(listing.files):
        images[row] = fit.pixels(read_picture_file(path / file, file))
    return ImageDataset(path.name, images, listing.labels, classes, listing.said)


def _some(names: tuple[str, ...], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} others" if len(names) > most else "")
