"""Checkpoints of the paper's authors as models: TensorFlow's own logits, and every way to be refused.

What TensorFlow computes is kept in tests/fixtures/authors-logits.json (tests/authors_graphs.py writes it); where TensorFlow
is installed, it computes it again and saves the checkpoints that are read.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import authors_graphs
import numpy as np
import pytest
import torch
from PIL import Image

from tradeoff_core.__main__ import main
from tradeoff_core.commands.import_model import OF_THE_AUTHORS
from tradeoff_core.datasets import load_dataset
from tradeoff_core.models import checkpoints, imported
from tradeoff_core.models.checkpoints import LAYOUTS, import_checkpoint
from tradeoff_core.models.zoo import load_network
from tradeoff_core.networks import build, fold, freeze

RECORDED = json.loads(authors_graphs.LOGITS.read_text())
CLASSES = {"mnist-cnn": 10, "cifar-resnet": 10, "resnet-18": 3, "resnet-50": 3}
Change = Callable[[dict[str, np.ndarray]], object]


class Reader:
    """What TensorFlow's reader says of a checkpoint."""

    def __init__(self, network: str, change: Change = lambda _: None) -> None:
        drawn = authors_graphs.drawn(RECORDED[network]["variables"])
        scope = authors_graphs.SCOPES[network]
        self.values = {scope + name: value for name, value in drawn.items()}
        self.values[f"{scope}global_step"] = np.array(7)
        self.values[f"{scope}{scope}conv1/kernel/Adam_1"] = np.zeros(2)
        change(self.values)

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(value.shape) for name, value in self.values.items()}

    def get_tensor(self, name: str) -> np.ndarray:
        return self.values[name]


def differences(network: str, logits: Callable[[torch.Tensor], torch.Tensor]) -> list[float]:
    """The largest difference between our logits and TensorFlow's, for images of every size."""
    found = []
    for side, theirs in RECORDED[network]["logits"].items():
        images = torch.from_numpy(authors_graphs.images(network, int(side))).permute(0, 3, 1, 2)
        exact = torch.tensor(theirs)[:, authors_graphs.OUTPUTS[network] - CLASSES[network] :]
        assert exact.std(0).min() > 0.01 * exact.abs().max()  # it looks at the images
        found.append((logits(images) - exact).abs().max().item())
    return found


@pytest.mark.parametrize("network", LAYOUTS)
def test_our_logits_are_tensorflows(network):
    tensors = checkpoints._tensors(Reader(network), "x", network, "pets", CLASSES[network])
    ours = build(LAYOUTS[network].network, 1.0, seed=1, classes=CLASSES[network])
    ours.load_state_dict(tensors)
    for way in (freeze(ours), fold(freeze(ours))):
        assert max(differences(network, way)) < 1e-4


