import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tradeoff_core import bench, networks
from tradeoff_core.bench import app, photographs
from tradeoff_core.datasets import CIFAR10_CLASSES, Split, cache, load_dataset
from tradeoff_core.models import zoo
from tradeoff_core.networks import Network
from tradeoff_core.training.loop import Progress
from tradeoff_core.training.recipe import Training

pytestmark = pytest.mark.bench


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty TRADEOFF_DATA; what is loaded from it is forgotten afterwards."""
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path))
    load_dataset.cache_clear()
    yield tmp_path
    load_dataset.cache_clear()


def lay_cifar10(home: Path, part: str, count: int) -> None:
    (home / "cifar10" / "test").mkdir(parents=True)  # without which it counts as absent
    for name in CIFAR10_CLASSES:
        (home / "cifar10" / part / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (32, 32), (number, 0, 0)).save(home / "cifar10" / part / name / f"{number}.png")


def test_bench_names_what_a_photograph_row_lacks_and_measures_the_others(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data_home.is_dir()
    monkeypatch.setattr("tradeoff_core.experiments.run_folder.MODELS", Path("no-such-folder"))
    for name in ("small_row", "data_row"):  # which need nothing
        monkeypatch.setattr(photographs, name, lambda: bench.Row("measured", 1, 2, "s"))
    rows = photographs.photograph_rows()
    assert [row.ok for row in rows] == [None, True, None, None, None, True, None]
    lacking = [photographs.PHOTOGRAPHS, photographs.HARDENED, photographs.STANDARD, "cifar10", "CIFAR-10"]
    skipped = [row for row in rows if row.measured is None]
    assert not any(row.failed for row in skipped)
    for row, name in zip(skipped, lacking, strict=True):
        assert name in row.note
    assert [(row.limit, row.unit, row.at_least) for row in skipped] == [
        (1.5, "s", False),
        (1.3, "x", True),
        (3, "x", True),
        (1, "s", False),
        (2, "GiB", False),
    ]


def test_bench_measures_once_library_model_and_pictures_are_there_and_else_names_the_next_that_is_not(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchattacks")
    network = networks.build("cifar-resnet", 0.05, 0)
    monkeypatch.setattr(photographs, "EVALUATED", 10)
    monkeypatch.setattr("tradeoff_core.experiments.run_folder.MODELS", Path("no-such-folder"))

    def row() -> bench.Row:
        return photographs.evaluation_row(photographs.STANDARD, 3)

    with monkeypatch.context() as without:
        without.setattr(photographs.importlib.util, "find_spec", lambda _: None)
        assert row().measured is None
        assert "torchattacks" in row().note
    assert row().measured is None
    assert photographs.STANDARD in row().note
    monkeypatch.setattr(zoo, "model_ids", lambda: [photographs.STANDARD])
    monkeypatch.setattr(zoo, "find_model", lambda name: name)
    monkeypatch.setattr(zoo, "load_network", lambda *_, **__: networks.freeze(network))
    assert row().measured is None
    assert str(data_home) in row().note
    lay_cifar10(data_home, "test", 1)
    load_dataset.cache_clear()
    measured = row()
    assert measured.measured is not None
    assert measured.measured > 0
    assert not measured.failed


def test_bench_attacks_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    attacked = []

    def slow(network: Network, images: Tensor, *_: object) -> Tensor:
        assert not any(isinstance(module, nn.BatchNorm2d) for module in network.stages["stem"].modules())
        attacked.append(tuple(images.shape))
        time.sleep(0.02)
        return images

    monkeypatch.setattr(photographs, "perturb", slow)
    rows = [photographs.photograph_row(), photographs.small_row()]
    assert attacked == [(1, 3, 224, 224)] * 4 + [(8, 3, 32, 32)] * 4
    assert [(row.limit, row.unit) for row in rows] == [(1.5, "s"), (0.5, "s")]
    assert all(row.measured is not None and 0.02 <= row.measured < 0.5 for row in rows)


def test_bench_attacks_in_earnest() -> None:
    network = networks.fold(networks.build("cifar-resnet", 0.25, 0))
    data = load_dataset("cifar10-samples", Split.TEST).take(slice(1))
    taken, note = photographs.attack_time(network, data, repetitions=1)
    assert 0 < taken < 60
    assert note == "median of 1 times"


class Brightness(Network):
    """Class 1 where an image is on average brighter than a half, else class 0."""

    def __init__(self, sign: float = 1) -> None:
        head = nn.Linear(1, 2)
        with torch.no_grad():
            head.weight.copy_(torch.tensor([[0.0], [sign]]))
            head.bias.copy_(torch.tensor([0.0, -sign / 2]))
        super().__init__({"penultimate": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())}, head)


def test_bench_evaluates_beside_torchattacks() -> None:
    """PGD at 8/255 turns images that are no further than this from the line between the classes."""
    pytest.importorskip("torchattacks")
    levels = [0.5 - 0.1, 0.5 + 6 / 255, 0.5 + 10 / 255, 0.9, 0.9]
    images = torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).contiguous()
    labels = torch.tensor([0, 1, 1, 1, 0])  # the last one is false
    asked = bench.Row("a", None, 0.01, "x", True)
    good, odd = networks.freeze(Brightness()), networks.freeze(Brightness(-1))
    row = photographs.compared(asked, good, good, images, labels, turns=3)
    assert row.ok
    assert row.note == (
        "ours clean 80.0%, under PGD-10 60.0%; torchattacks 80.0%, 60.0%; the same outcome for 5 of 5; "
        "median of 3 turns"
    )
    row = photographs.compared(asked, good, odd, images, labels, turns=1)
    assert (row.ok, row.measured) == (False, None)
    assert row.note == (
        "failed: the accuracies differ: ours clean 80.0%, under PGD-10 60.0%; torchattacks 20.0%, 20.0%; "
        "the same outcome for 1 of 5"
    )


def test_bench_compares_models_of_the_zoo(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unfolded network is torchattacks', and the images are spread over the test split."""
    pytest.importorskip("torchattacks")
    lay_cifar10(data_home, "test", 3)
    network = networks.build("cifar-resnet", 0.25, 0)
    monkeypatch.setattr(zoo, "model_ids", lambda: [photographs.HARDENED])
    monkeypatch.setattr(zoo, "find_model", lambda name: name)
    monkeypatch.setattr(zoo, "load_network", lambda model, folded=True: (model, folded))
    monkeypatch.setattr(photographs, "EVALUATED", 20)
    seen = []

    def compare(row: bench.Row, ours: object, theirs: object, images: Tensor, labels: Tensor) -> bench.Row:
        seen.append((ours, theirs, tuple(images.shape), labels.bincount().tolist()))
        folded = networks.fold(network)
        return photographs_compared(row, folded, networks.freeze(network), images[:4], labels[:4], turns=1)

    photographs_compared = photographs.compared
    monkeypatch.setattr(photographs, "compared", compare)
    row = photographs.evaluation_row(photographs.HARDENED, 1.3)
    assert seen == [((photographs.HARDENED, True), (photographs.HARDENED, False), (20, 3, 32, 32), [2] * 10)]
    assert row.name == "20 CIFAR-10 images, cifar10-clean-label-pgd-8-255: torchattacks' time / ours"
    assert row.measured is not None
    assert 0.1 < row.measured < 50
    assert "the same outcome for 4 of 4" in row.note


