"""Files of a folder that are not read are counted, named, and said why."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tradeoff_core.datasets import Split, load_dataset, load_images
from tradeoff_core.datasets.listing import list_pictures


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes with three pictures each to train on, and to test on three that are read and eight that are not."""
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path / "data"))
    root = tmp_path / "pets"
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for number in range(3):
                picture.save(root / part / name / f"{number}.png")
    test = root / "test"
    (test / "cat" / "more" / "still").mkdir(parents=True)
    for file in ("cat/more/a.png", "cat/more/still/b.png", "cat/c.tif", "dog/d.jfif", "dog/e.tif", "f.png"):
        (test / file).write_bytes(b"")
    os.symlink("g.png", test / "dog" / "g.png")  # leads to itself
    os.symlink("no-such-folder", test / "fox")  # as a class's folder would
    (test / "cat" / ".note").write_bytes(b"")
    return root


SAID = (
    "8 of 14 files in '{}' are left out: 2 in folders within a class's folder ('cat/more'), "
    "2 that end in .tif ('cat/c.tif'), "
)


def test_pictures_left_out_are_counted_and_named_by_reason(pictures):
    found = list_pictures(pictures / "test", {"cat": 0, "dog": 1})
    assert found.left_out == {
        "in folders within a class's folder": 2,
        "that end in .tif": 2,
        "that end in .jfif": 1,
        "that lead to no file": 1,
        "beside the classes' folders": 2,
    }
    assert found.said.startswith(SAID.format(pictures / "test"))
    assert "2 beside the classes' folders ('f.png')" in found.said
    assert list_pictures(pictures / "train", {"cat": 0, "dog": 1}).said == ""


def test_pictures_left_out_are_said_of_the_data_set_and_of_a_part_of_it(pictures):
    data = load_dataset(str(pictures), Split.TEST)
    assert data.left_out.startswith(SAID.format(pictures / "test"))
    assert data.spread(2).left_out == data.left_out
    assert load_images(pictures / "test", ("cat", "dog"), (1, 8, 8)).left_out == data.left_out
