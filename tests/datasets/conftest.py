"""What the tests of data sets share: a data folder of their own, and pictures laid out in folders."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tradeoff_core.datasets import load_dataset

Lay = Callable[..., Path]


@pytest.fixture
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty TRADEOFF_DATA; what is loaded from it is forgotten afterwards."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("TRADEOFF_DATA", str(home))
    load_dataset.cache_clear()
    yield home
    load_dataset.cache_clear()


@pytest.fixture
def lay() -> Lay:
    """`lay(folder, classes, count, side=4, mode="RGB")` writes PNGs that tell where they belong.

    Every pixel of a picture is (its class's place among `classes`, its number, 200), or the class's place if grey.
    """

    def write(folder: Path, classes: tuple[str, ...], count: int, side: int = 4, mode: str = "RGB") -> Path:
        for place, name in enumerate(classes):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixel = (place, number, 200) if mode == "RGB" else place
                Image.new(mode, (side, side), pixel).save(folder / name / f"{number:04}.png")
        return folder

    return write


@pytest.fixture
def noise() -> np.ndarray:
    """A picture's worth of noise, (40, 60, 3)."""
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
