"""The data sets by name: where each comes from, whether it is there, and how to get it if not."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import data_folder
from tradeoff_core.datasets.base import ImageDataset, Share, Split, between
from tradeoff_core.datasets.bundled import load_mnist_5k, load_samples
from tradeoff_core.datasets.folders import (
    IMAGENETTE_CLASSES,
    is_folder_name,
    load_own_folder,
    load_picture_set,
    own_folder_present,
    picture_set_present,
)
from tradeoff_core.datasets.listing import LAYOUT
from tradeoff_core.datasets.torchvision_sets import (
    CLASSES,
    download_torchvision,
    load_torchvision,
    torchvision_present,
)

Loader = Callable[[str, Split, Share | None], ImageDataset]


@dataclass(frozen=True, slots=True)
class DataSource:
    """How a split of a data set is read, whether it is on this machine, and what to do where it is not.

    `decodes` says whether it is read from a folder of pictures, which are decoded once; `side` is theirs in pixels;
    `samples` names the pictures of it that the repository holds; `target` is the class that backdoor success counts
    where nothing is poisoned, the paper's class 7 unless its networks were poisoned with another.
    """

    title: str
    load: Loader
    present: Callable[[str], bool]
    get: str
    decodes: Callable[[str], bool] = lambda _: False
    side: int = 28
    samples: str | None = None
    target: int = 7


def _load_cifar10(name: str, split: Split, progress: Share | None) -> ImageDataset:
    """From torchvision's own files where they are, because the pictures have been through JPEG."""
    return (load_torchvision if torchvision_present(name) else load_picture_set)(name, split, progress)


def _cifar10_present(name: str) -> bool:
    return torchvision_present(name) or picture_set_present(name)


def _cifar10_decodes(name: str) -> bool:
    return not torchvision_present(name)


def _always(_: str) -> bool:
    return True


IN_THE_REPOSITORY = "it is a part of this repository: fetch its assets/ again"
DOWNLOAD = "set TRADEOFF_DATA to its folder, or download it with python -m tradeoff_core download"
UNPACK = "python -m tradeoff_core.tools.unpack"
UNPACKED = f"set TRADEOFF_DATA to its folder, or unpack it with {UNPACK}"

DATASETS: dict[str, DataSource] = {
    "mnist-5k": DataSource("Digits (MNIST)", load_mnist_5k, _always, IN_THE_REPOSITORY),
    "mnist": DataSource("MNIST, all of it", load_torchvision, torchvision_present, f"{DOWNLOAD} mnist"),
    "fashion-mnist": DataSource(
        "Fashion-MNIST", load_torchvision, torchvision_present, f"{DOWNLOAD} fashion-mnist"
    ),
    "cifar10": DataSource(
        "CIFAR-10",
        _load_cifar10,
        _cifar10_present,
        f"{DOWNLOAD} cifar10, or unpack it as pictures with {UNPACK} cifar10-jpeg.tar.xz",
        _cifar10_decodes,
        side=32,
        samples="cifar10-samples",
    ),
    "cifar10-samples": DataSource("CIFAR-10", load_samples, _always, IN_THE_REPOSITORY, side=32),
    "tiny-imagenet-20": DataSource(
        "Tiny ImageNet (20 classes)",
        load_picture_set,
        picture_set_present,
        f"{UNPACKED} tiny-imagenet-20.tar.xz",
        _always,
        side=64,
    ),
    "imagenette-128": DataSource(
        "Imagenette (10 classes of ImageNet)",
        load_picture_set,
        picture_set_present,
        f"{UNPACKED} imagenette-128.tar",
        _always,
        side=128,
        target=IMAGENETTE_CLASSES.index("church"),
    ),
    "imagenet-10-groups": DataSource(
        "ImageNet in 10 groups",
        load_picture_set,
        picture_set_present,
        f"{UNPACKED} imagenet-10-groups.tar.xz",
        _always,
        side=32,
    ),
    "imagenet": DataSource(
        "ImageNet",
        load_picture_set,
        picture_set_present,
        "get its pictures from image-net.org, and set TRADEOFF_DATA to the folder that holds imagenet/val/<class>/* "
        "and, to train on, imagenet/train/<class>/*",
        _always,
        side=224,
        samples="imagenet-samples",
    ),
    "imagenet-samples": DataSource("ImageNet", load_samples, _always, IN_THE_REPOSITORY, side=224),
}
OWN_FOLDER = DataSource("your own folder", load_own_folder, own_folder_present, LAYOUT, _always)


