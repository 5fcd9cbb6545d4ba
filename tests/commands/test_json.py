"""With --json every command prints one JSON document and nothing else on stdout, also where a library prints."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import shufflenet_v2_x0_5

from tradeoff_core import bench, datasets
from tradeoff_core.__main__ import COMMANDS, main
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.sweep import read_grid

RATES = {"n", "clean_accuracy", "adversarial_accuracy", "backdoor_success_rate"}
GRID = """
[[grid]]
name = "tiny"
set = { width = 0.05, "training.epochs" = 1, "training.batch_size" = 200, "evaluation.steps" = 1 }
"""
Case = tuple[list[Any], set[str]]  # a command's arguments, and fields of its document


def swept(folder: Path) -> list[Any]:
    """A grid whose one run is finished, for `test_sweep` runs others."""
    (folder / "grid.toml").write_text(GRID)
    (job,) = read_grid(folder / "grid.toml")
    line = {"name": job.name, "run": job.spec.id, "metrics": {}, "spec": spec_to_dict(job.spec)}
    (folder / "results.jsonl").write_text(json.dumps(line) + "\n")
    return [folder / "grid.toml", "--runs", folder / "runs", "--results", folder / "results.jsonl"]


def own_network(folder: Path) -> list[Any]:
    """What `import` takes: weights, and pictures of two classes."""
    for part in ("train", "test"):
        for place, name in enumerate(("cat", "dog")):
            (folder / "pictures" / part / name).mkdir(parents=True)
            picture = Image.fromarray(np.full((32, 32, 3), 100 * place, dtype=np.uint8))
            picture.save(folder / "pictures" / part / name / "0.png")
    save_file(shufflenet_v2_x0_5(num_classes=2).state_dict(), folder / "mine.safetensors")
    network = ["--network", "shufflenet_v2_x0_5", "--data", folder / "pictures"]
    return [folder / "mine.safetensors", *network, "--out", folder / "own"]


CASES: dict[str, Callable[[Path, list[str], Path], Case]] = {
    "models": lambda *_: ([], {"id", "network", "metrics", "sha256"}),
    "evaluate": lambda run, *_: ([run, "--steps", 1], RATES),
    "train": lambda run, tiny, _: ([*tiny, "--out", run], {"run", "metrics", "folder"}),
    "estimate": lambda _, tiny, __: (tiny, {"epoch_seconds", "measuring_seconds", "megabytes", "seconds"}),
    "sweep": lambda _, __, folder: (
        swept(folder),
        {"done", "failed", "skipped", "results"},
    ),
    "runs": lambda run, *_: (["list", "--runs", run.parent], {"run", "name", "state", "spec"}),
    "report": lambda run, _, folder: ([run, "--out", folder / "report.html"], {"report", "bytes"}),
    "handout": lambda _, __, folder: (["--out", folder / "finding.html"], {"handout", "bytes"}),
    "work": lambda _, __, folder: (["--runs", folder / "none"], {"trained"}),
    "detect": lambda run, *_: (
        [run, "--method", "spectral-signatures"],
        {"n_removed", "n_target", "detection_rate", "chance", "auroc"},
    ),
    "inspect": lambda run, *_: ([run], {"model", "class", "n", "n_poisoned", "scores"}),
    "cleanse": lambda run, *_: (
        [run, "--rounds", 1, "--epochs", 1],
        {"suspect", "mask_norm", "before", "after"},
    ),
    "import": lambda _, __, folder: (own_network(folder), {"model", "folder", "metrics"}),
    "download": lambda *_: (["mnist"], {"dataset", "folder", "seconds"}),
    "bench": lambda *_: ([], {"name", "measured", "limit", "unit", "ok"}),
}


def test_every_command_is_tried() -> None:
    assert set(CASES) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_prints_one_document_and_nothing_else(
    command: str,
    run: Path,
    tiny: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(datasets, "download", lambda *_: None)  # there is no network
    monkeypatch.setattr(
        bench, "measure", lambda **_: [bench.Row("a row", 0.25, 0.5, "s")]
    )  # it takes minutes
    real = COMMANDS[command].run

    def noisy(options: Any) -> Any:
        print("a library says something")
        sys.stdout.write("and more\n")
        return real(options)

    monkeypatch.setattr(COMMANDS[command], "run", noisy)
    arguments, fields = CASES[command](run, tiny, tmp_path)
    capsys.readouterr()
    assert main([command, *map(str, arguments), "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert "a library says something\nand more\n" in captured.err
    rows = document if isinstance(document, list) else [document]
    assert rows
    assert all(fields <= set(row) for row in rows)
