import hashlib
from pathlib import Path

import pytest

from tradeoff_core.common.paths import ASSETS, SAMPLES
from tradeoff_core.tools import samples


def contents(folder: Path, pattern: str) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob(pattern)}


def test_the_samples_are_what_the_tool_makes(tmp_path, monkeypatch):
    pytest.importorskip("foolbox")
    monkeypatch.setattr(samples, "SAMPLES", tmp_path / "data" / "samples")
    monkeypatch.setattr(samples, "ASSETS", tmp_path)
    samples.main()
    for name, pattern in (("cifar10", "*.png"), ("imagenet", "*.jpg")):
        made = contents(tmp_path / "data" / "samples" / name, pattern)
        assert len(made) == 20
        assert made == contents(SAMPLES / name, "*")
    names = (tmp_path / "data" / "imagenet-classes.txt").read_bytes()
    assert names == (ASSETS / "data" / "imagenet-classes.txt").read_bytes()


def test_the_licence_lies_beside_the_samples():
    text = (SAMPLES / "LICENSE").read_text()
    assert "MIT License" in text
    assert "Copyright (c) 2020 Jonas Rauber et al." in text