def short_name(name: str) -> str:
    """A data set's name as a part of a file's: a folder's is its last part, with nothing odd in it."""
    if name in DATASETS:
        return name
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(os.path.abspath(name)).name) or "folder"


def title(name: str) -> str:
    """A data set's name for people. Raises TradeoffError for an unknown name."""
    source = _source(name)
    return f"Folder {short_name(name)}" if source is OWN_FOLDER else source.title


def whole(name: str) -> str:
    """The data set that the named one holds samples of; any other is whole itself."""
    return next((full for full, source in DATASETS.items() if source.samples == name), name)


def training_is_readable(name: str) -> bool:
    """Whether pages read a data set's training images: not ImageNet's, of which there are 1.28 million."""
    return whole(name) != "imagenet"


def to_show(name: str) -> str | None:
    """The data set whose pictures stand for this one: all of it where that is here, else samples, else None."""
    full = whole(name)
    samples = DATASETS[full].samples if full in DATASETS else None
    return full if available(full) else samples


def in_the_repository(name: str) -> str | None:
    """The pictures of a data set that the repository holds: all of it, else samples, else None."""
    if name not in DATASETS:
        return None
    return name if DATASETS[name].present is _always else DATASETS[name].samples


def side_of(name: str) -> int:
    """Height and width of a data set's images. Raises TradeoffError for a folder that is not there."""
    return DATASETS[name].side if name in DATASETS else load_dataset(name, Split.TEST).image_shape[1]


def target_of(name: str) -> int:
    """The class that backdoor success counts where nothing is poisoned; of a folder with fewer, its last.

    Raises TradeoffError for a folder that is not there.
    """
    if name in DATASETS:
        return DATASETS[name].target
    return min(OWN_FOLDER.target, len(load_dataset(name, Split.TEST).classes) - 1)


def known(name: str) -> bool:
    """Whether a name is a data set's: registered, or a folder's by its path, be it there or not."""
    return name in DATASETS or is_folder_name(name)


@cache
def load_dataset(name: str, split: Split) -> ImageDataset:
    """A split of a data set: a registered one, from the repository or from `TRADEOFF_DATA`, or a user's folder.

    A folder of pictures is decoded when it is first asked for, which takes a while: see `prepare`. Raises
    TradeoffError for an unknown name, or if the data set is not on disk.
    """
    return _load(name, Split(split))


def prepare(
    name: str, progress: Share | None = None, splits: tuple[Split, ...] = (Split.TRAIN, Split.TEST)
) -> None:
    """Decode the pictures of a data set, if that has not been done, so that `load_dataset` is quick.

    Train brings validation with it. Does nothing for a set that is no folder of pictures. Raises TradeoffError
    as `load_dataset` does.
    """
    tell = progress or (lambda _: None)
    if not _source(name).decodes(name):
        return
    for done, split in enumerate(splits):
        _load(name, split, between(tell, done / len(splits), (done + 1) / len(splits)))
        tell((done + 1) / len(splits))


def _load(name: str, split: Split, progress: Share | None = None) -> ImageDataset:
    source = _source(name)
    if name in DATASETS and not source.present(name):  # what a user's own folder lacks, its loader says
        raise TradeoffError(how_to_get(name))
    return source.load(name, split, progress)


def _source(name: str) -> DataSource:
    if not known(name):
        raise TradeoffError(
            f"unknown data set '{name}': choose one of {', '.join(DATASETS)}, or the path of a folder of pictures"
        )
    return DATASETS.get(name, OWN_FOLDER)


def has_pictures(name: str) -> bool:
    """Whether a data set is read from a folder of pictures on this machine."""
    return available(name) and _source(name).decodes(name)


def available(name: str) -> bool:
    """Whether a data set's test split is on this machine, without reading it."""
    return known(name) and _source(name).present(name)


def how_to_get(name: str) -> str:
    """One sentence that says what to do where a data set is absent. Raises TradeoffError for an unknown name."""
    source = _source(name)
    if source is OWN_FOLDER:
        return f"there is no data set in the folder '{name}': {source.get}"
    return f"{name} is not in '{data_folder()}': {source.get}"


def download(name: str, progress: Share | None = None) -> None:
    """Fetch a data set into `TRADEOFF_DATA`; `progress` is told the share that is done, 0 to 1.

    Raises TradeoffError for a data set that needs no download, and without a network.
    """
    if name not in CLASSES:
        raise TradeoffError(f"'{name}' cannot be downloaded: choose one of {', '.join(CLASSES)}")
    download_torchvision(name, progress)
    load_dataset.cache_clear()
