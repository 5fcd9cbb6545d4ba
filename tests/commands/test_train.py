import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tradeoff_core.__main__ import main
from tradeoff_core.experiments import run
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.training.loop import Progress


def test_train_answers_with_what_it_stored(run: Path, tiny: list[str], answer: Callable[..., Any]) -> None:
    """The run is finished, so this tells it again without training."""
    document = answer("train", *tiny, "--out", run)
    stored = json.loads((run / "result.json").read_text())
    assert document == stored | {"folder": str(run)}
    assert set(document) == {"run", "metrics", "seconds", "catastrophic_overfitting_epochs", "folder"}


def test_train_finds_a_folder_of_its_own(
    tiny: list[str], tmp_path: Path, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document = answer("train", *tiny)
    assert Path(document["folder"]) == Path("runs", document["run"])
    assert (tmp_path / document["folder"] / "model.safetensors").is_file()


def test_train_and_evaluate_take_a_users_folder(
    tiny: list[str],
    tmp_path: Path,
    answer: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path / "home"))
    for part, count in (("train", 6), ("test", 2)):
        for digit in range(10):
            (tmp_path / "shades" / part / str(digit)).mkdir(parents=True)
            for number in range(count):
                picture = Image.new("L", (28, 28), 25 * digit)
                picture.save(tmp_path / "shades" / part / str(digit) / f"{number}.png")
    (tmp_path / "shades" / "train" / "3" / "scan.tif").touch()
    assert main(["train", "--json", *tiny, "dataset=shades", "--out", "run"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert "1 of 61 files in 'shades/train' are left out: 1 that end in .tif ('3/scan.tif')" in said.err
    assert document["run"].startswith("shades-clean-label-standard-")
    assert document["metrics"]["n"] == 20
    measured = answer("evaluate", "run")
    assert (measured["n"], measured["clean_accuracy"]) == (20, document["metrics"]["clean_accuracy"])
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    # 60 pictures, of which 6 would be a tenth, and one of every class is held out: 5 a class are left
    assert card["poison_rate_dataset"] == round(0.5 * 5) / 50


def spec_of(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> ExperimentSpec:
    """The spec that `train` would run."""
    specs: list[ExperimentSpec] = []

    def note(spec: ExperimentSpec, *_: object) -> dict[str, Any]:
        specs.append(spec)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_experiment", note)
    assert main(["train", *arguments]) == 130
    return specs[0]


def test_spec_is_preset_then_file_then_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = PRESETS["fast"]
    assert spec_of("--preset", "fast", monkeypatch=monkeypatch) == fast
    assert spec_of(monkeypatch=monkeypatch) == PRESETS["standard"]
    file = tmp_path / "spec.toml"
    file.write_text('seed = 1\n[training]\nepochs = 7\n[poison.trigger]\nkind = "watermark"\n')
    changed = spec_of(
        str(file),
        "--preset",
        "fast",
        "--set",
        "seed=2",
        "training.attack.epsilon=8/255",
        monkeypatch=monkeypatch,
    )
    assert (changed.seed, changed.training.epochs) == (2, 7)
    assert fast.training.attack is not None
    assert changed.training.attack == replace(fast.training.attack, epsilon=8 / 255)
    assert type(changed.trigger).__name__ == "Watermark"
    plain = spec_of(
        "--preset", "fast", "--set", "training.attack=none", "--set", "poison=none", monkeypatch=monkeypatch
    )
    assert plain.poison is None
    assert plain.training == replace(fast.training, attack=None)


def test_interrupt_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_of(monkeypatch=monkeypatch)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == "interrupted: the same command goes on where it stopped"


def test_train_shows_epochs_and_warns_of_catastrophic_overfitting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {"n": 10, "backdoor_n": 9, "clean_accuracy": 0.5, "adversarial_accuracy": 0.1}

    def pretend(spec: ExperimentSpec, _: Path, progress: Callable[[Progress], None]) -> dict[str, Any]:
        print("a library's chatter")
        for epoch in (3, 4):  # as a run that goes on from its second epoch
            progress(Progress(epoch, 4, 0.25, 0.9, 0.8, 0.7, 0.0, 1.0))
        return {
            "run": spec.id,
            "metrics": rates | {"backdoor_success_rate": 0.0},
            "seconds": 1.0,
            "catastrophic_overfitting_epochs": [3, 4],
        }

    monkeypatch.setattr(run, "run_experiment", pretend)
    assert main(["train", "--set", "training.epochs=4", "--out", str(tmp_path / "new"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["catastrophic_overfitting_epochs"] == [3, 4]
    assert "a library's chatter" in captured.err
    assert "4/4" in captured.err
    assert "loss 0.250, accuracy 90.0%, validation 80.0%, under PGD-10 0.0%" in captured.err
    assert captured.err.splitlines()[-1].startswith("warning: catastrophic overfitting in epochs 3, 4")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bad.toml", "epochs = = 3\n[", "bad.toml is not a valid spec"),
        ("bad.json", '{"seed": }', "bad.json is not a valid spec"),
        ("list.json", "[1, 2]", "must be a table of fields"),
        ("field.toml", "[poison]\ncolour = 1\n", "unknown field 'poison.colour'"),
        ("field.toml", "dataset = 'svhn'\n", "unknown dataset 'svhn'"),
    ],
)
def test_bad_specs(name: str, content: str, says: str, tmp_path: Path, complaint: Callable[..., str]) -> None:
    (tmp_path / name).write_text(content)
    assert says in complaint("train", tmp_path / name)


def test_train_refuses_a_folder_that_is_taken(
    run: Path, tiny: list[str], tmp_path: Path, complaint: Callable[..., str]
) -> None:
    assert "holds another run" in complaint("train", *tiny, "seed=1", "--out", run)
    (tmp_path / "file").touch()
    assert "is a file" in complaint("train", *tiny, "--out", tmp_path / "file")


def test_disk_trouble_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "spec.json")

    monkeypatch.setattr(run, "run_experiment", full)
    assert main(["train", "--out", "unused"]) == 1
    assert (
        capsys.readouterr().err.splitlines()[-1] == "error: [Errno 28] No space left on device: 'spec.json'"
    )


def test_estimate_tells_what_a_training_would_cost_and_trains_nothing(
    tiny: list[str], tmp_path: Path, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = answer("estimate", *tiny)
    assert 0 < found["epoch_seconds"] < 60
    assert found["seconds"] == pytest.approx(
        found["epochs"] * found["epoch_seconds"] + found["measuring_seconds"]
    )
    assert 100 < found["megabytes"] < 20_000
    assert list(tmp_path.iterdir()) == []
