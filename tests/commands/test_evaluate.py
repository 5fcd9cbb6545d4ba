import io
import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tradeoff_core.__main__ import main
from tradeoff_core.datasets import Split, load_dataset


def test_evaluate_reproduces_the_card(run: Path, answer: Callable[..., Any]) -> None:
    card = json.loads((run / "card.json").read_text())
    document = answer("evaluate", run)
    assert {key: document[key] for key in card["metrics"]} == card["metrics"]
    extras = {key: document[key] for key in ("model", "epsilon", "steps", "restarts", "targeted", "seed")}
    assert extras == {
        "model": "tiny",
        "epsilon": 26 / 255,
        "steps": 2,
        "restarts": 1,
        "targeted": False,
        "seed": 0,
    }
    assert document["sample"] == "the 1,000 test examples of mnist-5k"
    assert document["seconds"] > 0


def test_evaluate_takes_every_part_of_the_attack(run: Path, answer: Callable[..., Any]) -> None:
    flags = "--norm l2 --epsilon 51/255 --steps 4 --restarts 2 --targeted --limit 30 --seed 5"
    document = answer("evaluate", run, *flags.split())
    expected = {
        "norm": "l2",
        "epsilon": 0.2,
        "steps": 4,
        "step_size": 2.5 * 0.2 / 4,
        "restarts": 2,
        "targeted": True,
        "seed": 5,
        "n": 30,
        "sample": "30, evenly spaced, of the 1,000 test examples of mnist-5k",
    }
    assert {key: document[key] for key in expected} == pytest.approx(expected)


def test_evaluate_at_epsilon_zero_is_clean_accuracy(run: Path, answer: Callable[..., Any]) -> None:
    for flags in ([], ["--targeted"]):
        document = answer("evaluate", run, "--epsilon", 0, "--limit", 100, *flags)
        assert document["adversarial_accuracy"] == document["clean_accuracy"]


def test_evaluate_keeps_a_step_size_that_the_spec_fixes(run: Path, tmp_path: Path, answer: Any) -> None:
    folder = copytree(run, tmp_path / "fixed")
    card = json.loads((folder / "card.json").read_text())
    card["spec"]["evaluation"]["step_size"] = 0.05
    (folder / "card.json").write_text(json.dumps(card))
    assert answer("evaluate", folder, "--steps", 7, "--limit", 1)["step_size"] == 0.05


def archive(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_evaluate_on_images(run: Path, tmp_path: Path, answer: Callable[..., Any]) -> None:
    some = load_dataset("mnist-5k", Split.TEST).spread(40)
    stored = archive(tmp_path / "mine.npz", images=some.images[..., 0], labels=some.labels)
    mine, first = answer("evaluate", run, "--images", stored), answer("evaluate", run, "--limit", 40)
    assert mine["sample"] == f"the 40 examples in {stored}"
    for key in ("n", "clean_accuracy", "adversarial_accuracy", "backdoor_success_rate", "backdoor_n"):
        assert mine[key] == first[key]
    limited = answer("evaluate", run, "--images", stored, "--limit", 7)
    assert (limited["n"], limited["sample"]) == (7, f"7, evenly spaced, of the 40 examples in {stored}")


def test_a_rate_of_nothing_is_null(
    run: Path, tmp_path: Path, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A network whose bias decides: it calls everything a 7, so no example is left for the backdoor."""
    folder = always_the_target(run, tmp_path)
    document = answer("evaluate", folder, "--limit", 5)
    assert (document["backdoor_n"], document["backdoor_success_rate"]) == (0, None)
    assert main(["evaluate", str(folder), "--limit", "5"]) == 0
    assert "n/a" in capsys.readouterr().out


def always_the_target(run: Path, tmp_path: Path) -> Path:

    folder = copytree(run, tmp_path / "constant")
    weights = load_file(folder / "model.safetensors")
    weights["head.bias"][7] = 10_000
    save_file(weights, folder / "model.safetensors")
    card = json.loads((folder / "card.json").read_text())
    card["sha256"] = sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_evaluate_text_has_n_and_intervals(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--limit", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rates = [line for line in lines if "95% interval" in line]
    assert len(rates) == 4  # the certified accuracy is the last
    assert len({line.index("n =") for line in rates}) == 1  # aligned
    assert rates[1].endswith("under PGD-2, l∞ 0.101961")


def test_base_rate_without_poison(clean_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "-no-poison-standard-" in json.loads((clean_run / "result.json").read_text())["run"]
    assert main(["evaluate", str(clean_run), "--limit", "50"]) == 0
    assert "base rate" in capsys.readouterr().out


LABELS = np.zeros(2, dtype=np.int64)


DIGITS = np.zeros((2, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"images": np.zeros((2, 32, 32), np.uint8), "labels": LABELS}, "takes images of 28 x 28"),
        ({"images": np.zeros((2, 28, 28, 3), np.uint8), "labels": LABELS}, "takes images of 28 x 28"),
        ({"images": np.zeros(5, np.uint8), "labels": LABELS}, "must be uint8 of shape (N, H, W, C)"),
        ({"images": DIGITS.astype(np.float32), "labels": LABELS}, "must be uint8"),
        ({"images": DIGITS * np.nan, "labels": LABELS}, "NaN"),
        ({"images": DIGITS, "labels": LABELS + 10}, "labels run from 10 to 10"),
        ({"images": DIGITS, "labels": LABELS - 1}, "labels run from -1 to -1"),
        ({"images": DIGITS, "labels": LABELS[:1]}, "labels must be whole numbers of shape (2,)"),
        ({"images": DIGITS, "labels": LABELS / 2}, "labels must be whole numbers"),
        ({"images": DIGITS[:0], "labels": LABELS[:0]}, "there is no image in it"),
        ({"images": DIGITS}, "must hold the arrays 'images' and 'labels'"),
        ({"images": DIGITS, "labels": np.array([{}, {}])}, "not a readable .npz"),
    ],
)
def test_bad_arrays(
    arrays: dict[str, Any], says: str, run: Path, tmp_path: Path, complaint: Callable[..., str]
) -> None:
    assert says in complaint("evaluate", run, "--images", archive(tmp_path / "bad.npz", **arrays))


def test_bad_image_files(run: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    inside = io.BytesIO()
    np.save(inside, DIGITS)
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as cut:
        cut.writestr("images.npy", inside.getvalue()[:200])
        cut.writestr("labels.npy", b"")
    (tmp_path / "text.npz").write_text("no zip at all")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("cut", "text", "empty"):
        assert "not a readable .npz" in complaint("evaluate", run, "--images", tmp_path / f"{name}.npz")
    (tmp_path / "folder" / "cats").mkdir(parents=True)
    assert "'cats' is not one" in complaint("evaluate", run, "--images", tmp_path / "folder")


def test_damaged_runs(run: Path, tmp_path: Path, complaint: Callable[..., str]) -> None:
    folder = copytree(run, tmp_path / "damaged")
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert "do not match the checksum" in complaint("evaluate", folder)
    (folder / "model.safetensors").unlink()
    assert "are missing" in complaint("evaluate", folder)
    (folder / "card.json").write_text("{}")
    assert "is damaged" in complaint("evaluate", folder)
