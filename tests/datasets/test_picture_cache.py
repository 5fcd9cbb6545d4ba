import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tradeoff_core import datasets
from tradeoff_core.datasets import CIFAR10_CLASSES, cache
from tradeoff_core.datasets.cache import Place, Plan, cached
from tradeoff_core.datasets.reading import Fit

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = [f"a/{number:03}.png" for number in range(50)]
LABELS = np.arange(50) % 7


@pytest.fixture
def pictures(tmp_path) -> Path:
    """50 pictures of 4 x 4, each of one colour: (number, 2 x number, 7)."""
    (tmp_path / "train" / "a").mkdir(parents=True)
    for number, file in enumerate(FILES):
        Image.new("RGB", (4, 4), (number, 2 * number, 7)).save(tmp_path / "train" / file)
    return tmp_path / "train"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    """A cache whose blocks are 10 pictures long."""
    monkeypatch.setattr(cache, "BLOCK_BYTES", 10 * 48)
    return Place(tmp_path / "cache", "train", "abc")


@pytest.fixture
def plan(pictures) -> Plan:
    return Plan(pictures, FILES, LABELS, Fit(4, 4, 3))


def never() -> Plan:
    raise AssertionError("decoded again")


def assert_right(images: np.ndarray, labels: np.ndarray) -> None:
    assert images.shape == (50, 4, 4, 3)
    assert images[:, 1, 2, 0].tolist() == list(range(50))
    assert images[:, 3, 0, 1].tolist() == list(range(0, 100, 2))
    assert (images[..., 2] == 7).all()
    assert labels.tolist() == (np.arange(50) % 7).tolist()


def test_pictures_are_decoded_once(place, plan):
    shares: list[float] = []
    images, labels = cached(place, lambda: plan, shares.append)
    assert_right(images, labels)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert not images.flags.writeable
    assert isinstance(images.base, np.memmap)
    shutil.rmtree(plan.folder)
    assert_right(*cached(place, never))
    assert sorted(file.name for file in place.folder.iterdir()) == ["train-abc.npy", "train-abc.npz"]


def test_rows_come_in_the_order_of_the_plan(place, plan):
    order = np.random.default_rng(0).permutation(50)
    shuffled = Plan(plan.folder, [FILES[row] for row in order], order, plan.fit)
    images, labels = cached(place, lambda: shuffled)
    assert np.array_equal(images[:, 0, 0, 0], order)
    assert np.array_equal(labels, order)


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a failing disk does it


