"""What the tests share: some digits, networks trained for seconds, one finished run, and a browser."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import Split, import_torchvision, load_dataset
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.networks import Network, build, freeze
from tradeoff_core.poisoning.poison import Poison, PoisonLabels, poison_dataset
from tradeoff_core.training.loop import train
from tradeoff_core.training.recipe import Training

threadpool_limits(1)  # numpy's threads,
torch.set_num_threads(1)  # and torch's: the same sums in the same order everywhere, and no fight over cores
import_torchvision()  # before an oracle imports it
MAIN = sys.modules["__main__"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--moments",
        type=int,
        help="at which each fault of `-m faults` strikes (2, where it takes a browser 1)",
    )
    parser.addoption("--minutes", type=float, default=0.5, help="for which `-m server` is visited")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "moment" in metafunc.fixturenames:
        usual = 1 if "browser" in metafunc.fixturenames else 2
        metafunc.parametrize("moment", range(metafunc.config.getoption("moments") or usual))


BROWSERS = "one browser", "another"  # the groups of what drives one
FIRST = ("browser", "pages")  # folders whose files take longest: they begin, and short files fill up the end


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n 3 --dist loadgroup` a file stays in one process, and what drives a browser in two."""
    for item in items:
        drives = item.get_closest_marker("browser")
        group = BROWSERS[item.path.stem > "test_j"] if drives else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
        if drives:
            item.add_marker(pytest.mark.flaky(reruns=2))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, int]:
    folder = item.path.parent.name
    return not item.get_closest_marker("browser"), FIRST.index(folder) if folder in FIRST else len(FIRST)


Refused = Callable[[str], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def own_main() -> None:
    """What a page's test ran is `__main__` after it, and a process that a later test starts would run it again."""
    sys.modules["__main__"] = MAIN


@pytest.fixture(scope="session")
def digits() -> tuple[Tensor, Tensor]:
    """200 test digits, 20 a class or nearly so, and their labels."""
    return load_dataset("mnist-5k", Split.TEST).take(slice(None, None, 5)).tensors()


def trained(training: Training, poison: Poison | None = None, seed: int = 0) -> Network:
    data = load_dataset("mnist-5k", Split.TRAIN).take(slice(None, None, 2))
    poisoned = poison_dataset(data, poison, np.random.default_rng(seed))
    images, labels = poisoned.data.tensors()
    network = build("mnist-cnn", width=0.25, seed=seed)
    train(network, images, labels, training, seed, validation=(images[:10], labels[:10]))
    return freeze(network)


@pytest.fixture(scope="session")
def standard_network() -> Network:
    return trained(Training(epochs=3, learning_rate=3e-3, batch_size=50))


@pytest.fixture(scope="session")
def hardened_network() -> Network:
    """Adversarially trained just long enough to differ."""
    return trained(Training(Attack(epsilon=0.1, steps=2), epochs=3, learning_rate=3e-3, ramp_epochs=2))


@pytest.fixture(scope="session")
def poisoned_network() -> Network:
    """With a back door that a network learns in seconds: dirty labels on a tenth of all."""
    poison = Poison(PoisonLabels.DIRTY, rate=0.1)
    return trained(Training(epochs=3, learning_rate=3e-3, batch_size=50), poison, seed=1)


@pytest.fixture(scope="session")
def tiny_spec() -> ExperimentSpec:
    """A run of a second or two."""
    training = Training(epochs=2, batch_size=200, learning_rate=3e-3)
    return ExperimentSpec(width=0.05, training=training, evaluation=Attack(epsilon=0.1, steps=2))


@pytest.fixture(scope="session")
def finished_run(tiny_spec: ExperimentSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one finished run; copy it before changing anything in it."""
    folder = tmp_path_factory.mktemp("runs") / tiny_spec.id
    run_experiment(tiny_spec, folder)
    return folder


@pytest.fixture
def runs_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """`runs_at(folder)`: the pages of this process have their runs there."""
    return lambda folder: monkeypatch.setenv("TRADEOFF_RUNS", str(folder))


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread for each run in the background, as an unbroken one has here."""
    monkeypatch.setenv("TRADEOFF_JOBS", str(os.cpu_count()))


@pytest.fixture(scope="session")
def slow(tiny_spec: ExperimentSpec) -> ExperimentSpec:
    """A run of some seconds, most of which are epochs."""
    return replace(tiny_spec, training=replace(tiny_spec.training, epochs=12))


@pytest.fixture(scope="session")
def refused() -> Refused:
    """`with refused("pattern"):` expects a TradeoffError that says so in one line."""

    @contextmanager
    def expect(pattern: str) -> Iterator[None]:
        with pytest.raises(TradeoffError, match=pattern) as caught:
            yield
        assert "\n" not in str(caught.value)

    return expect
