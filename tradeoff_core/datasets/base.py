"""Labelled images as they are stored, the one converter each way, and the split that every set shares."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError

if TYPE_CHECKING:
    from torch import Tensor

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
ROUNDING = 1e-4  # by which values may pass [0, 1]
Share = Callable[[float], None]  # is told the share of the work that is done, 0 to 1


class Split(StrEnum):
    """Recipes are chosen on the validation images and reported on the test images."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """Images as stored: uint8 (N, H, W, C), with integer labels (N,) that index `classes`.

    The images may be a memory-mapped file, read-only: what is taken by index is copied, a slice is not. `left_out`
    says, where it is a folder, which files of it are not read, and why.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...] = field(default_factory=lambda: tuple("0123456789"))
    left_out: str = ""

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
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def spread(self, count: int) -> "ImageDataset":
        """At most `count` examples, evenly spaced: of a split sorted by class, the same number of each."""
        return self.take(evenly_spaced(len(self), count))

    @property
    def targets(self) -> "Tensor":
        """The labels as a tensor, int64 (N,)."""
        import torch

        return torch.from_numpy(self.labels.astype(np.int64))

    def tensors(self) -> "tuple[Tensor, Tensor]":
        """Images float32 (N, C, H, W) in [0, 1] and labels int64 (N,): four times the stored bytes, all at once."""
        return to_tensor(self.images), self.targets

    def batches(self, size: int) -> "Iterator[tuple[Tensor, Tensor]]":
        """What `tensors` gives, `size` examples at a time and in order, so that one batch is in memory as float."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size)).tensors()


def evenly_spaced(length: int, most: int) -> NDArray[np.int64]:
    """At most `most` indices into `length` things, evenly spaced, each once; none of none."""
    return np.linspace(0, length - 1, min(most, length)).round().astype(np.int64)


def describe(array: NDArray[np.generic]) -> str:
    """An array's dtype and shape, for an error message."""
    return f"{array.dtype} {tuple(array.shape)}"


def checked_images(images: "Tensor") -> "Tensor":
    """The images without their history of gradients. Raises TradeoffError unless they are floats (N, C, H, W) in [0, 1]."""
    if isinstance(images, np.ndarray) or images.ndim != 4 or not images.is_floating_point():
        raise TradeoffError(
            f"images must be floats of shape (N, C, H, W) in [0, 1], in a tensor, not {_kind(images)}"
        )
    if images.numel():
        least, most = (value.item() for value in images.detach().aminmax())
        if not (least >= -ROUNDING and most <= 1 + ROUNDING):  # NaN is nowhere
            hint = ": divide them by 255" if least >= 0 and 1 < most <= 255 else ""
            raise TradeoffError(f"images must lie in [0, 1], not from {least:g} to {most:g}{hint}")
    return images.detach()


def checked_labels(labels: "Tensor", count: int, classes: int | None = None) -> "Tensor":
    """The labels as int64. Raises TradeoffError unless they are whole numbers (count,), and such of `classes`."""
    import torch

    array = isinstance(labels, np.ndarray)
    if array or labels.shape != (count,) or labels.is_floating_point() or labels.dtype is torch.bool:
        raise TradeoffError(
            f"labels must be whole numbers of shape ({count},), one an image, in a tensor, not {_kind(labels)}"
        )
    if classes is not None and labels.numel():
        least, most = (int(value) for value in labels.aminmax())
        if least < 0 or most >= classes:
            raise TradeoffError(
                f"labels run from {least} to {most}, but the network's classes are 0 to {classes - 1}"
            )
    return labels.long()


def _kind(values: "Tensor | NDArray[np.generic]") -> str:
    """What somebody gave, for an error message."""
    if isinstance(values, np.ndarray):
        return f"an array of {describe(values)}"
    return f"{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)}"


def to_tensor(images: NDArray[np.uint8]) -> "Tensor":
    """uint8 (N, H, W, C) -> float32 (N, C, H, W) in [0, 1]."""
    import torch

    writeable = images if images.flags.writeable else images.copy()  # torch warns of arrays that are not
    return torch.from_numpy(writeable).permute(0, 3, 1, 2).contiguous().float().div_(255)


def to_uint8(images: "Tensor") -> NDArray[np.uint8]:
    """float (N, C, H, W) in [0, 1] -> uint8 (N, H, W, C), rounded to the nearest 1/255."""
    import torch

    stored: NDArray[np.uint8] = images.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return stored


def between(tell: Share, start: float, stop: float) -> Share:
    """Tells the share of a part of some work as that of the whole, of which the part is `start` to `stop`."""
    return lambda share: tell(start + share * (stop - start))


def hold_out(labels: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices to train on and `count` to validate on: shuffled, stratified by label, the same ones always."""
    from sklearn.model_selection import train_test_split  # here, because its import takes a second

    train, validation = train_test_split(
        np.arange(len(labels)), test_size=count, stratify=labels, random_state=0
    )
    return train, validation
