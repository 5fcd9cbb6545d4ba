"""Labelled images: the bundled digits and samples, the full sets on disk, and a user's own."""

from tradeoff_core.datasets.archives import unpack
from tradeoff_core.datasets.base import (
    UNREADABLE,
    ImageDataset,
    Share,
    Split,
    checked_images,
    checked_labels,
    describe,
    evenly_spaced,
    to_tensor,
    to_uint8,
)
from tradeoff_core.datasets.cache import writable_copy
from tradeoff_core.datasets.folders import (
    CIFAR10_CLASSES,
    IMAGENET_GROUPS,
    IMAGENETTE_CLASSES,
    TINY_IMAGENET_CLASSES,
)
from tradeoff_core.datasets.imagenet import imagenet_classes
from tradeoff_core.datasets.listing import LAYOUT
from tradeoff_core.datasets.own import load_images
from tradeoff_core.datasets.reading import Fit, in_eight_bits, read_picture
from tradeoff_core.datasets.registry import (
    DATASETS,
    available,
    download,
    has_pictures,
    how_to_get,
    in_the_repository,
    known,
    load_dataset,
    prepare,
    short_name,
    side_of,
    target_of,
    title,
    to_show,
    training_is_readable,
    whole,
)
from tradeoff_core.datasets.torchvision_sets import import_torchvision

__all__ = [
    "CIFAR10_CLASSES",
    "DATASETS",
    "IMAGENETTE_CLASSES",
    "IMAGENET_GROUPS",
    "LAYOUT",
    "TINY_IMAGENET_CLASSES",
    "UNREADABLE",
    "Fit",
    "ImageDataset",
    "Share",
    "Split",
    "available",
    "checked_images",
    "checked_labels",
    "describe",
    "download",
    "evenly_spaced",
    "has_pictures",
    "how_to_get",
    "imagenet_classes",
    "import_torchvision",
    "in_eight_bits",
    "in_the_repository",
    "known",
    "load_dataset",
    "load_images",
    "prepare",
    "read_picture",
    "short_name",
    "side_of",
    "target_of",
    "title",
    "to_show",
    "to_tensor",
    "to_uint8",
    "training_is_readable",
    "unpack",
    "whole",
    "writable_copy",
]