def test_bench_opens_decoded_pictures(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding is not in the time, and what is still in memory does not count as opened."""
    lay_cifar10(data_home, "train", 4)

    def slow(*given: object) -> object:
        time.sleep(0.5)
        return decode(*given)

    decode = cache._decode
    monkeypatch.setattr(cache, "_decode", slow)
    row = photographs.opening_row()
    assert (row.limit, row.unit, row.at_least) == (1, "s", False)
    assert row.measured is not None
    assert 1e-4 < row.measured < 0.5
    assert row.note == "40 pictures; median of 3 times"
    monkeypatch.setattr(photographs, "load_dataset", with_pause(load_dataset))
    slower = photographs.opening_row()
    assert slower.measured is not None
    assert slower.measured >= 0.1


def with_pause(load: object) -> object:
    class Paused:
        cache_clear = staticmethod(load.cache_clear)

        def __call__(self, name: str, split: Split) -> object:
            time.sleep(0.1)
            return load(name, split)

    return Paused()


def test_bench_opens_only_folders(data_home: Path) -> None:
    assert data_home.is_dir()
    row = photographs.opening_row("mnist")
    assert (row.ok, row.note) == (None, "skipped: mnist is not there as a folder of pictures")


def test_bench_weighs_the_data_of_an_epoch(data_home: Path) -> None:
    assert data_home.is_dir()
    row = photographs.data_row(steps=2, read=2, turns=1, width=0.25)
    assert row.name == "a CIFAR-10 epoch: the share of the data"
    assert (row.limit, row.unit, row.at_least) == (5, "%", False)
    assert row.measured is not None
    assert 0 < row.measured < 50
    assert row.note.startswith("random images; ")


def test_bench_notices_slow_data(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of a second a batch is a tenth of an epoch of two batches that takes two seconds."""
    lay_cifar10(data_home, "train", 23)  # 207 of them to train on
    seen = []

    def slow(images: np.ndarray, device: torch.device) -> object:
        read = reader(images, device)

        def pixels(batch: Tensor) -> Tensor:
            seen.append(len(batch))
            time.sleep(0.1)
            return read(batch)

        return pixels

    def pretend(_: Network, images: np.ndarray, labels: Tensor, recipe: Training, *_given, **asked) -> None:
        assert images.shape == (200, 32, 32, 3)
        assert labels.shape == (200,)
        assert recipe.attack is None
        for epoch in range(recipe.epochs):
            asked["progress"](Progress(epoch + 1, recipe.epochs, 0, 0, 0, None, None, seconds=2.0))

    reader = photographs.reader
    monkeypatch.setattr(photographs, "reader", slow)
    monkeypatch.setattr(photographs, "train", pretend)
    row = photographs.data_row(steps=2, read=2, turns=1)
    assert seen == [100, 100] * 2
    assert row.measured is not None
    assert 10 <= row.measured < 100
    assert row.ok is False
    assert row.note.startswith("CIFAR-10; 1")  # a hundred milliseconds and more
    assert row.note.endswith(" of 1000 ms a batch of 100, cifar-resnet; median of 1 turns")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_bench_reads_what_a_process_holds(data_home: Path) -> None:
    now = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**30
    assert 0.9 * now < app._peak(os.getpid()) < 100 * now
    lay_cifar10(data_home, "test", 1)
    folder = data_home / ".cache" / "cifar10"
    assert not app._maps(os.getpid(), folder)
    load_dataset("cifar10", Split.TEST)
    assert app._maps(os.getpid(), folder)
    assert not app._maps(os.getpid(), data_home / ".cache" / "cifar")


APP = """
import numpy as np
import streamlit as st
@st.cache_resource
def pixels():
    return np.load(".cache/cifar10/pixels.npy", mmap_mode="r")
def overview():
    st.title("plain")
def stickers():
    st.title("stamped")
    if st.query_params.get("data") == "CIFAR-10":
        st.write(pixels().sum())
def perturbations():
    st.write(np.ones(40_000_000).sum())
def spectral_signatures():
    st.title("plain")
pages = [
    st.Page(page, title=page.__name__.replace("_", " ").capitalize(), default=page is overview)
    for page in (overview, stickers, perturbations, spectral_signatures)
]
st.navigation(pages).run()
"""


@pytest.mark.browser
@pytest.mark.skipif(not app.CHROMIUM.exists() or sys.platform != "linux", reason="needs chromium and Linux")
@pytest.mark.parametrize(
    ("old", "new", "note"),
    [
        ("", "", "4 pages drawn"),
        ('st.title("plain")', 'st.error("no")', "failed: the page 'Overview' shows an error"),
        ("CIFAR-10", "CIFAR-100", "failed: no page has loaded CIFAR-10"),
    ],
)
def test_bench_watches_memory(
    old: str, new: str, note: str, data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("playwright")
    monkeypatch.setattr(app, "_cifar10_models", lambda: ["a model"])
    lay_cifar10(data_home, "test", 0)
    (data_home / ".cache" / "cifar10").mkdir(parents=True)
    np.save(data_home / ".cache" / "cifar10" / "pixels.npy", np.zeros(10))
    (data_home / "app.py").write_text(APP.replace(old, new) if old else APP)
    row = app.memory_row(data_home)
    assert (row.name, row.limit, row.unit) == ("app: peak memory with CIFAR-10 loaded", 2, "GiB")
    assert row.note == note
    assert row.ok is (not old)
    if row.measured is not None:
        assert 40e6 * 8 / 2**30 < row.measured < 2
