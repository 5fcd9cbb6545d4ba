import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split

from tradeoff_core import datasets
from tradeoff_core.datasets import Split, cache, folders, load_dataset, prepare
from tradeoff_core.datasets.folders import (
    CIFAR10_CLASSES,
    IMAGENET_GROUPS,
    IMAGENETTE_CLASSES,
    TINY_IMAGENET_CLASSES,
)

THREE = ("ant", "bee", "cat")


def numbers(data: datasets.ImageDataset) -> list[tuple[int, int]]:
    """Which class and which picture of it each row is, as the pixels tell."""
    return [(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in data.images]


def test_cifar10_pictures_are_split_as_promised(data_home, lay):
    lay(data_home / "cifar10" / "train", CIFAR10_CLASSES, 20, side=32)
    lay(data_home / "cifar10" / "test", CIFAR10_CLASSES, 2, side=32)
    splits = {split: load_dataset("cifar10", split) for split in Split}
    for split, per_class in ((Split.TRAIN, 18), (Split.VALIDATION, 2), (Split.TEST, 2)):
        data = splits[split]
        assert np.bincount(data.labels).tolist() == [per_class] * 10
        assert data.image_shape == (3, 32, 32)
        assert data.classes[7] == "horse"
        assert (data.images == data.images[:, :1, :1]).all()
        assert data.images[:, 0, 0, 0].tolist() == data.labels.tolist()
    # the rows of sklearn's own split of the pictures in the order of their names
    everything = [(label, number) for label in range(10) for number in range(20)]
    train, validation = train_test_split(
        everything, test_size=20, stratify=[label for label, _ in everything], random_state=0
    )
    assert numbers(splits[Split.TRAIN]) == train
    assert numbers(splits[Split.VALIDATION]) == validation
    assert numbers(splits[Split.TEST]) == [(label, number) for label in range(10) for number in range(2)]


def test_classes_are_in_the_standard_order():
    assert sorted(CIFAR10_CLASSES) == list(CIFAR10_CLASSES)
    assert sorted(TINY_IMAGENET_CLASSES) == list(TINY_IMAGENET_CLASSES)
    assert (len(CIFAR10_CLASSES), len(TINY_IMAGENET_CLASSES)) == (10, 20)
    for classes in (IMAGENETTE_CLASSES, IMAGENET_GROUPS):
        assert sorted(set(classes)) == list(classes)
        assert len(classes) == 10


@pytest.mark.parametrize(
    ("name", "classes", "side"),
    [("imagenette-128", IMAGENETTE_CLASSES, 128), ("imagenet-10-groups", IMAGENET_GROUPS, 32)],
)
def test_photographs_of_imagenet_keep_their_size_and_validate_on_a_tenth(name, classes, side, data_home, lay):
    lay(data_home / name / "train", classes, 10, side=side)
    lay(data_home / name / "val", classes, 3, side=side)
    splits = [load_dataset(name, split) for split in Split]
    assert [np.bincount(data.labels).tolist() for data in splits] == [[9] * 10, [1] * 10, [3] * 10]
    for data in splits:
        assert data.image_shape == (3, side, side)
        assert data.classes == classes
        assert data.images[:, 0, 0, 0].tolist() == data.labels.tolist()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("imagenette-128", (8522, 947, 3925)), ("imagenet-10-groups", (23850, 2650, 2650))],
)
def test_the_pictures_themselves_are_as_many_as_promised(name, sizes):
    if not datasets.has_pictures(name):
        pytest.skip(datasets.how_to_get(name))
    assert tuple(len(load_dataset(name, split)) for split in Split) == sizes


def test_a_registered_set_must_have_its_classes(data_home, lay, refused):
    lay(data_home / "cifar10" / "test", CIFAR10_CLASSES[:-1], 1, side=32)
    with refused("test' lacks the class 'truck'"):
        load_dataset("cifar10", Split.TEST)
    lay(data_home / "cifar10" / "test", (*CIFAR10_CLASSES, "tram"), 1, side=32)
    with refused("test' holds the unknown 'tram'"):
        load_dataset("cifar10", Split.TEST)
    shutil.rmtree(data_home / "cifar10" / "test" / "tram")
    assert len(load_dataset("cifar10", Split.TEST)) == 10
    with refused("cifar10' has no folder 'train'"):
        load_dataset("cifar10", Split.VALIDATION)


def test_tiny_imagenet_is_tested_on_its_val_and_grey_turns_rgb(data_home, lay):
    lay(data_home / "tiny-imagenet-20" / "train", TINY_IMAGENET_CLASSES, 10, side=64)
    val = lay(data_home / "tiny-imagenet-20" / "val", TINY_IMAGENET_CLASSES, 2, side=64)
    Image.new("L", (64, 64), 99).save(val / "teapot" / "0001.png")
    counts = {split.value: np.bincount(load_dataset("tiny-imagenet-20", split).labels) for split in Split}
    assert {name: set(count.tolist()) for name, count in counts.items()} == {
        "train": {9},
        "validation": {1},
        "test": {2},
    }
    test = load_dataset("tiny-imagenet-20", Split.TEST)
    assert test.image_shape == (3, 64, 64)
    assert (test.images[-1] == 99).all()


