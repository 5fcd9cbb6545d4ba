"""Data sets that are folders of pictures: `<root>/train/<class>/*` and `<root>/test` or `<root>/val`.

Four of them are registered under TRADEOFF_DATA with the classes they must have; ImageNet's folders may be named
three ways; and any folder of the user's is a data set by its path. Each part is decoded once, see cache.py. A
tenth of train, stratified, is the validation split; the pictures outside train are the test split.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import cache_folder, data_folder
from tradeoff_core.datasets.base import ImageDataset, Share, Split, hold_out
from tradeoff_core.datasets.cache import Place, Plan, cached
from tradeoff_core.datasets.imagenet import IMAGENET_FIT, imagenet_classes, imagenet_labels
from tradeoff_core.datasets.listing import LAYOUT, Listing, class_folders, is_folder, list_pictures
from tradeoff_core.datasets.reading import Fit, picture_header

VERSION = 2  # of how pictures are decoded, split and kept; another one decodes anew
OWN_TEST_FOLDERS = ("test", "val")
LEAST_OWN_SIDE = 4  # on which a sticker of 3 x 3 is not the whole picture
MAX_OWN_SIDE = 224  # of a user's pictures, which keep their size up to here
CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
TINY_IMAGENET_CLASSES = (
    *("african_elephant", "alp", "bullfrog", "convertible", "egyptian_cat"),
    *("golden_retriever", "goldfish", "jellyfish", "king_penguin", "ladybug"),
    *("lesser_panda", "lion", "monarch_butterfly", "orange", "pizza"),
    *("school_bus", "seashore", "suspension_bridge", "tarantula", "teapot"),
)
IMAGENETTE_CLASSES = (
    *("cassette_player", "chain_saw", "church", "english_springer", "french_horn"),
    *("garbage_truck", "gas_pump", "golf_ball", "parachute", "tench"),
)
IMAGENET_GROUPS = (
    *("bird", "bridge-or-tower", "car", "cat", "dog"),
    *("fruit-or-vegetable", "hoofed", "insect", "primate", "water-scene"),
)


def class_labels(part: Path, folders: list[str], classes: tuple[str, ...]) -> dict[str, int]:
    """The labels of class folders that must be named after all of `classes`. Raises TradeoffError if not."""
    for odd in sorted(set(folders) ^ set(classes)):
        raise TradeoffError(
            f"'{part}' {'lacks the class' if odd in classes else 'holds the unknown'} '{odd}'"
        )
    return {name: label for label, name in enumerate(classes)}


@dataclass(frozen=True, slots=True)
class PictureSet:
    """A registered folder of pictures: its part to test on, the shape of its images, its classes.

    `labels` gives the label of every class folder of a part.
    """

    test_folder: str
    fit: Fit
    classes: Callable[[], tuple[str, ...]]
    labels: Callable[[Path, list[str]], dict[str, int]]


def _with_classes(test_folder: str, side: int, classes: tuple[str, ...]) -> PictureSet:
    return PictureSet(
        test_folder,
        Fit(side, side, 3),
        lambda: classes,
        lambda part, folders: class_labels(part, folders, classes),
    )


PICTURE_SETS = {
    # 50,000 to train on, of which 5,000 validate, and 10,000 to test on
    "cifar10": _with_classes("test", 32, CIFAR10_CLASSES),
    # 10,000 to train on, of which 1,000 validate, and 1,000 to test on; the grey ones turn RGB
    "tiny-imagenet-20": _with_classes("val", 64, TINY_IMAGENET_CLASSES),
    # Imagenette: 9,469 to train on, of which 947 validate, and 3,925 to test on
    "imagenette-128": _with_classes("val", 128, IMAGENETTE_CLASSES),
    # 26,500 to train on, of which 2,650 validate, and 2,650 to test on: 51 classes of ImageNet in ten groups
    "imagenet-10-groups": _with_classes("val", 32, IMAGENET_GROUPS),
    # as its networks see it: shorter side 256, bilinear, then the middle 224 x 224
    "imagenet": PictureSet("val", IMAGENET_FIT, imagenet_classes, imagenet_labels),
}


def load_picture_set(name: str, split: Split, progress: Share | None) -> ImageDataset:
    """A split of a registered folder of pictures; only the part that holds it is looked at."""
    chosen = PICTURE_SETS[name]
    part = _part(data_folder() / name, (chosen.test_folder,) if split is Split.TEST else ("train",))
    listing = list_pictures(part, chosen.labels(part, class_folders(part)))
    images, labels = _read(
        cache_folder() / name, listing, split, f"{listing.digest}-{chosen.fit}", lambda: chosen.fit, progress
    )
    return ImageDataset(name, images, labels, chosen.classes())


def picture_set_present(name: str) -> bool:
    """Whether a registered folder of pictures has what the test split is read from."""
    return os.path.isdir(data_folder() / name / PICTURE_SETS[name].test_folder)


def is_folder_name(name: str) -> bool:
    """Whether the name of a data set is the path of a folder: it has a separator, or there is such a folder."""
    return "/" in name or os.sep in name or os.path.isdir(name)


def own_folder_present(name: str) -> bool:
    """Whether a user's folder has a part to train on and one to test on."""
    return os.path.isdir(os.path.join(name, "train")) and any(
        os.path.isdir(os.path.join(name, part)) for part in OWN_TEST_FOLDERS
    )


