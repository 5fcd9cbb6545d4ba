import os
from pathlib import Path

import pytest

from tradeoff_core.datasets import listing
from tradeoff_core.datasets.listing import class_folders, list_pictures


def put(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"x")


def test_pictures_are_listed_by_label_and_name(tmp_path):
    put(tmp_path, "cat/b.png", "cat/a.JPG", "ant/z.webp", "dog/1.jpeg", "notes.txt")
    put(tmp_path, "cat/notes.txt", "cat/.hidden.png", "cat/._a.JPG", ".git/x.png", "dog/deeper/2.png")
    os.mkfifo(tmp_path / "dog" / "pipe.png")  # which one would wait for forever
    (tmp_path / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "dog" / "circle.png").symlink_to("circle.png")  # which leads nowhere either
    (tmp_path / "circle").symlink_to("circle")
    assert class_folders(tmp_path) == ["ant", "cat", "dog"]
    found = list_pictures(tmp_path, {"dog": 0, "cat": 5, "ant": 1})
    assert found.files == ["dog/1.jpeg", "ant/z.webp", "cat/a.JPG", "cat/b.png"]
    assert found.labels.tolist() == [0, 1, 5, 5]


def test_the_digest_tells_names_sizes_times_and_labels_apart(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    digests = [list_pictures(tmp_path, {"a": 0, "b": 1}).digest]
    assert list_pictures(tmp_path, {"b": 1, "a": 0}).digest == digests[0]
    digests.append(list_pictures(tmp_path, {"a": 1, "b": 0}).digest)
    os.utime(tmp_path / "a" / "1.png", ns=(0, 1))
    digests.append(list_pictures(tmp_path, {"a": 0, "b": 1}).digest)
    (tmp_path / "a" / "1.png").write_bytes(b"xy")
    os.utime(tmp_path / "a" / "1.png", ns=(0, 1))
    digests.append(list_pictures(tmp_path, {"a": 0, "b": 1}).digest)
    (tmp_path / "a" / "1.png").rename(tmp_path / "a" / "2.png")
    digests.append(list_pictures(tmp_path, {"a": 0, "b": 1}).digest)
    assert len(set(digests)) == 5


def test_an_empty_class_is_named(tmp_path, refused):
    put(tmp_path, "a/1.png", "b/notes.txt")
    with refused(r"b' holds no picture \(.bmp, .gif, .jpeg, .jpg, .png, .webp\)"):
        list_pictures(tmp_path, {"a": 0, "b": 1})
    assert list_pictures(tmp_path, {"a": 0, "b": 1}, may_be_empty=True).files == ["a/1.png"]


class Endless:
    """A directory without an end, whose files nobody may ask about."""

    def __init__(self) -> None:
        self.given = 0

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self):
        return self

    def __next__(self):
        self.given += 1

        class Entry:
            name = f"{self.given}.txt"

            def is_file(self) -> bool:
                return True

        return Entry()


def test_a_vast_folder_is_refused_while_it_is_listed(tmp_path, monkeypatch, refused):
    endless = Endless()
    monkeypatch.setattr(listing, "MAX_FILES", 1000)
    monkeypatch.setattr(os, "scandir", lambda _: endless)
    with refused("more than 1,000 images or other files"):
        list_pictures(tmp_path, {"a": 0})
    assert endless.given == 1001
    with refused("more than 1,000 images or other files"):
        class_folders(tmp_path)
    assert endless.given == 2002


def test_files_are_counted_over_all_classes(tmp_path, refused):
    put(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.txt")
    assert len(list_pictures(tmp_path, {"a": 0, "b": 1}, most=4).files) == 3
    with refused("more than 3 images or other files"):
        list_pictures(tmp_path, {"a": 0, "b": 1}, most=3)


def test_a_folder_that_must_not_be_read_is_named(tmp_path, monkeypatch, refused):
    def denied(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    put(tmp_path, "a/1.png")
    with refused("none' cannot be read: No such file"):
        class_folders(tmp_path / "none")
    with refused("1.png' cannot be read: Not a directory"):
        class_folders(tmp_path / "a" / "1.png")
    monkeypatch.setattr(os, "scandir", denied)
    with refused("a' cannot be read: Permission denied"):
        list_pictures(tmp_path, {"a": 0})


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_cannot_be_is_no_folder(name):
    assert not listing.is_folder(Path(name))