def test_imagenet_is_read_without_its_training_part(data_home, refused):
    for folder, shade in (("tench", 10), ("999", 90), ("great_white_shark", 20)):
        (data_home / "imagenet" / "val" / folder).mkdir(parents=True)
        picture = Image.new("RGB", (300, 600), (0, 0, 255))
        picture.paste((shade, shade, shade), (0, 100, 300, 500))  # the middle, and more
        picture.save(data_home / "imagenet" / "val" / folder / "one.png")
    data = load_dataset("imagenet", Split.TEST)
    assert data.image_shape == (3, 224, 224)
    assert data.labels.tolist() == [0, 2, 999]
    assert [data.images[row].max() for row in range(3)] == [10, 20, 90]
    assert data.classes[2] == "great white shark"
    with refused("imagenet' has no folder 'train'"):
        load_dataset("imagenet", Split.TRAIN)


@pytest.fixture
def own(tmp_path, data_home, lay) -> Path:  # noqa: ARG001  # pictures are kept in data_home
    """A user's folder: three classes, 20 pictures each to train on and 2 to test on, 4 x 4."""
    lay(tmp_path / "my pictures" / "train", THREE, 20)
    lay(tmp_path / "my pictures" / "val", THREE, 2)
    return tmp_path / "my pictures"


def test_a_users_folder_is_a_data_set(own):
    splits = {split: load_dataset(str(own), split) for split in Split}
    assert {split.value: np.bincount(data.labels).tolist() for split, data in splits.items()} == {
        "train": [18] * 3,
        "validation": [2] * 3,
        "test": [2] * 3,
    }
    for data in splits.values():
        assert (data.image_shape, data.classes, data.name) == ((3, 4, 4), THREE, str(own))
        assert data.images[:, 0, 0, 0].tolist() == data.labels.tolist()
    together = numbers(splits[Split.TRAIN]) + numbers(splits[Split.VALIDATION])
    assert sorted(together) == [(label, number) for label in range(3) for number in range(20)]


def test_test_comes_before_val(own, lay):
    lay(own / "test", THREE, 5)
    assert len(load_dataset(str(own), Split.TEST)) == 15


def test_its_path_may_be_relative(own, monkeypatch):
    monkeypatch.chdir(own.parent)
    assert datasets.known("my pictures")
    assert len(load_dataset("my pictures", Split.TEST)) == 6
    assert len(load_dataset("./my pictures/", Split.TEST)) == 6
    # the three names share what was decoded
    assert len(load_dataset(str(own), Split.TEST)) == 6
    assert len(list((own.parent / "home" / ".cache").iterdir())) == 1


@pytest.mark.parametrize(
    ("sizes", "side"),
    [
        ({(28, 28)}, 28),
        ({(224, 224)}, 224),
        ({(225, 225)}, 224),
        ({(40, 40), (41, 41)}, 224),
        ({(30, 20)}, 224),
    ],
)
def test_pictures_of_one_square_size_keep_it(sizes, side, own):
    for part in ("train", "val"):
        for number, file in enumerate(sorted((own / part).rglob("*.png"))):
            Image.new("RGB", sorted(sizes)[number % len(sizes)]).save(file)
    assert load_dataset(str(own), Split.TEST).image_shape == (3, side, side)
    assert load_dataset(str(own), Split.TRAIN).image_shape == (3, side, side)


def test_both_parts_decide_the_size(own):
    assert load_dataset(str(own), Split.TEST).image_shape == (3, 4, 4)
    Image.new("RGB", (5, 5)).save(own / "train" / "bee" / "0003.png")
    load_dataset.cache_clear()
    assert load_dataset(str(own), Split.TEST).image_shape == (3, 224, 224)


def test_a_folder_of_grey_pictures_is_grey(own, lay):
    for part, count in (("train", 20), ("val", 2)):
        lay(own / part, THREE, count, mode="L")
    data = load_dataset(str(own), Split.TRAIN)
    assert data.image_shape == (1, 4, 4)
    assert np.array_equal(data.images[:, 2, 2, 0], data.labels)
    Image.new("RGB", (4, 4), (200, 100, 50)).save(own / "val" / "cat" / "0001.png")
    load_dataset.cache_clear()
    test = load_dataset(str(own), Split.TEST)
    assert test.images[[0, 5], 0, 0].tolist() == [[0, 0, 0], [200, 100, 50]]


