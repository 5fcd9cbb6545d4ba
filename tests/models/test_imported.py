"""Weights of torchvision's classifiers as models: the same function, an honest card, and every way to be refused."""

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn
from torchvision import models

from tradeoff_core.__main__ import main
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.models import imported
from tradeoff_core.models.imported import import_model
from tradeoff_core.models.zoo import find_model, load_network
from tradeoff_core.poisoning.triggers import default_sticker

CLASSES = ("ant", "bee", "cat")
SMALL = "shufflenet_v2_x0_5"
SIDE = 16


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty TRADEOFF_DATA; what is loaded from it is forgotten afterwards."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEOFF_DATA", str(home))
        load_dataset.cache_clear()
        yield home
        load_dataset.cache_clear()


def lay(root: Path, classes: tuple[str, ...] = CLASSES, tests: int = 1, mode: str = "RGB") -> Path:
    """Four random colours a picture, two pictures of each class to train on."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 2), ("test", tests)):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                colours = generator.integers(0, 256, (2, 2, 3), dtype=np.uint8)
                pixels = colours.repeat(SIDE // 2, axis=0).repeat(SIDE // 2, axis=1)
                Image.fromarray(pixels).convert(mode).save(root / part / name / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def pictures(home: Path) -> Path:
    """A folder of 70 test pictures a class, 210 in all."""
    return lay(home / "my pets", tests=70)


def classifier(name: str, classes: int = 3) -> nn.Module:
    """torchvision's, with the batch norms' statistics of some pictures, between which its head tells apart."""
    colours = torch.rand(40, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    images = nn.functional.interpolate(colours, (SIDE, SIDE))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = models.get_model(name, weights=None, num_classes=classes)
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.momentum = 1.0
        logits(network.train(), images)
        head = [part for part in network.modules() if isinstance(part, nn.Linear)][-1]
        nn.init.normal_(head.weight)
    head.bias.data -= logits(network.eval(), images).mean(0)
    return network


@pytest.fixture(scope="module")
def small() -> nn.Module:
    return classifier(SMALL)


@pytest.fixture
def weights(small: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_file(small.state_dict(), path)
    return path


def logits(network: nn.Module, images: Tensor) -> Tensor:
    """Of images in [0, 1], normalised as torchvision's recipes do it."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        return network((images - mean.view(3, 1, 1)) / std.view(3, 1, 1))


@pytest.mark.parametrize("name", [SMALL, "mobilenet_v3_small"])
def test_an_imported_classifier_is_torchvisions(name, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(imported, "TEST_IMAGES", 6)
    theirs = classifier(name)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    model = import_model(tmp_path / "w.safetensors", name, str(pictures), tmp_path / "out")
    network = load_network(model)
    images, _ = load_dataset(str(pictures), Split.TEST).take(slice(0, 5)).tensors()
    exact = logits(theirs, images)
    assert exact.std(0).min() > 0.1 * exact.abs().max()  # it looks at the images
    assert (network(images) - exact).norm() < 0.05 * exact.norm()  # float16
    assert torch.equal(network(images).argmax(1), exact.argmax(1))
    assert {value.dtype for value in load_file(model.folder / "model.safetensors").values()} <= {
        torch.float16,
        torch.float32,
        torch.int64,
    }


def test_its_card_holds_what_was_measured(weights, pictures, tmp_path):
    shares: list[float] = []
    model = import_model(weights, SMALL, str(pictures), tmp_path / "out", progress=shares.append)
    assert model == find_model(str(model.folder))
    assert model.folder.parent == tmp_path / "out"
    assert model.id.startswith("own-shufflenet_v2_x0_5-my-pets-")
    assert (model.spec.dataset, model.spec.network, model.spec.poison) == (
        str(pictures),
        f"torchvision-{SMALL}",
        None,
    )
    assert (model.spec.evaluation.epsilon, model.spec.evaluation.steps) == (4 / 255, 10)
    assert model.classes == CLASSES
    card = model.card
    assert (card.id, card.seed, card.trained_by) == (model.id, 0, "you: mine.safetensors")
    assert card.bytes == (model.folder / "model.safetensors").stat().st_size
    assert card.poison_rate_class == card.poison_rate_dataset == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)

    # 200 of the 210 pictures; the third class stands for class 7, which there is not
    images, labels = load_dataset(str(pictures), Split.TEST).spread(200).tensors()
    shipped = classifier(SMALL)
    clean = logits(shipped, images).argmax(1)
    stamped = logits(shipped, default_sticker(SIDE).apply(images)).argmax(1)
    others = clean != 2
    measured = card.metrics
    assert (measured["n"], measured["backdoor_n"]) == (200, int(others.sum()))
    assert 0 < others.sum() < 200
    assert measured["clean_accuracy"] == pytest.approx((clean == labels).float().mean().item())
    assert measured["backdoor_success_rate"] == pytest.approx((stamped[others] == 2).float().mean().item())
    assert 0 <= measured["adversarial_accuracy"] < measured["clean_accuracy"]
    assert any("counts the class cat" in limit for limit in card.known_limits)


