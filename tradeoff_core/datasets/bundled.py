"""Data sets that lie in the repository: the default digits, and samples of CIFAR-10 and ImageNet."""

from collections.abc import Callable

import numpy as np

from tradeoff_core.common.paths import ASSETS, SAMPLES
from tradeoff_core.datasets.base import ImageDataset, Share, Split
from tradeoff_core.datasets.folders import CIFAR10_CLASSES
from tradeoff_core.datasets.imagenet import IMAGENET_FIT, imagenet_classes
from tradeoff_core.datasets.reading import Fit, read_picture_file

SAMPLED: dict[
    str, tuple[str, Callable[[], tuple[str, ...]], Fit]
] = {  # the folder, the classes, and how its pictures become arrays
    "cifar10-samples": ("cifar10", lambda: CIFAR10_CLASSES, Fit(32, 32, 3)),
    "imagenet-samples": ("imagenet", imagenet_classes, IMAGENET_FIT),
}


def load_mnist_5k(name: str, split: Split, progress: Share | None) -> ImageDataset:  # noqa: ARG001
    """3,600 digits to train on, 400 to validate on, 1,000 to test on."""
    with np.load(ASSETS / "data" / "mnist-5k.npz", allow_pickle=False) as archive:
        chosen = archive["split"] == split
        return ImageDataset(name, archive["images"][chosen], archive["labels"][chosen].astype(np.int64))


def load_samples(name: str, split: Split, progress: Share | None) -> ImageDataset:  # noqa: ARG001
    """20 pictures for looking at networks trained elsewhere. Every split is these same 20: they train nothing."""
    folder, classes, fit = SAMPLED[name]
    files = sorted((SAMPLES / folder).glob("*_*.*"))  # <number>_<label>.<suffix>
    images = np.stack([fit.pixels(read_picture_file(file, file.name)) for file in files])
    labels = np.array([int(file.stem.partition("_")[2]) for file in files])
    return ImageDataset(name, images, labels, classes())