DAMAGE = {
    "a bit of the first picture": lambda pixels, _: flip(pixels, 128),
    "a bit in the middle": lambda pixels, _: flip(pixels, 128 + 27 * 48 + 5),
    "the last bit": lambda pixels, _: flip(pixels, -1),
    "the header": lambda pixels, _: flip(pixels, 70),
    "cut": lambda pixels, _: os.truncate(pixels, 128 + 40 * 48),
    "zeros after a loss of power": lambda pixels, _: pixels.write_bytes(
        pixels.read_bytes()[:600] + bytes(1928)
    ),
    "empty": lambda pixels, _: os.truncate(pixels, 0),
    "gone": lambda pixels, _: pixels.unlink(),
    "no labels": lambda _, labels: labels.unlink(),
    "labels cut": lambda _, labels: os.truncate(labels, labels.stat().st_size // 2),
    "labels damaged": lambda _, labels: flip(labels, 200),
    "labels of another": lambda _, labels: np.savez(labels, labels=np.arange(3)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_is_noticed_and_built_anew(damage, place, plan):
    cached(place, lambda: plan)
    damage(place.file(".npy"), place.file(".npz"))
    assert cache._opened(place) is None
    assert_right(*cached(place, lambda: plan))
    assert_right(*cached(place, never))


def test_of_a_vast_cache_some_blocks_are_looked_at_unless_it_was_touched(place, plan, monkeypatch):
    monkeypatch.setattr(cache, "THOROUGH_BYTES", 100)
    monkeypatch.setattr(cache, "SPOT_CHECKS", 3)  # the first, the third and the last of five blocks
    cached(place, lambda: plan)
    flip(place.file(".npy"), 128 + 15 * 48)
    assert cache._opened(place) is not None
    os.utime(place.file(".npy"))
    assert cache._opened(place) is None
    assert_right(*cached(place, lambda: plan))
    flip(place.file(".npy"), 128 + 25 * 48)
    assert cache._opened(place) is None


def test_another_fingerprint_takes_the_place_of_the_last(place, plan):
    cached(place, lambda: plan)
    cached(Place(place.folder, "test", "xyz"), lambda: plan)
    cached(Place(place.folder, "train", "def"), lambda: plan)
    assert sorted(file.name for file in place.folder.iterdir()) == [
        *("test-xyz.npy", "test-xyz.npz"),
        *("train-def.npy", "train-def.npz"),
    ]


def test_a_bad_picture_leaves_no_file(place, plan, refused):
    (plan.folder / FILES[33]).write_bytes(b"text")
    (plan.folder / FILES[44]).write_bytes(b"text")
    with refused("^train/a/033.png is not a picture that can be read"):
        cached(place, lambda: plan)
    assert list(place.folder.iterdir()) == []


def test_too_little_room_is_told_before_anything_is_decoded(place, plan, monkeypatch, refused):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2000))
    shutil.rmtree(plan.folder)  # nothing could be decoded
    with refused(r"train' need 0.0 GB in '.*cache', where 0.0 GB are free: make room, or set TRADEOFF_DATA"):
        cached(place, lambda: plan)
    vast = Plan(plan.folder, range(1_281_167), LABELS, Fit(224, 224, 3))
    with refused("need 192.9 GB in"):  # 1,281,167 x 150,528 bytes
        cached(place, lambda: vast)
    assert list(place.folder.iterdir()) == []


def test_a_disk_that_fills_up_leaves_no_file(place, plan, monkeypatch, refused):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with refused(r"cannot be kept in '.*cache' \(No space left on device\): set TRADEOFF_DATA"):
        cached(place, lambda: plan)
    assert list(place.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(place, plan, refused):
    place.folder.write_text("a file stands here")
    with refused(r"cannot be kept in '.*cache' \(File exists\): .*TRADEOFF_DATA"):
        cached(place, lambda: plan)


def test_an_interruption_leaves_no_file(place, plan):
    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(place, lambda: plan, interrupt)
    assert list(place.folder.iterdir()) == []
    assert_right(*cached(place, lambda: plan))


BUILDER = """
import sys, time
from pathlib import Path
import numpy as np
from tradeoff_core import datasets
from tradeoff_core.datasets import CIFAR10_CLASSES, cache
from tradeoff_core.datasets.reading import Fit

folder, ready, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
cache.BLOCK_BYTES = 10 * 48
files = [f"a/{number:03}.png" for number in range(50)]
plan = cache.Plan(folder / "train", files, np.arange(50) % 7, Fit(4, 4, 3))
ready.touch()
while len(list(ready.parent.iterdir())) < 2:
    time.sleep(0.001)
images, labels = cache.cached(
    cache.Place(folder / "cache", "train", "abc"), lambda: plan, lambda _: time.sleep(seconds)
)
print(int(images.astype(int).sum()), int(labels.sum()))
"""


def builder(folder: Path, number: int, seconds: float) -> "subprocess.Popen[str]":
    ready = folder / "ready"
    ready.mkdir(exist_ok=True)
    command = [sys.executable, "-c", BUILDER, str(folder), str(ready / str(number)), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("pictures")
def test_two_processes_build_at_once(tmp_path, place):
    both = [builder(tmp_path, number, 0.1) for number in range(2)]
    # 16 pixels of (n, 2n, 7) for n below 50: 16 * (3 * 1225 + 350); labels 7 times 0..6 and a 0
    assert [process.communicate()[0] for process in both] == [f"{16 * (3 * 1225 + 350)} {7 * 21}\n"] * 2
    assert_right(*cached(place, never))
    assert sorted(file.name for file in place.folder.iterdir()) == ["train-abc.npy", "train-abc.npz"]


def test_what_a_killed_process_leaves_is_swept_away_a_day_later(tmp_path, place, plan):
    (tmp_path / "ready").mkdir()
    (tmp_path / "ready" / "nobody").touch()
    killed = builder(tmp_path, 0, 5)
    while not place.folder.exists() or not list(place.folder.iterdir()):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    (left,) = place.folder.iterdir()
    assert left.name.endswith(".unfinished")
    assert_right(*cached(place, lambda: plan))
    assert left.exists()  # it might be another process's
    os.utime(left, (0, time.time() - 25 * 3600))
    cached(Place(place.folder, "train", "def"), lambda: plan)
    assert not left.exists()


def test_a_writable_copy_of_cached_pictures_leaves_them_alone_and_copies_only_what_is_written(data_home, lay):
    lay(data_home / "cifar10" / "train", CIFAR10_CLASSES, 20, side=32)
    lay(data_home / "cifar10" / "test", CIFAR10_CLASSES, 2, side=32)
    for split in datasets.Split:  # of which validation starts in the middle of its file
        images = datasets.load_dataset("cifar10", split).images
        before = images.copy()
        copied = datasets.writable_copy(images)
        assert isinstance(copied, np.memmap)
        np.testing.assert_array_equal(copied, before)
        copied[-1] = 255 - copied[-1]
        np.testing.assert_array_equal(images, before)
        datasets.load_dataset.cache_clear()
        np.testing.assert_array_equal(datasets.load_dataset("cifar10", split).images, before)
    some = before[::2]
    assert not np.shares_memory(datasets.writable_copy(some), before)
    np.testing.assert_array_equal(datasets.writable_copy(images[::2]), before[::2])  # no piece of the file


def test_a_writable_copy_outlives_the_file(data_home, lay):
    lay(data_home / "cifar10" / "test", CIFAR10_CLASSES, 2, side=32)
    images = datasets.load_dataset("cifar10", datasets.Split.TEST).images
    for file in data_home.rglob("*.npy"):
        file.unlink()
    np.testing.assert_array_equal(datasets.writable_copy(images), images)