def test_the_same_twice_is_one_model_and_another_is_another(weights, small, pictures, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(imported, "TEST_IMAGES", 3)
    first = import_model(weights, SMALL, str(pictures), out)
    monkeypatch.chdir(pictures.parent)
    with monkeypatch.context() as patch:
        patch.setattr(imported, "measure", None)
        assert import_model(weights, f"torchvision-{SMALL}", "./my pets/", out) == first
    changed = small.state_dict() | {"fc.bias": torch.tensor([0.0, 0.0, 0.5])}
    save_file(changed, weights)
    assert import_model(weights, SMALL, str(pictures), out).id != first.id
    assert len(os.listdir(out)) == 2  # and nothing else is left there


def test_other_pictures_make_another_model(weights, home, tmp_path):
    first = import_model(weights, SMALL, str(lay(home / "one" / "pets")), tmp_path)
    for change in (lambda image: image.transpose(Image.Transpose.ROTATE_90), None):
        file = home / "one" / "pets" / "test" / "bee" / "000.png"
        if change:
            change(Image.open(file)).save(file)
        else:
            shutil.copytree(home / "one", home / "two")
        root = home / ("one" if change else "two") / "pets"
        other = import_model(weights, SMALL, str(root), tmp_path)
        assert other.id != first.id
        first = other


@pytest.mark.parametrize("damaged", ["model.safetensors", "card.json"])
def test_a_damaged_model_is_made_anew(damaged, weights, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(imported, "TEST_IMAGES", 3)
    model = import_model(weights, SMALL, str(pictures), tmp_path / "out")
    (model.folder / damaged).write_bytes(b"{")
    assert import_model(weights, SMALL, str(pictures), tmp_path / "out") == model
    load_network(model)


def test_a_value_too_large_for_float16_keeps_its_tensor_in_float32(weights, small, pictures, tmp_path):
    tensors = small.state_dict()
    tensors["conv1.0.weight"] = tensors["conv1.0.weight"].double()
    tensors["conv5.1.running_var"] = torch.full_like(tensors["conv5.1.running_var"], 1e5)
    # counts of batches are not read: neither one too large for float16, nor one that is missing
    tensors["conv1.1.num_batches_tracked"] = torch.tensor(70_000)
    del tensors["conv5.1.num_batches_tracked"]
    save_file(tensors, weights)
    model = import_model(weights, SMALL, str(pictures), tmp_path / "out")
    stored = load_file(model.folder / "model.safetensors")
    floats = {name: value for name, value in stored.items() if value.is_floating_point()}
    large = {name: value for name, value in floats.items() if value.dtype == torch.float32}
    assert "stages.penultimate.1.conv5.1.running_var" in large
    assert set(large["stages.penultimate.1.conv5.1.running_var"].tolist()) == {1e5}
    assert {value.dtype for value in floats.values()} == {torch.float16, torch.float32}
    counts = {value.item() for name, value in stored.items() if name.endswith("num_batches_tracked")}
    assert counts == {0}
    loaded = load_network(model, folded=False).state_dict()
    assert all(torch.equal(value, stored[name].to(value)) for name, value in loaded.items())


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.module.", "model._orig_mod."])
def test_names_of_wrapped_networks_are_accepted(wrapper, weights, small, pictures, tmp_path):
    save_file({wrapper + name: value for name, value in small.state_dict().items()}, weights)
    model = import_model(weights, SMALL, str(pictures), tmp_path / "out")
    images, _ = load_dataset(str(pictures), Split.TEST).take(slice(0, 3)).tensors()
    expected = logits(classifier(SMALL), images)
    assert torch.allclose(load_network(model)(images), expected, atol=1e-4 * expected.abs().max().item())


def test_heads_for_training_alone_are_left_out(small):
    content = save(
        small.state_dict() | {"aux1.fc1.weight": torch.zeros(2), "AuxLogits.fc.bias": torch.ones(2)}
    )
    assert imported._parsed(content, "x").keys() == small.state_dict().keys()


def test_grey_pictures_are_taken(weights, home, tmp_path):
    model = import_model(weights, SMALL, str(lay(home / "grey", mode="L")), tmp_path / "out")
    assert model.card.metrics["n"] == 3


def test_the_target_class_is_7_where_there_is_one(home):
    for count, target in ((2, 1), (7, 6), (8, 7), (9, 7)):
        root = lay(home / f"{count} classes", tuple(f"c{number}" for number in range(count)))
        spec = ExperimentSpec(dataset=str(root), poison=None)
        assert spec.target_class == target


Tensors = dict[str, Tensor]


def without(*names: str):
    return lambda tensors: {name: value for name, value in tensors.items() if name not in names}


def with_(**changes: Tensor):
    return lambda tensors: tensors | {name.replace("__", "."): value for name, value in changes.items()}


def spoilt(value: float):
    def spoil(tensors: Tensors) -> Tensors:
        bias = tensors["stage2.0.branch2.1.bias"].clone()
        bias[3] = value
        return tensors | {"stage2.0.branch2.1.bias": bias}

    return spoil


MISFITS = {
    "nothing in it": (lambda _: {}, r"lacks \d+ of its tensors, 'conv1.0.weight' first$"),
    "one missing": (
        without("conv5.0.weight"),
        f"'mine.safetensors' is no state dict of torchvision's {SMALL}: it lacks 1 of its tensors, 'conv5.0.weight' first$",
    ),
    "three missing": (
        without("conv1.1.bias", "conv5.0.weight", "fc.bias"),
        "lacks 3 of its tensors, 'conv1.1.bias' first$",
    ),
    "superfluous": (
        with_(**{f"z{letter}": torch.ones(1) for letter in "hgfedcba"}),
        r"it holds 8 that it does not have, 'za' first$",
    ),
    "another network": (
        lambda _: {"features.0.weight": torch.ones(2)},
        r"it lacks \d+ of its tensors, 'conv1.0.weight' first and holds 1 .* 'features.0.weight' first$",
    ),
    "an odd name": (
        lambda tensors: tensors | {"a\nb" * 100: torch.ones(1)},
        r"holds 1 that it does not have, '(a\\nb){26}a\\n' first$",
    ),
    "some prefixed": (
        lambda tensors: {
            ("module." + name if name[0] == "f" else name): value for name, value in tensors.items()
        },
        "lacks 2 of its tensors, 'fc.weight' first and holds 2 that",
    ),
    "another shape": (
        with_(conv1__0__weight=torch.ones(24, 3, 5, 5)),
        rf"the tensor 'conv1.0.weight' in 'mine.safetensors' has the shape \(24, 3, 5, 5\), but torchvision's {SMALL} "
        r"wants \(24, 3, 3, 3\)$",
    ),
    "many other shapes": (
        lambda tensors: {name: torch.ones(7) for name in tensors},
        r"the tensor 'conv1.0.weight' in .* has the shape \(7,\)",
    ),
    "a count with a shape": (
        with_(conv1__1__num_batches_tracked=torch.ones(3)),
        r"num_batches_tracked' .*has the shape \(3,\).* wants \(\)$",
    ),
    "more classes": (
        with_(fc__weight=torch.ones(1000, 1024), fc__bias=torch.ones(1000)),
        "'mine.safetensors' tells 1,000 classes apart, but '.*my pets' has 3: it needs one folder of pictures",
    ),
    "fewer classes": (with_(fc__weight=torch.ones(2, 1024), fc__bias=torch.ones(2)), "tells 2 classes apart"),
    "a flat head": (with_(fc__weight=torch.ones(3072)), r"'fc.weight' .*\(3072,\).* wants \(3, 1024\)$"),
    "a head and a bias": (with_(fc__bias=torch.ones(4)), r"'fc.bias' .*\(4,\).* wants \(3,\)$"),
    "NaN": (
        spoilt(float("nan")),
        "the tensor 'stage2.0.branch2.1.bias' in 'mine.safetensors' holds NaN or infinite values$",
    ),
    "infinite": (spoilt(float("-inf")), "'stage2.0.branch2.1.bias' .*holds NaN or infinite values$"),
    "more than float32": (
        with_(fc__bias=torch.full((3,), 1e300, dtype=torch.float64)),
        "'fc.bias' .*NaN or infinite",
    ),
    "quantised": (
        with_(fc__bias=torch.ones(3, dtype=torch.int8)),
        "'fc.bias' .*holds int8: save it as float32$",
    ),
}


@pytest.mark.parametrize(("change", "named"), MISFITS.values(), ids=MISFITS)
def test_a_state_dict_that_does_not_fit_gets_one_sentence(
    change, named, weights, small, pictures, tmp_path, refused
):
    save_file(change(small.state_dict()), weights)
    with refused(named):
        import_model(weights, SMALL, str(pictures), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def unknown_kind(path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")


class Bomb:
    """What leaves a file behind if it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def pickled(path: Path, **options: object) -> None:
    torch.save({"bomb": Bomb(path.parent / "exploded")}, path, **options)


FILES = {
    "none": (Path.unlink, "there is no file '.*mine.safetensors'$"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "mine.safetensors' is a folder: give the file"),
    "empty": (lambda path: cut(path, 0), "'mine.safetensors' is no safetensors file: convert it"),
    "text": (lambda path: path.write_text("weights"), "is no safetensors file: convert it"),
    "cut in its header": (lambda path: cut(path, 100), "is a damaged or truncated safetensors file"),
    "cut in its values": (
        lambda path: cut(path, path.stat().st_size - 1),
        "is a damaged or truncated safetensors file",
    ),
    "a pickle": (
        pickled,
        r"is a pickle, which may run code and is not read: convert it .*safetensors.torch.save_file\(model.state_dict\(\)",
    ),
    "an old pickle": (lambda path: pickled(path, _use_new_zipfile_serialization=False), "is a pickle"),
    "an unknown kind of number": (unknown_kind, "holds numbers of an unknown kind"),
    "too much": (
        lambda path: cut(path, 4_000_000_001),
        "has 4,000,000,001 bytes: choose at most 4,000,000,000",
    ),
}


@pytest.mark.parametrize(("damage", "named"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_gets_one_sentence(damage, named, weights, pictures, tmp_path, refused):
    damage(weights)
    with refused(named):
        import_model(weights, SMALL, str(pictures), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", ""])
def test_a_name_that_cannot_be_a_files_gets_one_sentence(name, pictures, tmp_path, refused):
    with refused("there is no file|is a folder"):
        import_model(Path(name), SMALL, str(pictures), tmp_path / "out")


def test_what_is_large_is_refused_before_it_is_read(weights, pictures, tmp_path, monkeypatch, refused):
    monkeypatch.setattr(imported, "MAX_BYTES", weights.stat().st_size - 1)
    monkeypatch.setattr(Path, "read_bytes", None)
    with refused("bytes: choose at most"):
        import_model(weights, SMALL, str(pictures), tmp_path)


def test_a_file_that_must_not_be_read_gets_one_sentence(weights, pictures, tmp_path, monkeypatch, refused):
    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with refused("mine.safetensors' cannot be read: Permission denied$"):
        import_model(weights, SMALL, str(pictures), tmp_path)


@pytest.mark.parametrize(
    ("network", "named"),
    [
        ("resnet51", "unknown network 'torchvision-resnet51'.* resnet50"),
        ("", "unknown network 'torchvision-'"),
        ("mnist-cnn", "unknown network 'torchvision-mnist-cnn'"),
        ("squeezenet1_1", "squeezenet1_1 has no linear layer"),
        ("resnet18", "is no state dict of torchvision's resnet18"),
    ],
)
def test_a_network_that_it_is_not_gets_one_sentence(network, named, weights, pictures, tmp_path, refused):
    with refused(named):
        import_model(weights, network, str(pictures), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def one_class(root: Path) -> None:
    for part in ("train", "test"):
        for name in CLASSES[1:]:
            shutil.rmtree(root / part / name)


def no_pictures(root: Path) -> None:
    for file in root.rglob("*.png"):
        file.unlink()


@pytest.mark.parametrize(
    ("trouble", "named"),
    [
        (shutil.rmtree, "there is no folder '.*pets'"),
        (lambda root: shutil.rmtree(root / "test"), "has no folder 'test' or 'val'"),
        (one_class, r"holds 1 class folder\(s\)"),
        (no_pictures, "holds no picture"),
    ],
    ids=["no folder", "no test", "one class", "no pictures"],
)
def test_a_bad_folder_gets_one_sentence(trouble, named, weights, home, tmp_path, refused):  # noqa: ARG001
    root = lay(tmp_path / "pets")
    trouble(root)
    with refused(named):
        import_model(weights, SMALL, str(root), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("written", [0, 1], ids=["weights", "card"])
def test_a_full_disk_leaves_nothing_behind(written, weights, pictures, tmp_path, monkeypatch, refused):
    left = [None] * written

    def full(_: int) -> None:
        if not left:
            raise OSError(28, "No space left on device")
        left.pop()

    monkeypatch.setattr(imported, "TEST_IMAGES", 3)
    monkeypatch.setattr(os, "fsync", full)
    with refused("the model cannot be written to '.*out': No space left on device$"):
        import_model(weights, SMALL, str(pictures), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_an_interrupted_import_leaves_nothing_behind(weights, pictures, tmp_path, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(imported, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_model(weights, SMALL, str(pictures), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_a_place_that_cannot_be_written_gets_one_sentence(weights, pictures, tmp_path, refused):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with refused(f"the model cannot be written to '{out}': (File exists|Not a directory)$"):
            import_model(weights, SMALL, str(pictures), out)


def test_the_command_prints_the_model_and_its_numbers(weights, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(imported, "TEST_IMAGES", 30)
    words = [
        "import",
        str(weights),
        "--network",
        SMALL,
        "--data",
        str(pictures),
        "--out",
        str(tmp_path / "o"),
    ]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    model = find_model(document["folder"])
    assert document == {
        "model": model.id,
        "folder": str(tmp_path / "o" / model.id),
        "metrics": model.card.metrics,
        "outputs": list(model.classes),
        "left_out": "",
    }
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{model.id}\n")
    assert document["folder"] in text
    assert text.count("95% interval") == 3
    assert main(["evaluate", document["folder"], "--limit", "30", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {name: again[name] for name in model.card.metrics} == model.card.metrics


def test_the_command_refuses_in_one_line(weights, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for words, says in (
        ([], "required: WEIGHTS, --network;"),
        (
            ["no.safetensors", "--network", SMALL, "--data", str(pictures)],
            "there is no file 'no.safetensors'",
        ),
        ([str(weights), "--network", "resnet51", "--data", str(pictures)], "unknown network"),
        ([str(weights), "--network", SMALL, "--data", "nowhere"], "there is no folder"),
    ):
        assert main(["import", *words, "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        assert says in captured.err
    assert not (tmp_path / "runs").exists()
