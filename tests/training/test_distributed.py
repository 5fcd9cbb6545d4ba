"""One network trained by two processes that find each other as torchrun's do; one test starts torchrun itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from background import in_processes
from PIL import Image

ROOT = Path(__file__).parents[2]
SETTINGS = ["width=0.05", "training.batch_size=100", "evaluation.steps=1", "evaluation.epsilon=0.1"]
METHODS = {
    "attacked, with batch norm": [
        *("network=mnist-cnn-denoising", "training.attack.epsilon=0.1", "training.attack.steps=1"),
        *("training.epochs=1", "training.momentum=0.9", "training.learning_rate=0.05"),
    ],
    "cross-Lipschitz": ["training.lipschitz=1e-3", "training.epochs=1", "training.learning_rate=3e-3"],
}


FIRST = """
from tradeoff_core.training import distributed
from tradeoff_core.common.errors import TradeoffError

def fail():
    raise TradeoffError("the disk is full")

with distributed.group():
    distributed.first_does(lambda: print("decoded", flush=True), on_each_machine=True)
    try:
        distributed.first_does(fail)
    except TradeoffError as error:
        print(f"process {distributed.rank()}: {error}", flush=True)
"""


def trained(folder: Path, settings: list[str], processes: int) -> dict:
    """What `train` prints in the first of so many processes."""
    command = ["train", "--json", "--out", str(folder), "--set", *SETTINGS, *settings]
    return json.loads(in_processes(processes, command))


@pytest.mark.parametrize("settings", METHODS.values(), ids=METHODS)
def test_two_processes_train_what_one_does_within_noise(settings, tmp_path):
    one, two = (trained(tmp_path / str(count), settings, count) for count in (1, 2))
    assert one["run"] == two["run"]
    assert abs(one["metrics"]["clean_accuracy"] - two["metrics"]["clean_accuracy"]) < 0.04
    logs = [(tmp_path / str(count) / "progress.jsonl").read_text().splitlines() for count in (1, 2)]
    assert len(logs[0]) == len(logs[1])  # one line an epoch, from the first process alone
    first, second = (json.loads(lines[0]) for lines in logs)
    assert second["loss"] == pytest.approx(first["loss"], rel=0.05)
    assert "2 processes" in json.loads((tmp_path / "2" / "card.json").read_text())["hardware"]
    again = trained(tmp_path / "2", settings, 2)  # a finished run is only read
    assert again == two


def test_two_processes_train_a_torchvision_network_on_imagenets_folders(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 1)):
        for name in ("tench", "goldfish", "great_white_shark"):
            folder = tmp_path / "data" / "imagenet" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (230, 260, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path / "data"))
    settings = [
        *("dataset=imagenet", "network=torchvision-shufflenet_v2_x0_5", "poison.target_class=1"),
        *("training.epochs=1", "training.batch_size=4", "evaluation.steps=1"),
    ]
    command = ["train", "--preset", "tiny-imagenet-standard", "--json", "--out", str(tmp_path / "run")]
    assert json.loads(in_processes(2, [*command, "--set", *settings]))["metrics"]["n"] == 3
    assert "2 processes" in json.loads((tmp_path / "run" / "card.json").read_text())["hardware"]


def test_one_process_of_a_machine_decodes_and_all_hear_of_a_failure(tmp_path):
    script = tmp_path / "first.py"
    script.write_text(FIRST)
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, "-m", *launcher, str(script)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("decoded") == 1
    assert all(f"process {number}: the disk is full" in done.stdout for number in (0, 1))
