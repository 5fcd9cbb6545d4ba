import pytest

from tradeoff_core.datasets.imagenet import imagenet_classes, imagenet_labels


def test_the_classes_are_those_of_torchvision():
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    assert imagenet_classes() == tuple(_IMAGENET_CATEGORIES)
    assert (imagenet_classes()[0], imagenet_classes()[999]) == ("tench", "toilet tissue")


def test_folders_are_named_by_class_or_index(tmp_path):
    folders = ["tench", "King_Penguin", "great white shark", "7", "042", "Cardigan", "cardigan"]
    assert list(imagenet_labels(tmp_path, folders).values()) == [0, 145, 2, 7, 42, 264, 474]
    every = imagenet_labels(
        tmp_path, [name.replace(" ", "_") for name in imagenet_classes() if "_" not in name]
    )
    assert list(every.values()) == list(range(1000))


@pytest.mark.parametrize("name", ["hippogriff", "1000", "-1", "CARDIGAN", "n01440764x", "²"])
def test_other_names_are_refused(name, tmp_path, refused):
    with refused(f"{name}' is no class of ImageNet: name it after one, or by its index"):
        imagenet_labels(tmp_path, ["tench", name])


def test_wordnet_ids_count_where_all_are_there(tmp_path, refused):
    ids = [f"n{40_000_000 - 7 * label:08}" for label in range(1000)]  # not in order
    for part, some in (("train", ids), ("val", ids[10:12])):
        for name in some:
            (tmp_path / part / name).mkdir(parents=True)
    # sorted, the last is the first
    assert imagenet_labels(tmp_path / "val", ids[10:12]) == {ids[10]: 989, ids[11]: 988}
    (tmp_path / "train" / ids[500]).rmdir()
    with refused(
        "holds 999 folders named by WordNet id, which tell their class only where all 1,000 are there"
    ):
        imagenet_labels(tmp_path / "val", ids[10:12])
    with refused("val' holds no class folder"):
        imagenet_labels(tmp_path / "val", [])
