"""What of a user's network survives the import: its values in float16 or not at all, and the order of its outputs."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from tradeoff_core.__main__ import main
from tradeoff_core.common.half import in_half
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.models.imported import Order, import_model, in_order
from tradeoff_core.models.zoo import load_network

NAME, SIDE = "resnet18", 32
FOLDERS = tuple(str(number) for number in range(12))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve classes of noise, in folders 0 to 11."""
    root = tmp_path_factory.mktemp("home") / "numbers"
    random = np.random.default_rng(0)
    for part, count in (("train", 2), ("test", 1)):
        for name in FOLDERS:
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def decoded(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path_factory.getbasetemp() / "decoded"))


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    """With the batch norms' statistics of some noise, which its head tells apart."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = normalised(torch.rand(40, 3, SIDE, SIDE))
        network = models.get_model(NAME, weights=None, num_classes=len(FOLDERS))
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 1.0
        with torch.no_grad():
            network.train()(images)
            nn.init.normal_(network.fc.weight)
            network.fc.bias -= network.eval()(images).mean(0)
    return network


def normalised(images: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, -2.0, 3e-9], torch.float16),  # what vanishes is nothing beside the others
        ([0.0, 0.0], torch.float16),
        ([2e-8, -3e-8, 1e-8], torch.float32),  # half the least number, one and a half of it
        ([1e-30, 2e-30], torch.float32),
        ([1.0, 7e4], torch.float32),
        ([3e-6, 4e-6], torch.float32),  # held to a hundredth only
        ([], torch.float16),
    ],
)
def test_float16_is_kept_only_where_values_survive(values, kind):
    stored = in_half(torch.tensor(values))
    assert stored.dtype == kind
    assert torch.allclose(stored.float(), torch.tensor(values), rtol=1e-3, atol=5e-9)


@pytest.mark.parametrize(
    ("filters", "share"),
    [(slice(None), 1.0), (slice(1), 0.3)],  # a single one changes no prediction, but each of the logits
    ids=["all", "one"],
)
def test_weights_too_small_for_float16_keep_what_the_network_says(filters, share, theirs, home, tmp_path):
    tensors = {name: value.clone() for name, value in theirs.state_dict().items()}
    images = load_dataset(str(home), Split.TEST).tensors()[0]
    with torch.no_grad():
        first = nn.functional.conv2d(normalised(images), tensors["conv1.weight"], stride=2, padding=3)
    tensors["conv1.weight"][filters] *= 1e-6
    tensors["bn1.running_mean"][filters] = 1e-6 * first.mean((0, 2, 3))[filters]
    tensors["bn1.running_var"][filters] = 0  # beside it is only what batch norm adds, 1e-5
    tensors["bn1.weight"][filters] *= share * 1e6 * 1e-5**0.5
    save_file(tensors, tmp_path / "w.safetensors")
    small = copy.deepcopy(theirs)
    small.load_state_dict(tensors)
    with torch.no_grad():
        expected = small(normalised(images))
    assert expected.argmax(1).unique().numel() > 1
    model = import_model(tmp_path / "w.safetensors", NAME, str(home), tmp_path / "out")
    found = load_network(model)(images)
    assert torch.equal(found.argmax(1), expected.argmax(1))
    assert (found - expected).norm() < 0.01 * expected.norm()
    stored = load_file(model.folder / "model.safetensors")
    assert {value.dtype for value in stored.values() if value.is_floating_point()} >= {torch.float32}


def test_outputs_are_counted_by_name_or_by_number(theirs, home, tmp_path, capsys):
    assert in_order(tuple(sorted(FOLDERS)), Order.NUMBERS) == FOLDERS
    assert in_order(("a10", "a2", "b"), Order.NUMBERS) == ("a2", "a10", "b")
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    images = load_dataset(str(home), Split.TEST).tensors()[0]
    with torch.no_grad():
        said = theirs(normalised(images)).argmax(1)
    wanted = {
        Order.NAMES: [sorted(FOLDERS)[at] for at in said],
        Order.NUMBERS: [FOLDERS[at] for at in said],
    }
    assert wanted[Order.NAMES] != wanted[Order.NUMBERS]
    ids = set()
    for order, names in wanted.items():
        command = (
            f"import {tmp_path / 'w.safetensors'} --network {NAME} --data {home} --out {tmp_path / 'out'}"
        )
        assert main([*command.split(), "--order", order.value]) == 0
        shown = capsys.readouterr().out
        first = "0, 1, 10, 11, 2, 3" if order is Order.NAMES else "0, 1, 2, 3, 4, 5"
        assert f"the class folders in the order of their {order.value} ({first}" in shown
        model = import_model(tmp_path / "w.safetensors", NAME, str(home), tmp_path / "out", order=order)
        read = load_network(model)(images).argmax(1)
        assert [model.classes[at] for at in read] == names
        assert any(
            f"in the order of their {order.value} ({first}" in limit for limit in model.card.known_limits
        )
        ids.add(model.id)
    assert len(ids) == 2
