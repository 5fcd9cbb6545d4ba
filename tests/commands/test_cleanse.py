import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tradeoff_core.__main__ import main
from tradeoff_core.defenses import applied
from tradeoff_core.defenses.neural_cleanse import Reversal, Triggers, Unlearning
from tradeoff_core.models.zoo import find_model, load_network

FEW = ["--rounds", "2", "--epochs", "1", "--seed", "3"]


def test_cleanse_equals_the_core(
    finished_run: Path, tmp_path: Path, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "triggers.npz"
    document = answer("cleanse", finished_run, *FEW, "--out", path)
    model = find_model(str(finished_run))
    done = applied.cleanse(
        load_network(model), model.spec, reversal=Reversal(rounds=2), unlearning=Unlearning(1), seed=3
    )
    expected = {"model": finished_run.name} | done.document()
    assert list(document) == list(expected)
    for key in set(expected) - {"seconds"}:
        assert document[key] == expected[key], key
    on_card = {name: value for name, value in model.card.metrics.items() if name != "certified_accuracy"}
    assert document["before"].items() >= on_card.items()  # as it was measured after training
    assert [step["epoch"] for step in document["steps"]] == [0, 1]
    with np.load(path, allow_pickle=False) as stored:
        assert sorted(stored) == ["masks", "patterns"]
        assert stored["masks"].shape == (10, 28, 28)
        assert stored["patterns"].shape == (10, 1, 28, 28)
        assert stored["masks"].sum(axis=(1, 2)) == pytest.approx(document["mask_norm"], abs=1e-3)
        assert (stored["patterns"] == done.triggers.patterns.numpy()).all()
    assert [entry.name for entry in path.parent.iterdir()] == ["triggers.npz"]
    assert capsys.readouterr().err == ""  # no bar where nobody looks


def pretended(run: Path, norms: list[float]) -> applied.Cleansing:
    """A cleansing whose masks have these l1 norms."""
    masks = torch.zeros(10, 28, 28)
    masks[:, 0, 0], masks[:, 0, 1:21] = 0.0, torch.tensor(norms)[:, None] / 20
    triggers = Triggers(
        masks, torch.zeros(10, 1, 28, 28), np.ones(10), np.zeros((1, 10, 1, 28, 28), np.uint8)
    )
    rates = json.loads((run / "card.json").read_text())["metrics"]
    after = rates | {"clean_accuracy": 0.75, "backdoor_success_rate": 0.0}
    return applied.Cleansing(triggers, 400, 400, rates, after, [], 1.0)


def test_text_of_a_flagged_class(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Median 13.5, median deviation 2.5: 12.5 / (1.4826 x 2.5) = 3.37 for the smallest, 0.94 for class 0."""
    done = pretended(finished_run, [*range(10, 19), 1])
    monkeypatch.setattr(applied, "cleanse", lambda *_, **__: done)
    assert main(["cleanse", str(finished_run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == finished_run.name
    assert lines[2].split() == ["0", "10.00", "0.94", "100.0%"]
    assert lines[11].split() == ["9", "1.00", "3.37", "100.0%", "flagged", "suspect"]
    assert "anomaly index of 2 or more: class 9; the suspect is class 9" in lines[12]
    before, after = lines.index("before"), lines.index("after unlearning the trigger of class 9")
    for start in (before, after):
        names = [line.split("  ")[1] for line in lines[start + 1 : start + 4]]
        assert names == ["clean accuracy", "adversarial accuracy", "backdoor success rate"]
        assert all("95% interval" in line for line in lines[start + 1 : start + 4])
    assert "75.0%   n =  1,000" in lines[after + 1]


def test_text_without_a_flagged_class(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = pretended(finished_run, [*range(10, 19), 9.5])
    monkeypatch.setattr(applied, "cleanse", lambda *_, **__: done)
    assert main(["cleanse", str(finished_run)]) == 0
    text = capsys.readouterr().out
    assert "no class has an anomaly index of 2 or more; the suspect is class 9" in text
    assert "   flagged" not in text


def test_the_progress_reaches_the_bar(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from tradeoff_core.commands import cleanse

    shares: list[float] = []

    @contextmanager
    def bar(_: str) -> Any:
        yield shares.append

    monkeypatch.setattr(cleanse, "share_bar", bar)
    assert main(["cleanse", str(finished_run), *FEW]) == 0
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.4)  # the first of two rounds of rebuilding, which is 80% of the work
    assert shares[-1] <= 1
