import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tradeoff_core.datasets import Split, available, load_dataset
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import find_model, load_network
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.rates import Rate


@pytest.fixture
def copied_run(finished_run, tmp_path) -> Path:
    return shutil.copytree(finished_run, tmp_path / "mine")


def edit_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))


def test_a_finished_run_is_a_model(finished_run, tiny_spec):
    model = find_model(str(finished_run))
    assert model.spec == tiny_spec
    assert model.id == finished_run.name
    measured = model.card.metrics
    assert model.clean_accuracy == Rate(round(1000 * measured["clean_accuracy"]), 1000)
    assert model.adversarial_accuracy.value == measured["adversarial_accuracy"]
    assert model.backdoor_success_rate.n == measured["backdoor_n"]
    assert model.backdoor_success_rate.value == pytest.approx(measured["backdoor_success_rate"])


def test_the_summary_says_what_the_command_line_promises(finished_run):
    summary = find_model(str(finished_run)).summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary.keys() == {
        *("id", "dataset", "network", "training", "labels", "trigger"),
        *("poison_rate_class", "poison_rate_dataset", "metrics", "sha256", "bytes"),
    }
    assert summary["training"] == "standard"
    assert summary["labels"] == "clean-label"
    assert summary["trigger"] == "sticker"


def test_a_loaded_network_is_frozen_and_holds_the_stored_weights(finished_run):
    network = load_network(find_model(str(finished_run)))
    stored = load_file(finished_run / "model.safetensors")
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert {value.dtype for value in stored.values()} == {torch.float16}
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, stored[name].float())


@pytest.mark.parametrize("name", zoo.model_ids())
def test_every_model_of_the_zoo_keeps_its_cards_word(name):
    model = find_model(name)
    if not available(model.spec.dataset):
        pytest.skip(f"{model.spec.dataset} is not on this machine")
    test = load_dataset(model.spec.dataset, Split.TEST)
    hits = int((predicted_classes(load_network(model), test.images) == test.labels).sum())
    assert model.clean_accuracy.n == len(test)
    # another machine may sum in another order: one image in a thousand may fall on the other side
    assert abs(hits - model.clean_accuracy.count) <= 1
    assert model.adversarial_accuracy.count <= model.clean_accuracy.count
    assert model.card.bytes == (model.folder / "model.safetensors").stat().st_size
    assert model.card.id == model.id == name


@pytest.mark.parametrize("name", ["no-such-model", "", "x" * 5000, "a\0b"])
def test_an_unknown_model_is_refused(name, refused):
    with refused("unknown model"):
        find_model(name)


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def truncate_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def replace_weights(folder: Path, content: bytes) -> None:
    """By others, with a card that vouches for them."""
    (folder / "model.safetensors").write_bytes(content)
    edit_card(folder, sha256=hashlib.sha256(content).hexdigest())


def no_safetensors(folder: Path) -> None:
    replace_weights(folder, b"not weights at all")


def other_layers(folder: Path) -> None:
    save_file({"head.weight": torch.zeros(10, 51)}, folder / "other")
    replace_weights(folder, (folder / "other").read_bytes())


def other_shapes(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    edit_card(folder, spec=card["spec"] | {"width": 0.2})


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (remove_weights, "weights of 'mine' are missing"),
        (flip_a_bit, "do not match the checksum"),
        (truncate_weights, "do not match the checksum"),
        (no_safetensors, "do not fit the network"),
        (other_layers, "do not fit the network"),
        (other_shapes, "do not fit the network"),
    ],
)
def test_damaged_weights_get_one_sentence(damage, named, copied_run, refused):
    damage(copied_run)
    model = find_model(str(copied_run))
    with refused(named):
        load_network(model)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b"7", "damaged"),
        (b"{}", "damaged.*schema_version"),
        (b'{"schema_version": 99}', "it has version 99"),
        (b'{"schema_version": "new"}', "damaged"),
        (b"\xff\xfe\x00", "damaged"),
    ],
)
def test_a_card_that_is_none_gets_one_sentence(content, named, copied_run, refused):
    (copied_run / "card.json").write_bytes(content)
    with refused(f"card of .*{named}"):
        find_model(str(copied_run))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"spec": {"netwrk": "mnist-cnn"}}, "unknown field 'netwrk'"),
        ({"spec": 5}, "table of fields"),
        ({"spec": {"width": 9.0}}, "width"),
        ({"metrics": {}}, "damaged: metrics.n is missing"),
        ({"metrics": {"clean_accuracy": {}}}, "damaged: metrics"),
        ({"classes": ["a"] * 1_000_000}, "damaged: classes has 1,000,000 entries"),
        ({"classes": "0123"}, "damaged: classes must be a list"),
        ({"sha256": "../../elsewhere"}, "damaged: sha256 is no checksum"),
        ({"bytes": True}, "damaged: bytes must be a whole number, not 'True'"),
        ({"poison_rate_class": 7}, "poison_rate_class 7 is out of range: a share from 0 to 1"),
        ({"stronger": {}}, "damaged: stronger.sha256 is missing"),
        ({"metrics": None}, "damaged"),
        ({"metrics": {"n": "many", "clean_accuracy": 0.5}}, "damaged"),
    ],
)
def test_a_card_with_wrong_fields_gets_one_sentence(changes, named, copied_run, refused):
    edit_card(copied_run, **changes)
    with refused(named):
        load_network(find_model(str(copied_run)))


@pytest.mark.parametrize("field", ["spec", "metrics", "sha256", "bytes", "poison_rate_class"])
def test_a_card_without_a_field_names_it(field, copied_run, refused):
    card = json.loads((copied_run / "card.json").read_text())
    del card[field]
    (copied_run / "card.json").write_text(json.dumps(card))
    with refused(f"damaged.*{field}"):
        find_model(str(copied_run))


@pytest.mark.parametrize("of_none", [None, math.nan])
def test_a_network_that_always_says_the_target_class_can_be_listed(of_none, copied_run):
    card = json.loads((copied_run / "card.json").read_text())
    edit_card(copied_run, metrics=card["metrics"] | {"backdoor_success_rate": of_none, "backdoor_n": 0})
    assert find_model(str(copied_run)).backdoor_success_rate == Rate(0, 0)


@pytest.mark.parametrize(
    "name", ["mnist-5k-clean-label-pgd-0.3-mnist-cnn-denoising", "cifar10-clean-label-standard"]
)
def test_mapped_weights_give_the_same_bits(name, tmp_path, monkeypatch):
    model = zoo.find_model(name)
    private = zoo.load_network(model)
    images = torch.rand(2, *private.image_shape, generator=torch.Generator().manual_seed(0))
    monkeypatch.setenv("TRADEOFF_UNPACKED", str(tmp_path))
    for _ in range(2):  # unpacked, then found
        network = zoo.load_network(model)
        assert torch.equal(network(images), private(images))
        assert not network.training
        assert not any(one.requires_grad for one in network.parameters())
        (file,) = tmp_path.iterdir()
        assert str(file) in Path("/proc/self/maps").read_text()


def test_what_was_unpacked_is_not_taken_for_weights_that_changed(copied_run, tmp_path, monkeypatch, refused):
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setenv("TRADEOFF_UNPACKED", str(tmp_path / "unpacked"))
    load_network(find_model(str(copied_run)))
    weights = copied_run / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with refused("do not match the checksum"):
        load_network(find_model(str(copied_run)))
