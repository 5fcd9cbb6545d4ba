import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tradeoff_core.__main__ import main


def test_models(
    run: Path, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tradeoff_core.experiments.run_folder.MODELS", run.parent)
    (model,) = answer("models")
    card = json.loads((run / "card.json").read_text())
    assert model == {
        "id": "tiny",
        "dataset": "mnist-5k",
        "network": "mnist-cnn",
        "training": "standard",
        "labels": "clean-label",
        "trigger": "sticker",
        "poison_rate_class": 0.5,
        "poison_rate_dataset": 0.05,
        "metrics": card["metrics"],
        "sha256": card["sha256"],
        "bytes": (run / "model.safetensors").stat().st_size,
    }
    assert main(["models"]) == 0
    text = capsys.readouterr().out
    assert "clean-label sticker, 50.0% of the target class, 5.0% of the data set" in text
    assert text.count("95% interval") == 4


def test_models_of_an_empty_zoo(
    answer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tradeoff_core.experiments.run_folder.MODELS", tmp_path)
    assert answer("models") == []
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith("there is no model")