def test_padding_on_both_sides_gives_other_logits():
    for network, plain in (("cifar-resnet", "cifar-resnet"), ("resnet-50", "torchvision-resnet50")):
        tensors = checkpoints._tensors(Reader(network), "x", network, "pets", CLASSES[network])
        ours = build(plain, 1.0, seed=0, classes=CLASSES[network])
        ours.load_state_dict(tensors)
        assert max(differences(network, freeze(ours))) > 0.01


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A test picture of 32 x 32 for each of three classes."""
    root = tmp_path_factory.mktemp("pets")
    for number, name in enumerate(("ant", "bee", "cat")):
        for part in ("train", "test"):
            (root / part / name).mkdir(parents=True)
            Image.fromarray(np.full((32, 32, 3), 80 * number, np.uint8)).save(root / part / name / "0.png")
    return root


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten images are measured, and what was loaded is forgotten."""
    monkeypatch.setattr(imported, "TEST_IMAGES", 10)
    load_dataset.cache_clear()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of a checkpoint that nothing reads."""
    for ending in checkpoints.FILES:
        (tmp_path / f"model.ckpt-7{ending}").write_bytes(b"")
    return tmp_path / "model.ckpt-7"


def read_as(monkeypatch: pytest.MonkeyPatch, network: str, change: Change = lambda _: None) -> None:
    monkeypatch.setattr(checkpoints, "_reader", lambda _: Reader(network, change))


@pytest.mark.usefixtures("quick")
def test_the_command_makes_a_model_with_a_card(files, tmp_path, monkeypatch, capsys):
    read_as(monkeypatch, "mnist-cnn")
    for given in (files, f"{files}.index", f"{files}.data-00000-of-00001"):
        arguments = ["import", str(given), "--network", "mnist-cnn", "--out", str(tmp_path / "out"), "--json"]
        assert main(arguments) == 0
        document = json.loads(capsys.readouterr().out)
    assert len(list((tmp_path / "out").iterdir())) == 1
    model = imported.find_model(document["folder"])
    assert (model.spec.dataset, model.spec.network, model.spec.poison) == ("mnist-5k", "mnist-cnn", None)
    assert model.card.trained_by == "the authors' code: model.ckpt-7"
    assert any("--data mnist has others" in limit for limit in model.card.known_limits)
    assert document["metrics"]["n"] == 10
    assert max(differences("mnist-cnn", load_network(model))) < 1e-4


@pytest.mark.usefixtures("quick")
def test_a_background_class_is_left_out(files, pictures, tmp_path, monkeypatch):
    read_as(monkeypatch, "resnet-18")
    model = import_checkpoint(files, "resnet-18", str(pictures), tmp_path / "out")
    assert model.classes == ("ant", "bee", "cat")
    assert max(differences("resnet-18", load_network(model))) < 1e-4


def at(name: str, value: np.ndarray) -> Change:
    return lambda values: values.update({authors_graphs.SCOPES["mnist-cnn"] + name: value})


def another_scope(values: dict[str, np.ndarray]) -> None:
    values["b/logit/bias"] = np.zeros(10)


MISFITS: dict[str, tuple[Change, str]] = {
    "a wrong shape": (
        at("conv2/kernel", np.zeros((3, 3, 32, 64))),
        r"the tensor 'conv2/kernel' in 'model.ckpt-7' has the shape \(3, 3, 32, 64\), but the authors' mnist-cnn "
        r"wants \(5, 5, 32, 64\)$",
    ),
    "another width": (at("dense1/bias", np.zeros(512)), r"'dense1/bias' .* \(512,\), .* wants \(1024,\)$"),
    "one missing": (
        lambda values: values.pop("mnist_exp_adversarial/conv1/bias"),
        "'model.ckpt-7' is no checkpoint of the authors' mnist-cnn: it lacks 1 of its tensors, 'conv1/bias' first$",
    ),
    "with denoising": (
        at("denoise1/conv2d/kernel", np.zeros(1)),
        "is no checkpoint of the authors' mnist-cnn: it holds 1 that it does not have, 'denoise1/conv2d/kernel' first$",
    ),
    "nothing": (lambda values: values.clear(), "mnist-cnn: it has no variable 'logit/bias'$"),
    "two networks": (another_scope, "'model.ckpt-7' holds 2 networks, 'b/' first: save one alone$"),
    "more classes": (
        at("logit/bias", np.zeros(100)),
        "'model.ckpt-7' tells 100 classes apart, but 'mnist-5k' has 10$",
    ),
    "another head": (at("logit/kernel", np.zeros((1024, 9))), r"'logit/kernel' .* \(1024, 9\)"),
    "NaN": (at("conv1/bias", np.full(32, np.nan)), "'mnist_exp_adversarial/conv1/bias' .*holds NaN"),
    "whole numbers": (at("conv1/bias", np.zeros(32, int)), "holds int64: save it as float32$"),
    "texts": (at("conv1/bias", np.full(32, b"x", object)), "holds object: save it as float32$"),
}


@pytest.mark.parametrize(("change", "named"), MISFITS.values(), ids=MISFITS)
def test_a_checkpoint_that_does_not_fit_gets_one_sentence(
    change, named, files, tmp_path, monkeypatch, refused
):
    read_as(monkeypatch, "mnist-cnn", change)
    with refused(named):
        import_checkpoint(files, "mnist-cnn", None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("saved", "asked", "named"),
    [
        ("cifar-resnet", "mnist-cnn", "it has no variable 'logit/bias'$"),
        ("mnist-cnn", "resnet-18", "it has no variable 'dense/bias'$"),
        (
            "resnet-50",
            "resnet-18",
            r"is no checkpoint of the authors' resnet-18: it holds \d+ that it does not",
        ),
        (
            "resnet-18",
            "resnet-50",
            r"is no checkpoint of the authors' resnet-50: it lacks \d+ of its tensors",
        ),
    ],
)
def test_another_architecture_gets_one_sentence(
    saved, asked, named, files, pictures, tmp_path, monkeypatch, refused
):
    read_as(monkeypatch, saved)
    with refused(named):
        import_checkpoint(
            files, asked, "mnist-5k" if asked == "mnist-cnn" else str(pictures), tmp_path / "out"
        )


def test_images_that_do_not_fit_get_one_sentence(files, pictures, tmp_path, monkeypatch, refused):
    read_as(monkeypatch, "cifar-resnet")
    with refused("tells 10 classes apart, but .* has 3$"):
        import_checkpoint(files, "cifar-resnet", str(pictures), tmp_path)
    with refused("made for images of 3 x 32 x 32 .* 1 x 28 x 28$"):
        import_checkpoint(files, "cifar-resnet", "mnist-5k", tmp_path)


def test_what_is_missing_is_said(files, tmp_path, monkeypatch, refused):
    with refused(r"there is no checkpoint '.*/none': it lacks its file 'none.index'$"):
        import_checkpoint(tmp_path / "none", "mnist-cnn", None, tmp_path)
    with refused(r"\.index' and give the checkpoint in it, as FOLDER/model.ckpt-1000$"):
        import_checkpoint(tmp_path, "mnist-cnn", None, tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with refused(r'a checkpoint is read with TensorFlow: pip install "\.\[tensorflow\]"$'):
        import_checkpoint(files, "mnist-cnn", None, tmp_path)
    Path(f"{files}.data-00000-of-00001").unlink()
    with refused(r"it lacks its file 'model.ckpt-7.data-00000-of-00001'$"):
        import_checkpoint(files, "mnist-cnn", None, tmp_path)
    monkeypatch.setattr(checkpoints, "MAX_BYTES", -1)
    with refused("has 0 bytes: choose at most"):
        import_checkpoint(files, "mnist-cnn", None, tmp_path)


def test_torchvisions_networks_need_pictures(tmp_path, capsys):
    assert main(["import", str(tmp_path / "w"), "--network", "resnet18"]) == 2
    assert "--data is needed: a folder of pictures" in capsys.readouterr().err


def test_the_command_knows_the_layouts():
    assert list(OF_THE_AUTHORS) == list(LAYOUTS)


@pytest.fixture(scope="module")
def tensorflow() -> Any:
    """TensorFlow, an extra, as the authors' code uses it."""
    tensorflow = pytest.importorskip("tensorflow")
    tensorflow.compat.v1.disable_eager_execution()
    return tensorflow


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("network", LAYOUTS)
def test_a_checkpoint_of_tensorflow_gives_its_logits(network, tensorflow, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(imported, "TEST_IMAGES", 3)
    now = authors_graphs.computed(tensorflow, network, tmp_path / "model.ckpt-7")
    assert now["variables"] == RECORDED[network]["variables"]
    for side, logits in now["logits"].items():
        np.testing.assert_allclose(logits, RECORDED[network]["logits"][side], atol=2e-5)
    data = {"mnist-cnn": "mnist-5k", "cifar-resnet": "cifar10-samples"}.get(network, str(pictures))
    model = import_checkpoint(tmp_path / "model.ckpt-7", network, data, tmp_path / "out")
    assert max(differences(network, load_network(model))) < 1e-4


def test_a_damaged_checkpoint_gets_one_sentence(tensorflow, tmp_path, refused):
    place = tmp_path / "model.ckpt-7"
    authors_graphs.computed(tensorflow, "mnist-cnn", place)
    index, values = Path(f"{place}.index"), Path(f"{place}.data-00000-of-00001")
    content = index.read_bytes()
    for damage in (
        lambda: values.write_bytes(values.read_bytes()[:-9]),
        lambda: index.write_bytes(content[:-9]),
        lambda: index.write_bytes(b""),
    ):
        damage()
        with refused("'model.ckpt-7' is a damaged or truncated checkpoint: get it anew$"):
            import_checkpoint(place, "mnist-cnn", None, tmp_path / "out")