def load_own_folder(name: str, split: Split, progress: Share | None) -> ImageDataset:
    """A user's folder of pictures, by its path; its classes are the folders' names.

    Pictures of one square size, at most 224 a side, keep it; else their shorter side is scaled to 224 and their
    middle cut. They are grey (C = 1) if all are, and RGB if not. Raises TradeoffError for one class alone, for
    a class that only one part has, for a class with one picture to train on, and for pictures of 3 x 3 or fewer.
    """
    root = Path(name)
    if not is_folder(root):
        raise TradeoffError(f"there is no folder '{name}'")
    parts = [_part(root, ("train",)), _part(root, OWN_TEST_FOLDERS)]
    folders, other_folders = (class_folders(part) for part in parts)
    if len(folders) < 2:
        raise TradeoffError(f"'{parts[0]}' holds {len(folders)} class folder(s): at least two are needed")
    for odd in sorted(set(folders) ^ set(other_folders)):
        has, lacks = parts if odd in folders else parts[::-1]
        raise TradeoffError(f"the class '{odd}' is in '{has}' and not in '{lacks}'")
    labels = {folder: label for label, folder in enumerate(folders)}
    listings = [list_pictures(part, labels) for part in parts]
    key = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    images, numbers = _read(
        cache_folder() / f"folder-{key}",
        listings[split is Split.TEST],
        split,
        "-".join(listing.digest for listing in listings),  # either part's pictures decide the shape
        lambda: _own_fit(listings),
        progress,
    )
    classes = tuple(os.fsencode(folder).decode(errors="replace") for folder in folders)
    said = "; ".join(listing.said for listing in listings if listing.said)
    return ImageDataset(name, images, numbers, classes, said)


def _own_fit(listings: list[Listing]) -> Fit:
    """The shape for a user's pictures, from their headers."""
    sizes: set[tuple[int, int]] = set()
    all_grey = True
    for listing in listings:
        for file in listing.files:
            if len(sizes) < 2 or all_grey:
                size, grey = picture_header(listing.folder / file, f"{listing.folder.name}/{file}")
                sizes.add(size)
                all_grey = all_grey and grey
    width, height = sizes.pop() if len(sizes) == 1 else (0, 1)
    if width == height < LEAST_OWN_SIDE:
        raise TradeoffError(
            f"the pictures in '{listings[0].folder.parent}' are {width} x {height}: at least {LEAST_OWN_SIDE} a side are needed"
        )
    side = width if width == height <= MAX_OWN_SIDE else MAX_OWN_SIDE
    return Fit(side, side, 1 if all_grey else 3)


def _part(root: Path, names: tuple[str, ...]) -> Path:
    """The first folder of these names that there is. Raises TradeoffError if there is none."""
    for name in names:
        if is_folder(root / name):
            return root / name
    wanted = "' or '".join(names)
    raise TradeoffError(f"'{root}' has no folder '{wanted}': {LAYOUT}")


def _read(
    folder: Path,
    listing: Listing,
    split: Split,
    made_from: str,
    fit: Callable[[], Fit],
    progress: Share | None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A split's images, memory-mapped, and labels. Train's rows come shuffled, its validation images last."""
    held_out = max(round(len(listing.files) / 10), len(np.unique(listing.labels)))
    fingerprint = hashlib.sha256(f"{VERSION} {made_from}".encode()).hexdigest()[:16]
    part = "test" if split is Split.TEST else "train"

    def plan() -> Plan:
        if split is Split.TEST:
            return Plan(listing.folder, listing.files, listing.labels, fit())
        order = _shuffled(listing, held_out)
        return Plan(listing.folder, [listing.files[row] for row in order], listing.labels[order], fit())

    images, labels = cached(Place(folder, part, fingerprint), plan, progress)
    if split is Split.TEST:
        return images, labels
    rows = slice(0, -held_out) if split is Split.TRAIN else slice(-held_out, None)
    return images[rows], labels[rows]


def _shuffled(listing: Listing, held_out: int) -> NDArray[np.int64]:
    """The order of train's rows. Raises TradeoffError if a class is too small to be split."""
    labels, counts = np.unique(listing.labels, return_counts=True)
    if counts.min() < 2:
        file = listing.files[int(np.searchsorted(listing.labels, labels[counts.argmin()]))]
        raise TradeoffError(
            f"'{listing.folder / os.path.dirname(file)}' holds one picture: at least two are needed, because a tenth "
            "is held out for validation"
        )
    return np.concatenate(hold_out(listing.labels, held_out))
