import gzip
import hashlib
import http.client
import io
import os
import pickle
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tradeoff_core import datasets
from tradeoff_core.datasets import Split, import_torchvision, load_dataset
from tradeoff_core.datasets.folders import CIFAR10_CLASSES

DIGITS = tuple("0123456789")
Web = dict[str, bytes]


def idx(array: np.ndarray) -> bytes:
    """The format of the original MNIST files."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def mnist_files() -> dict[str, bytes]:
    """6,000 digits to train on and 20 to test on, each with its label in the pixel at row 3, column 4."""
    files = {}
    for name, count in (("train", 6000), ("t10k", 20)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28))
        images[:, 3, 4] = labels
        files |= {f"{name}-images-idx3-ubyte": idx(images), f"{name}-labels-idx1-ubyte": idx(labels)}
    return files


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def assert_mnist_is_right() -> None:
    splits = {split: load_dataset("mnist", split) for split in Split}
    counts = {split.value: np.bincount(data.labels).tolist() for split, data in splits.items()}
    assert counts == {"train": [100] * 10, "validation": [500] * 10, "test": [2] * 10}
    for data in splits.values():
        assert data.images.shape[1:] == (28, 28, 1)
        assert np.array_equal(data.images[:, 3, 4, 0], data.labels)
        assert [name.partition(" ")[0] for name in data.classes] == list(DIGITS)


def test_the_full_mnist_is_read_from_its_own_files(data_home):
    write(data_home / "MNIST" / "raw", mnist_files())
    assert datasets.available("mnist")
    assert_mnist_is_right()


def test_a_file_that_is_cut_counts_as_absent(data_home, refused):
    write(data_home / "MNIST" / "raw", mnist_files())
    os.truncate(data_home / "MNIST" / "raw" / "t10k-images-idx3-ubyte", 5000)
    assert not datasets.available("mnist")
    with refused("mnist is not in .*: set TRADEOFF_DATA to its folder, or download it"):
        load_dataset("mnist", Split.TEST)


def cifar10_batches(per_batch: int = 1200) -> dict[str, bytes]:
    """Five batches to train on and one of 20 to test on, as torchvision has them; colour channel c is label + 20 c."""
    files = {"batches.meta": pickle.dumps({"label_names": list(CIFAR10_CLASSES)})}
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        labels = np.arange(20 if name == "test_batch" else per_batch) % 10
        planes = labels[:, None] + 20 * np.arange(3)  # (N, 3)
        files[name] = pickle.dumps(
            {"data": np.repeat(planes, 1024, axis=1).astype(np.uint8), "labels": labels.tolist()}
        )
    return files


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def batches(monkeypatch) -> dict[str, bytes]:
    """Small batches, whose checksums torchvision is told to expect."""
    import_torchvision()
    from torchvision.datasets import CIFAR10

    files = cifar10_batches()
    listed = [(name, md5(content)) for name, content in files.items()]
    monkeypatch.setattr(
        CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": listed[0][1]}
    )
    monkeypatch.setattr(CIFAR10, "train_list", listed[1:6])
    monkeypatch.setattr(CIFAR10, "test_list", listed[6:])
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(packed(files)))
    monkeypatch.setattr(CIFAR10, "url", "https://far.away/cifar-10-python.tar.gz")
    return files


def assert_cifar10_is_right() -> None:
    splits = {split: load_dataset("cifar10", split) for split in Split}
    counts = {split.value: np.bincount(data.labels).tolist() for split, data in splits.items()}
    assert counts == {"train": [100] * 10, "validation": [500] * 10, "test": [2] * 10}
    for data in splits.values():
        assert (data.image_shape, data.classes) == ((3, 32, 32), CIFAR10_CLASSES)
        assert np.array_equal(data.images[:, 9, 31], data.labels[:, None] + [[0, 20, 40]])


def test_cifar10_is_read_from_torchvisions_files_rather_than_from_pictures(data_home, batches, lay):
    lay(data_home / "cifar10" / "test", CIFAR10_CLASSES, 1, side=32)
    assert len(load_dataset("cifar10", Split.TEST)) == 10
    load_dataset.cache_clear()
    write(data_home / "cifar-10-batches-py", batches)
    assert datasets.available("cifar10")
    assert_cifar10_is_right()


def test_a_damaged_batch_is_never_unpickled(data_home, batches, refused):
    class Harm:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(data_home / "harm"),)

    write(data_home / "cifar-10-batches-py", batches | {"data_batch_3": pickle.dumps(Harm())})
    for split in Split:
        with refused(
            "the files of cifar10 in '.*' are damaged: delete them, and download them again with python"
        ):
            load_dataset("cifar10", split)
    write(data_home / "cifar-10-batches-py", batches | {"batches.meta": pickle.dumps(Harm())})
    with refused("the files of cifar10 in '.*' are damaged"):
        load_dataset("cifar10", Split.TEST)
    assert not (data_home / "harm").exists()


class Response(io.BytesIO):
    """What urlopen gives, of a stated length."""

    def __init__(self, content: bytes, length: int) -> None:
        super().__init__(content)
        self.headers = {"Content-Length": str(length)}


@pytest.fixture
def web(monkeypatch) -> Web:
    """What the web holds, by URL."""
    pages: Web = {}

    def urlopen(request: urllib.request.Request, timeout: float) -> Response:
        assert timeout > 0
        if request.full_url not in pages:
            raise urllib.error.URLError("no network")
        return Response(pages[request.full_url], len(pages[request.full_url]))

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return pages


@pytest.fixture
def mnist_web(web, monkeypatch) -> Web:
    """The web with MNIST on the second of two mirrors."""
    import_torchvision()
    from torchvision.datasets import MNIST

    archives = {f"{name}.gz": gzip.compress(content) for name, content in mnist_files().items()}
    monkeypatch.setattr(MNIST, "mirrors", ["https://gone/", "https://here/"])
    monkeypatch.setattr(MNIST, "resources", [(name, md5(content)) for name, content in archives.items()])
    web |= {f"https://here/{name}": content for name, content in archives.items()}
    return web


def test_mnist_is_downloaded(data_home, mnist_web):
    shares: list[float] = []
    datasets.download("mnist", shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert_mnist_is_right()
    mnist_web.clear()
    datasets.download("mnist")  # what is whole stays
    assert [path.name for path in data_home.iterdir()] == ["MNIST"]
    assert len(list((data_home / "MNIST" / "raw").iterdir())) == 4


def test_a_cut_mnist_is_fetched_again(data_home, mnist_web, refused):
    images = "https://here/t10k-images-idx3-ubyte.gz"
    whole = mnist_web[images]
    mnist_web[images] = whole[: len(whole) // 2]
    with refused("^mnist could not be downloaded: is there a network"):
        datasets.download("mnist")
    assert not datasets.available("mnist")
    assert [path.name for path in (data_home / "MNIST").iterdir()] == ["raw"]  # nothing half done lies about
    os.truncate(data_home / "MNIST" / "raw" / "train-images-idx3-ubyte", 99)  # as an older program left it
    mnist_web[images] = whole
    datasets.download("mnist")
    assert_mnist_is_right()


def test_cifar10_is_downloaded(data_home, batches, web):
    web["https://far.away/cifar-10-python.tar.gz"] = packed(batches)
    write(
        data_home / "cifar-10-batches-py",
        {"data_batch_1": b"half of it", "test_batch": batches["test_batch"]},
    )
    shares: list[float] = []
    datasets.download("cifar10", shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) > 3
    assert_cifar10_is_right()
    web.clear()
    datasets.download("cifar10")
    assert [path.name for path in data_home.iterdir()] == ["cifar-10-batches-py"]


def test_a_download_that_is_cut_leaves_nothing(data_home, batches, web, refused):
    url = "https://far.away/cifar-10-python.tar.gz"
    with refused("^cifar10 could not be downloaded: is there a network"):
        datasets.download("cifar10")
    web[url] = packed(batches)[:-50]
    with refused("^cifar10 could not be downloaded: is there a network"):
        datasets.download("cifar10")
    assert list(data_home.iterdir()) == []
    assert not datasets.available("cifar10")


def test_an_interrupted_download_leaves_nothing(data_home, batches, web):
    def interrupt(share: float) -> None:
        if share > 0.91:  # while it is unpacked
            raise KeyboardInterrupt

    web["https://far.away/cifar-10-python.tar.gz"] = packed(batches)
    with pytest.raises(KeyboardInterrupt):
        datasets.download("cifar10", interrupt)
    assert list(data_home.iterdir()) == []


@pytest.mark.parametrize(
    "error", [http.client.IncompleteRead(b""), TimeoutError("timed out"), ConnectionResetError()]
)
def test_a_connection_that_breaks_off_is_told_in_one_sentence(
    error, data_home, batches, monkeypatch, refused
):
    class Broken(Response):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise error
            return super().read(min(size or 0, 10))

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Broken(bytes(100), 100))
    with refused("^cifar10 could not be downloaded"):
        datasets.download("cifar10")
    assert list(data_home.iterdir()) == []
    assert batches


def test_a_full_disk_is_not_called_a_missing_network(data_home, batches, web, monkeypatch, refused):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    web["https://far.away/cifar-10-python.tar.gz"] = packed(batches)
    monkeypatch.setattr(tarfile.TarFile, "extract", full)
    with refused(
        r"^there is no room for '.*cifar-10-batches-py' \([0-9,]+ MB are free\): make room, or set TRADEOFF_DATA"
    ):
        datasets.download("cifar10")
    assert list(data_home.iterdir()) == []


def test_torchvision_works_whatever_torch_it_was_built_for():
    # conftest has imported it, which beside a CPU-only torch fails first and is then mended
    from torchvision import models, utils
    from torchvision.transforms import v2

    assert v2.Resize(4)(torch.zeros(3, 8, 8)).shape == (3, 4, 4)
    assert models.squeezenet1_1()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
    assert utils.make_grid(torch.zeros(4, 1, 2, 2)).shape == (3, 6, 18)
