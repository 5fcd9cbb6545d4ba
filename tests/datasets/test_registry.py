import tarfile

import numpy as np
import pytest

from tradeoff_core import datasets
from tradeoff_core.datasets import (
    DATASETS,
    IMAGENETTE_CLASSES,
    Split,
    available,
    how_to_get,
    known,
    load_dataset,
    prepare,
    short_name,
    target_of,
)
from tradeoff_core.datasets.archives import unpack_data_set

MNIST = (1, 28, 28)


def test_the_bundled_digits_are_split_as_promised():
    splits = {split: load_dataset("mnist-5k", split) for split in Split}
    for split, per_class in ((Split.TRAIN, 360), (Split.VALIDATION, 40), (Split.TEST, 100)):
        assert np.bincount(splits[split].labels).tolist() == [per_class] * 10
        assert splits[split].image_shape == MNIST
        assert splits[split].images.max() == 255
    everything = [image.tobytes() for data in splits.values() for image in data.images]
    assert len(set(everything)) == 5000  # no image lies in two splits


@pytest.mark.usefixtures("data_home")
def test_unknown_and_absent_data_sets_are_refused(refused):
    with refused("unknown data set 'svhn': choose one of mnist-5k, .*, or the path of a folder of pictures"):
        load_dataset("svhn", Split.TEST)
    with refused("fashion-mnist is not in.*TRADEOFF_DATA"):
        load_dataset("fashion-mnist", Split.TEST)
    with refused("'mnist-5k' cannot be downloaded: choose one of mnist, fashion-mnist, cifar10"):
        datasets.download("mnist-5k")


@pytest.mark.usefixtures("data_home")
def test_what_is_absent_tells_how_to_get_it(refused):
    there = {name for name in DATASETS if available(name)}
    assert there == {"mnist-5k", "cifar10-samples", "imagenet-samples"}
    for name in set(DATASETS) - there:
        sentence = how_to_get(name)
        assert sentence.startswith(f"{name} is not in '")
        assert "TRADEOFF_DATA" in sentence
        for split in Split:
            with refused(f"^{name} is not in "):
                load_dataset(name, split)
        with refused("is not in|unknown"):
            load_dataset(name, Split.TEST)
    assert "python -m tradeoff_core download cifar10" in how_to_get("cifar10")
    assert "python -m tradeoff_core.tools.unpack cifar10-jpeg.tar.xz" in how_to_get("cifar10")
    assert "python -m tradeoff_core.tools.unpack tiny-imagenet-20.tar.xz" in how_to_get("tiny-imagenet-20")
    assert "tradeoff_core.tools.unpack imagenette-128.tar" in how_to_get("imagenette-128")
    assert "tradeoff_core.tools.unpack imagenet-10-groups.tar.xz" in how_to_get("imagenet-10-groups")
    assert "imagenet/val/<class>" in how_to_get("imagenet")
    with refused("unknown data set 'svhn'"):
        how_to_get("svhn")
    assert not available("svhn")


def test_the_class_that_is_measured_without_poison_is_the_papers_or_the_data_sets_own(refused):
    assert IMAGENETTE_CLASSES[target_of("imagenette-128")] == "church"
    assert target_of("mnist-5k") == target_of("cifar10") == target_of("imagenet-10-groups") == 7
    with refused("there is no folder '/not/there'"):
        target_of("/not/there")


def test_a_folder_is_known_by_its_path(tmp_path, monkeypatch, data_home, lay):
    monkeypatch.chdir(tmp_path)
    assert known("some/where")  # a model may have been trained where that was
    assert not known("pets")
    assert not available("some/where")
    assert how_to_get("some/where").startswith(
        "there is no data set in the folder 'some/where': lay the pictures out"
    )
    lay(tmp_path / "pets" / "train", ("cat", "dog"), 3)
    assert known("pets")
    assert not available("pets")
    lay(tmp_path / "pets" / "val", ("cat", "dog"), 1)
    assert available("pets")
    assert list(data_home.iterdir()) == []  # to ask decodes nothing


@pytest.mark.parametrize(
    ("name", "short"),
    [("cifar10", "cifar10"), ("/a/b/My pets (2)", "My-pets-2-"), ("../pets/", "pets"), ("/", "folder")],
)
def test_a_short_name_can_be_a_files(name, short):
    assert short_name(name) == short


def test_what_is_no_folder_of_pictures_needs_no_preparing(refused):
    shares: list[float] = []
    prepare("mnist-5k", shares.append)
    assert shares == []
    with refused("unknown data set"):
        prepare("svhn")


def test_an_archive_is_unpacked_to_where_its_set_is_read(data_home, lay, tmp_path):
    from tradeoff_core.datasets.folders import CIFAR10_CLASSES

    lay(tmp_path / "cifar10" / "train", CIFAR10_CLASSES, 10, side=32)
    lay(tmp_path / "cifar10" / "test", CIFAR10_CLASSES, 1, side=32)
    with tarfile.open(tmp_path / "cifar10-jpeg.tar.xz", "w:xz") as tar:
        for part in ("train", "test"):
            tar.add(tmp_path / "cifar10" / part, part)
    assert not available("cifar10")
    unpack_data_set(tmp_path / "cifar10-jpeg.tar.xz")
    assert available("cifar10")
    shares: list[float] = []
    prepare("cifar10", shares.append)
    assert (shares[0] <= 0.5, shares[-1]) == (True, 1)
    assert [len(load_dataset("cifar10", split)) for split in Split] == [90, 10, 10]
    assert (data_home / ".cache" / "cifar10").is_dir()
