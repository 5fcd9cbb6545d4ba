import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from tradeoff_core.datasets import archives, unpack

FILES = {
    "train/cat/0000.jpg": b"miau" * 1000,
    "train/dog/0000.jpg": bytes(range(256)) * 9,
    "val/cat/0000.jpg": b"m",
}


def archive(path: Path, mode: str = "w:xz", files: dict[str, bytes] = FILES, *odd: tarfile.TarInfo) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for entry in odd:
            tar.addfile(entry)
    return path


@pytest.mark.parametrize("mode", ["w:xz", "w:gz", "w:bz2", "w"])
def test_an_archive_is_unpacked(mode, tmp_path):
    shares: list[float] = []
    unpack(archive(tmp_path / "a.tar", mode), tmp_path / "deep" / "set", shares.append)
    found = {
        str(file.relative_to(tmp_path / "deep" / "set")): file.read_bytes()
        for file in (tmp_path / "deep" / "set").rglob("*.jpg")
    }
    assert found == FILES
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["set"]
    assert os.stat(tmp_path / "deep" / "set").st_mode & 0o755 == 0o755


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


OUTSIDE = {
    "a parent": special("../../evil", tarfile.REGTYPE),
    "a link out": special("train/link", tarfile.SYMTYPE, "../../../etc"),
    "an absolute link": special("train/link", tarfile.SYMTYPE, "/etc/passwd"),
    "a device": special("train/null", tarfile.CHRTYPE),
    "a hard link": special("train/hard", tarfile.LNKTYPE, "../../secret"),
}


@pytest.mark.parametrize("entry", OUTSIDE.values(), ids=OUTSIDE)
def test_nothing_is_written_outside(entry, tmp_path, refused):
    file = archive(tmp_path / "a.tar.xz", "w:xz", FILES, entry)
    with refused("a.tar.xz' would write outside its folder: it is not unpacked"):
        unpack(file, tmp_path / "data" / "set")
    assert list((tmp_path / "data").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_bad_archives_get_one_sentence(tmp_path, refused):
    whole = archive(tmp_path / "a.tar.xz").read_bytes()
    with refused("none' cannot be read: No such file"):
        unpack(tmp_path / "none", tmp_path / "data" / "set")
    for content in (
        b"",
        b"text" * 999,
        whole[:-40],
        whole[: len(whole) // 2],
        whole[:90] + bytes(60) + whole[150:],
    ):
        (tmp_path / "a.tar.xz").write_bytes(content)
        with refused("a.tar.xz' is no tar archive, or is damaged"):
            unpack(tmp_path / "a.tar.xz", tmp_path / "data" / "set")
        assert list((tmp_path / "data").iterdir()) == []


def test_an_absurdly_large_archive_is_refused(tmp_path, monkeypatch, refused):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with refused("too large: over 8,000,000,000 bytes or 2 files"):
        unpack(archive(tmp_path / "a.tar.xz"), tmp_path / "data" / "set")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 9)
    monkeypatch.setattr(archives, "MAX_BYTES", 4000 + 2304)
    with refused("too large"):
        unpack(archive(tmp_path / "a.tar.xz"), tmp_path / "data" / "set")
    assert list((tmp_path / "data").iterdir()) == []
    monkeypatch.setattr(archives, "MAX_BYTES", 4000 + 2304 + 1)
    unpack(archive(tmp_path / "a.tar.xz"), tmp_path / "data" / "set")


@pytest.mark.parametrize(
    ("number", "named"),
    [(28, "there is no room for '.*set'"), (5, "set' cannot be written: Input/output error")],
)
def test_a_failing_disk_leaves_nothing(number, named, tmp_path, monkeypatch, refused):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    file = archive(tmp_path / "a.tar.xz")
    monkeypatch.setattr(os, "rename", fail)
    with refused(named):
        unpack(file, tmp_path / "data" / "set")
    assert list((tmp_path / "data").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path, refused):
    file = archive(tmp_path / "a.tar.xz")
    with refused(r"a.tar.xz' cannot be written \(File exists\): set TRADEOFF_DATA to a folder that can"):
        unpack(file, file / "set")


def test_another_process_may_have_been_faster(tmp_path):
    file = archive(tmp_path / "a.tar.xz")
    unpack(file, tmp_path / "data" / "set")
    (tmp_path / "data" / "set" / "mine").touch()
    unpack(file, tmp_path / "data" / "set")
    assert (tmp_path / "data" / "set" / "mine").exists()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["set"]


def test_what_a_killed_process_leaves_is_swept_away_a_day_later(tmp_path):
    (tmp_path / "data" / ".set-old" / "content").mkdir(parents=True)
    (tmp_path / "data" / ".set-new").mkdir()
    (tmp_path / "data" / ".other").mkdir()
    for name in (".set-old", ".other"):
        os.utime(tmp_path / "data" / name, (0, time.time() - 25 * 3600))
    unpack(archive(tmp_path / "a.tar.xz"), tmp_path / "data" / "set")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [".other", ".set-new", "set"]