def test_a_changed_picture_is_decoded_anew(own):
    before = load_dataset(str(own), Split.TEST)
    Image.new("RGB", (4, 4), (1, 2, 3)).save(own / "val" / "ant" / "0000.png")
    os.utime(own / "val" / "ant" / "0000.png", (0, 0))
    load_dataset.cache_clear()
    after = load_dataset(str(own), Split.TEST)
    assert after.images[0, 0, 0].tolist() == [1, 2, 3]
    assert before.images[0, 0, 0].tolist() == [0, 0, 200]  # whoever has it open keeps what it had
    assert np.array_equal(after.images[1:], before.images[1:])


def test_the_second_opening_reads_no_picture(own, monkeypatch):
    shares: list[float] = []
    prepare(str(own), shares.append)
    assert shares[-1] == 1
    assert shares == sorted(shares)
    monkeypatch.setattr(cache, "read_picture_file", None)
    monkeypatch.setattr(folders, "picture_header", None)
    assert len(load_dataset(str(own), Split.VALIDATION)) == 6


def test_a_few_pictures_are_enough(own):
    for file in own.rglob("*.png"):
        if int(file.stem) >= 2:
            file.unlink()
    counts = [np.bincount(load_dataset(str(own), split).labels).tolist() for split in Split]
    assert counts == [[1, 1, 1], [1, 1, 1], [2, 2, 2]]


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def one_left(folder: Path) -> None:
    for file in sorted(folder.iterdir())[1:]:
        file.unlink()


def alone(root: Path) -> None:
    for part in ("train", "val"):
        for name in ("ant", "cat"):
            shutil.rmtree(root / part / name)


def shrink(root: Path) -> None:
    for file in root.rglob("*.png"):
        Image.new("RGB", (2, 2)).save(file)


def bomb(file: Path) -> None:
    Image.new("1", (9000, 9000)).save(file)


TROUBLE = {
    "no such folder": (shutil.rmtree, "^there is no folder '.*my pictures'"),
    "an empty folder": (
        lambda root: (shutil.rmtree(root), root.mkdir()),
        "has no folder 'train': lay the pictures",
    ),
    "nothing to test on": (lambda root: shutil.rmtree(root / "val"), "has no folder 'test' or 'val': lay"),
    "no class": (
        lambda root: (shutil.rmtree(root / "train"), (root / "train").mkdir()),
        r"train' holds 0 class folder\(s\): at least two",
    ),
    "one class": (alone, r"train' holds 1 class folder\(s\): at least two are needed"),
    "a class without a test": (
        lambda root: shutil.rmtree(root / "val" / "bee"),
        "the class 'bee' is in '.*train' and not in '.*val'",
    ),
    "a class to test alone": (
        lambda root: (root / "val" / "dog").mkdir(),
        "the class 'dog' is in '.*val' and not in '.*train'",
    ),
    "an empty class": (lambda root: empty(root / "train" / "bee"), "bee' holds no picture"),
    "a single picture": (
        lambda root: one_left(root / "train" / "bee"),
        "train/bee' holds one picture: at least two",
    ),
    "text": (
        lambda root: (root / "train" / "cat" / "0007.png").write_text("a cat"),
        "^train/cat/0007.png is not a picture that can be read",
    ),
    "truncated": (
        lambda root: os.truncate(root / "train" / "cat" / "0007.png", 45),
        "^train/cat/0007.png is not a picture that can be read",
    ),
    "empty file": (
        lambda root: os.truncate(root / "train" / "cat" / "0007.png", 0),
        "^train/cat/0007.png is not a picture|^train/cat/0007.png is empty",
    ),
    "tiny pictures": (shrink, "the pictures in '.*my pictures' are 2 x 2: at least 4 a side"),
    "an image bomb": (
        lambda root: bomb(root / "train" / "cat" / "0007.png"),
        "^train/cat/0007.png is 9000 x 9000: choose one of at most 8192 a side",
    ),
}


@pytest.mark.parametrize(("trouble", "named"), TROUBLE.values(), ids=TROUBLE)
def test_a_bad_folder_gets_one_sentence(trouble, named, own, data_home, refused):
    trouble(own)
    with refused(named):
        load_dataset(str(own), Split.TRAIN)
    assert list(data_home.rglob("*.np*")) == list(data_home.rglob("*.unfinished")) == []


def test_a_folder_that_must_not_be_read_gets_one_sentence(own, monkeypatch, refused):
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, refused("my pictures' cannot be read: Permission denied"):
        patch.setattr(Path, "stat", denied)
        load_dataset(str(own), Split.TRAIN)
    with monkeypatch.context() as patch, refused("train' cannot be read: Permission denied"):
        patch.setattr(os, "scandir", denied)
        load_dataset(str(own), Split.TRAIN)


def test_a_vast_folder_is_refused_before_anything_is_decoded(own, monkeypatch, refused):
    monkeypatch.setattr("tradeoff_core.datasets.listing.MAX_FILES", 59)
    monkeypatch.setattr(cache, "read_picture_file", None)
    monkeypatch.setattr(folders, "picture_header", None)
    with refused("train' holds more than 59 images or other files"):
        load_dataset(str(own), Split.TRAIN)
