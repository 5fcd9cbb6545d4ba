"""ImageNet's 1,000 classes, and which folder of pictures is which."""

import os
import re
from functools import cache
from pathlib import Path

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import ASSETS
from tradeoff_core.datasets.listing import LAYOUT, class_folders
from tradeoff_core.datasets.reading import Fit

IMAGENET_FIT = Fit(224, 224, 3, shorter=256)  # as its networks see it: bilinear, then the middle


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The names of the classes, by index."""
    return tuple((ASSETS / "data" / "imagenet-classes.txt").read_text(encoding="utf-8").splitlines())


def imagenet_labels(part: Path, folders: list[str]) -> dict[str, int]:
    """The labels of class folders named by index, by name, or by WordNet id.

    All 1,000 WordNet ids, sorted, are classes 0 to 999, as everybody has them; a few of the ids tell nothing,
    because no file here says which id is which class. Raises TradeoffError for those and for unknown names.
    """
    if not folders:
        raise TradeoffError(f"'{part}' holds no class folder: {LAYOUT}")
    if all(map(_is_wordnet_id, folders)):
        label_of = _labels_by_id(part)
        return {folder: label_of[folder] for folder in folders}
    labels: dict[str, int] = {}
    for folder in folders:
        label = _label_by_name(folder)
        if label is None:
            raise TradeoffError(
                f"'{part / folder}' is no class of ImageNet: name it after one, or by its index, 0 to 999"
            )
        labels[folder] = label
    return labels


def _labels_by_id(part: Path) -> dict[str, int]:
    """From a part and those beside it, since a few pictures to test on may not be of every class."""
    beside = [part.parent / name for name in ("train", "val", "test")]
    parts = [part, *(other for other in beside if os.path.isdir(other))]
    ids = {folder for part in parts for folder in class_folders(part) if _is_wordnet_id(folder)}
    if len(ids) != len(imagenet_classes()):
        raise TradeoffError(
            f"'{part}' holds {len(ids):,} folders named by WordNet id, which tell their class only where all 1,000 "
            "are there: name the folders after the classes, or by index, 0 to 999"
        )
    return {name: label for label, name in enumerate(sorted(ids))}


def _is_wordnet_id(folder: str) -> bool:
    return re.fullmatch(r"n\d{8}", folder) is not None


def _label_by_name(folder: str) -> int | None:
    """By index, by name, or by name in small letters."""
    exact, small = _names()
    name = folder.replace("_", " ")
    if name.isdecimal():
        return int(name) if int(name) < len(exact) else None
    return exact.get(name, small.get(name.casefold()))


@cache
def _names() -> tuple[dict[str, int], dict[str, int]]:
    """The labels by name, and by name in small letters, save where two classes share that: Cardigan, cardigan."""
    exact = {name: label for label, name in enumerate(imagenet_classes())}
    small = [name.casefold() for name in exact]
    return exact, {name: label for label, name in enumerate(small) if small.count(name) == 1}
