"""What is measured is kept by the checksum of the weights: once, beside others' lines, and not beyond its weights."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.defenses.neural_cleanse import Reversal, Unlearning
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.poisoning.poison import Poison, PoisonLabels
from tradeoff_core.tools.measure import __main__ as tool
from tradeoff_core.tools.measure import cleansing, detection, lines, networks

NAME = "detection-mnist-5k.jsonl"
DEFENSES = ("detection", "neural-cleanse", "game")
DIRTY = "mnist-5k-dirty-label-standard"


@pytest.fixture
def assets(tmp_path, monkeypatch):
    """An empty folder of results for what is read and written, and one of runs."""
    for module in (results, lines):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path / "runs"))
    return tmp_path / "results"


@pytest.fixture
def brief(monkeypatch):
    """Neural Cleanse in two rounds."""
    cleanse = cleansing.cleanse
    reversal, unlearning = Reversal(rounds=2), Unlearning(epochs=1)
    monkeypatch.setattr(
        cleansing,
        "cleanse",
        lambda network, spec: cleanse(network, spec, reversal=reversal, unlearning=unlearning),
    )


def with_other_weights(folder, target):
    """A copy of a run whose last weight is another, as its card says."""
    copied = shutil.copytree(folder, target)
    card = json.loads((copied / "card.json").read_text())
    weights = (copied / "model.safetensors").read_bytes()
    changed = weights[:-2] + bytes([weights[-2] ^ 1, weights[-1]])
    card["sha256"] = hashlib.sha256(changed).hexdigest()
    (copied / "model.safetensors").write_bytes(changed)
    (copied / "card.json").write_text(json.dumps(card))
    return copied, card["sha256"]


def said(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_of_the_digits_of_the_zoo_nothing_is_missing_and_no_line_is_of_weights_that_are_gone(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path))
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path))
    before = {path: path.read_bytes() for path in RESULTS.glob("*.jsonl")}
    assert tool.main(["--dry-run", "--retrain", str(tmp_path), "--threads", "1"]) == 0
    assert said(capsys) == []
    assert {path: path.read_bytes() for path in RESULTS.glob("*.jsonl")} == before


def test_a_dry_run_tells_what_is_missing_and_what_would_go(assets, capsys):
    own = [model for name in zoo.model_ids() if networks.in_the_zoo(model := zoo.find_model(name))]
    digits = [model for model in own if networks.is_digits(model)]
    assets.mkdir()
    first, second = digits[:2]
    kept = [
        {"model": first.id, "sha256": first.sha256},
        {"model": second.id, "sha256": "of earlier weights"},
        {"model": "a model of before", "sha256": "x"},
    ]
    (assets / "measurements.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
    (assets / "cause-mnist-5k.jsonl").write_text(json.dumps(kept[0]) + "\n")
    assert tool.main(["accuracy", "--dry-run"]) == 0
    found = said(capsys)
    assert [line["network"] for line in found if "gone from" in line] == [second.id, "a model of before"]
    missing = {line["network"] for line in found if "gone from" not in line}
    assert first.id not in missing
    assert {model.id for model in digits[1:]} <= missing
    assert len((assets / "measurements.jsonl").read_text().splitlines()) == 3
    lines.without_gone("measurements*.jsonl", drop=True)
    assert results.lines_of("measurements.jsonl") == kept[:1]


@pytest.mark.usefixtures("assets")
def test_the_defenses_find_again_what_the_committed_lines_say(monkeypatch):
    assert tool.main(["detection", "game", DIRTY, "mnist-5k-clean-label-pgd-0.3", "--threads", "1"]) == 0
    made = results.lines_of(NAME)
    level = results.lines_of("game-mnist-5k.jsonl")
    monkeypatch.setattr(results, "RESULTS", RESULTS)
    model = zoo.find_model(DIRTY)
    committed = [line for line in results.lines_of(NAME) if lines.holds(line, model)]
    again = [line for line in made if line["run"] == model.spec.id]
    assert [line["method"] for line in again][:2] == ["spectral-signatures", "random"]
    assert len(again) == len(committed) == 6
    for new, old in zip(again, committed, strict=True):
        assert new.pop("sha256") == model.sha256
        assert new.pop("after") is None
        old.pop("after")
        # certified accuracy came onto the card later
        assert old.pop("before").items() <= new.pop("before").items()
        numbers = {name: value for name, value in new.items() if isinstance(value, float)}
        assert numbers == pytest.approx({name: old[name] for name in numbers}, abs=1e-3)
        assert {name: new[name] for name in new.keys() - numbers} == {
            name: old[name] for name in new.keys() - numbers
        }
    (new,), old = level, results.lines_of("game-mnist-5k.jsonl")[0]
    assert new.pop("sha256") == zoo.find_model("mnist-5k-clean-label-pgd-0.3").sha256
    assert old.pop("metrics").items() <= new.pop("metrics").items()
    before, after = (np.array([*line["later"].values()]) for line in (old, new))
    assert [*new.pop("later")] == [*old.pop("later")] == ["spectre", "strip", "scale-up", "asset"]
    assert (before == after).mean(axis=1).min() > 0.95  # ASSET trains: another machine rounds otherwise
    assert new == old


@pytest.mark.usefixtures("brief")
def test_a_finished_runs_defenses_are_measured_and_nothing_but_lines_is_stored(finished_run, assets, capsys):
    model = zoo.find_model(str(finished_run))
    assert tool.main([*DEFENSES, str(finished_run)]) == 0
    assert [line["what"] for line in said(capsys)] == ["detection", "neural-cleanse"]
    made = results.lines_of(NAME)
    assert [(line["method"], line["rule"], line["centred"]) for line in made[:2]] == [
        ("spectral-signatures", None, True),
        ("random", None, True),
    ]
    for line in made:
        assert (line["run"], line["sha256"]) == (model.spec.id, model.sha256)
        assert (line["n_target"], line["n_poisoned"]) == (360, 180)
        assert line["before"]["clean_accuracy"] == model.clean_accuracy.value
    assert len(results.lines_of("neural-cleanse-mnist-5k.jsonl")) == 1
    assert sorted(file.name for file in assets.rglob("*")) == [NAME, "neural-cleanse-mnist-5k.jsonl"]
    before = (assets / NAME).read_bytes()
    assert tool.main([*DEFENSES, str(finished_run)]) == 0
    assert said(capsys) == []
    assert (assets / NAME).read_bytes() == before


@pytest.mark.usefixtures("assets")
def test_lines_of_other_runs_stay_and_those_of_earlier_weights_go(finished_run, tiny_spec, tmp_path):
    spec = replace(tiny_spec, poison=Poison(PoisonLabels.DIRTY, 0.05))
    run_experiment(spec, tmp_path / "dirty")
    assert tool.main(["detection", str(finished_run), str(tmp_path / "dirty")]) == 0
    runs = [line["run"] for line in results.lines_of(NAME)]
    assert set(runs) == {tiny_spec.id, spec.id}
    again, sha256 = with_other_weights(finished_run, tmp_path / "again")
    assert tool.main(["detection", str(again)]) == 0
    made = results.lines_of(NAME)
    assert [line["run"] for line in made] == runs  # in their places
    assert {line["sha256"] for line in made if line["run"] == tiny_spec.id} == {sha256}


def test_a_line_without_a_checksum_holds_for_the_rates_that_it_repeats(finished_run):
    model = zoo.find_model(str(finished_run))
    line = {"run": model.spec.id, "before": {**model.card.metrics, "target_recall": 0.5}}
    assert lines.holds(line, model)
    assert not lines.holds(line | {"before": line["before"] | {"clean_accuracy": 0.123}}, model)
    assert not lines.holds(line | {"run": "another"}, model)
    assert not lines.holds(line | {"sha256": "another"}, model)


@pytest.mark.usefixtures("assets")
def test_retraining_fills_in_what_it_gives_once(finished_run, tmp_path, monkeypatch, capsys):
    runs = tmp_path / "again"
    assert tool.main(["detection", str(finished_run), "--retrain", str(runs)]) == 0
    made = results.lines_of(NAME)
    after = {(line["method"], line["rule"], line["centred"]): line["after"] for line in made}
    assert after.pop(("spectral-signatures", None, False)) is None  # the paper centres
    removed = {line["n_removed"] for line in made if line["after"]}
    filled = [name for name, rates in after.items() if rates]
    assert ("random", None, True) in filled
    assert len(removed) > 1
    for line in made:
        assert (line["after"] is None) == (line["n_removed"] == 0 or line["centred"] is False)
    trained = sorted(run.name for run in runs.iterdir())
    assert len(trained) == len(filled)
    assert all("-without-" in name for name in trained)
    (one,) = (line for line in made if line["method"] == "random")
    cards = [zoo.find_model(str(runs / name)).card.metrics for name in trained]
    assert one["after"]["target_n"] == 100
    assert any(card.items() <= one["after"].items() for card in cards)
    capsys.readouterr()
    monkeypatch.setattr(detection, "run_experiment", None)  # would be called
    assert tool.main(["detection", str(finished_run), "--retrain", str(runs)]) == 0
    assert said(capsys) == []


def test_what_is_neither_a_thing_nor_a_model_is_refused(assets, capsys):
    assert tool.main(["game", "no-such-model"]) == 1
    assert "unknown model 'no-such-model'" in said(capsys)[0]["error"]
    assert not assets.exists()
