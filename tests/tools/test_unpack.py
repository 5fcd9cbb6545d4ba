import io
import shutil
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tradeoff_core.tools import unpack


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Path:
    """A small archive of the right name, and a data folder that is not there yet."""
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path / "data"))
    path = tmp_path / "tiny-imagenet-20.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for name in ("train/lion/0000.jpg", "val/lion/0000.jpg"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"lion"))
    return path


def test_an_archive_goes_where_its_data_set_is_looked_for(archive, tmp_path, capsys):
    target = tmp_path / "data" / "tiny-imagenet-20"
    assert unpack.main([str(archive)]) == 0
    assert sorted(str(file.relative_to(target)) for file in target.rglob("*.jpg")) == [
        "train/lion/0000.jpg",
        "val/lion/0000.jpg",
    ]
    assert capsys.readouterr().out == f"tiny-imagenet-20 is in {target}\n"
    (target / "mine").touch()
    assert unpack.main([str(archive)]) == 0
    assert (target / "mine").exists()
    assert capsys.readouterr().out == f"tiny-imagenet-20 is in {target} already\n"


def test_an_archive_whose_pictures_lie_in_one_folder_becomes_that_folder(archive, tmp_path):
    with tarfile.open(archive) as inner:
        inner.extractall(tmp_path / "imagenette-128", filter="data")
    with tarfile.open(tmp_path / "imagenette-128.tar", "w") as tar:
        tar.add(tmp_path / "imagenette-128", "imagenette-128")
    assert unpack.main([str(tmp_path / "imagenette-128.tar")]) == 0
    target = tmp_path / "data" / "imagenette-128"
    assert sorted(str(file.relative_to(target)) for file in target.rglob("*.jpg")) == [
        "train/lion/0000.jpg",
        "val/lion/0000.jpg",
    ]
    assert [folder.name for folder in (tmp_path / "data").iterdir()] == ["imagenette-128"]


def complaint(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert unpack.main([str(argument) for argument in arguments]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    return error


def test_a_full_stdout_is_one_line_that_names_it(archive, capsys, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert unpack.main([str(archive)]) == 1
    assert capsys.readouterr().err == "error: [Errno 28] No space left on device: 'stdout'\n"


def test_what_cannot_be_unpacked_gets_one_sentence(archive, tmp_path, capsys, monkeypatch):
    assert "error: there is no archive" in complaint(capsys, tmp_path / "cifar10-jpeg.tar.xz")
    assert "there is no archive" in complaint(capsys, tmp_path)
    other = archive.rename(tmp_path / "cats.tar.xz")
    assert "'cats.tar.xz' is no archive of a data set: give cifar10-jpeg.tar.xz or tiny" in complaint(
        capsys, other
    )
    text = tmp_path / "cifar10-jpeg.tar.xz"
    text.write_text("no archive")
    assert "is no tar archive, or is damaged" in complaint(capsys, text)
    with tarfile.open(text, "w:xz") as tar:
        tar.addfile(tarfile.TarInfo("cats.txt"))
    assert "has no folder 'train' in it: it is another archive" in complaint(capsys, text)
    assert list((tmp_path / "data").iterdir()) == []
    (tmp_path / "data" / "cifar10").mkdir()
    assert "is there and holds no data set: move it away" in complaint(capsys, text)
    (tmp_path / "data" / "cifar10").rmdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10_000_000))
    assert "cifar10 needs 250 MB in" in complaint(capsys, text)
    assert list((tmp_path / "data").iterdir()) == []
