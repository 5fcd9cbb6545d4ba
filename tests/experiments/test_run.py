import hashlib
import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.evaluation.outcomes import Outcomes
from tradeoff_core.experiments import run
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run import check_fit, measure, metrics, poisoned_training_set, run_experiment
from tradeoff_core.experiments.spec import ExperimentSpec, changed, read_spec, spec_from_dict, spec_to_dict
from tradeoff_core.models.zoo import find_model, load_network
from tradeoff_core.networks import Network
from tradeoff_core.poisoning.poison import Poison
from tradeoff_core.poisoning.triggers import Sticker, Watermark, default_sticker
from tradeoff_core.training.loop import Progress
from tradeoff_core.training.recipe import Training

SPECS = {
    **PRESETS,
    "no-poison": ExperimentSpec(poison=None),
    "dirty": ExperimentSpec(poison=Poison("dirty-label", 0.05, 3, Sticker("x", 5, 0, 0, 0.5))),
    "watermark": ExperimentSpec(poison=Poison(trigger=Watermark("rings", 0.1)), seed=2),
    "own-step": ExperimentSpec(training=Training(Attack("l2", 2.0, 7, 0.5, 2, False)), width=0.5),
    "removed": ExperimentSpec(removed=(0, 17, 3599)),
    "one-removed": ExperimentSpec(removed=(3,)),
}
specs = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


@specs
def test_a_spec_survives_the_way_to_a_file_and_back(spec):
    document = spec_to_dict(spec)
    read = spec_from_dict(json.loads(json.dumps(document)))
    assert read == spec
    assert read.id == spec.id
    assert spec_to_dict(read) == document


def test_ids_differ_where_specs_do():
    everything = [*SPECS.values(), *(replace(SPECS["fast"], seed=seed) for seed in (1, 2))]
    assert len({spec.id for spec in everything}) == len(set(everything)) == len(SPECS) + 2
    assert ExperimentSpec(seed=4).id.startswith("mnist-5k-clean-label-standard-seed4-")
    assert SPECS["no-poison"].title == "mnist-5k-no-poison-standard"
    assert SPECS["fast"].title == "mnist-5k-clean-label-pgd-0.3"


def test_ids_of_specs_that_remove_nothing_are_what_they_always_were():
    assert PRESETS["standard"].id == "mnist-5k-clean-label-standard-seed0-9c09a1fa"
    assert "removed" not in spec_to_dict(PRESETS["standard"])
    assert replace(PRESETS["standard"], removed=None).id == PRESETS["standard"].id


def test_a_title_says_how_many_are_removed():
    assert SPECS["removed"].title == "mnist-5k-clean-label-standard-without-3"
    assert SPECS["one-removed"].title == "mnist-5k-clean-label-standard-without-1"
    assert spec_to_dict(SPECS["removed"])["removed"] == [0, 17, 3599]
    assert spec_from_dict(changed({}, ["removed=[0, 17, 3599]"])) == SPECS["removed"]
    assert spec_from_dict({"removed": "none"}) == ExperimentSpec()


def test_a_folder_of_pictures_is_a_data_set_of_a_run(tmp_path, monkeypatch):
    spec = ExperimentSpec(dataset=f"{tmp_path}/my pets")
    assert spec.title == "my-pets-clean-label-standard"
    assert spec_from_dict(spec_to_dict(spec)) == spec
    assert "/" not in spec.id
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    document = spec_to_dict(ExperimentSpec(dataset="pets"))
    assert document["dataset"] == "./pets"
    (tmp_path / "pets").rmdir()
    assert spec_from_dict(document).dataset == "./pets"


def test_what_is_left_out_is_the_default():
    assert spec_from_dict({}) == ExperimentSpec()
    spec = spec_from_dict({"poison": {"rate": 1}, "training": {"attack": {"epsilon": 0.2}}})
    assert spec.poison == Poison(rate=1.0)
    assert spec.training.attack == Attack(epsilon=0.2)
    assert spec_from_dict({"poison": "none"}).poison is None
    assert spec_from_dict({"poison": {"trigger": "watermark"}}).poison.trigger == Watermark()


def test_without_poison_the_default_sticker_and_class_are_measured():
    spec = SPECS["no-poison"]
    assert (spec.trigger, spec.target_class) == (Sticker(), 7)
    assert (SPECS["dirty"].trigger.pattern, SPECS["dirty"].target_class) == ("x", 3)


def test_the_class_without_poison_of_a_folder_that_is_not_there_is_not_known(refused):
    assert ExperimentSpec(dataset="/not/there").target_class == 7
    with refused("there is no folder '/not/there'"):
        _ = ExperimentSpec(dataset="/not/there", poison=None).target_class


@pytest.mark.parametrize("error", [RuntimeError, AssertionError])  # torchvision's transformers assert
def test_a_network_that_cannot_take_the_images_is_refused(error, refused):
    class Picky(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if images.shape[-1] != 32:
                raise error("too small")
            return images.flatten(1)

    digits = load_dataset("mnist-5k", Split.TEST)
    with refused("made for images of 3 x 32 x 32 .* not for those of mnist-5k, 1 x 28 x 28$"):
        check_fit(Network({"penultimate": Picky()}, nn.Linear(4, 2), (3, 32, 32)), digits)
    check_fit(Network({"penultimate": nn.Flatten()}, nn.Linear(784, 2), (3, 32, 32)), digits)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"datset": "mnist"}, "unknown field 'datset': choose one of dataset, network"),
        ({"training": {"attack": {"eps": 1}}}, "unknown field 'training.attack.eps'.*epsilon"),
        ({"poison": {"trigger": {"kind": "sticker", "amplitude": 1}}}, "'poison.trigger.amplitude'"),
        ({"poison": {"trigger": {"kind": "laser"}}}, "poison.trigger.kind 'laser'.*sticker or watermark"),
        ({"dataset": "svhn"}, "unknown dataset 'svhn'"),
        ({"network": "vgg"}, "unknown network 'vgg'"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"width": "wide"}, "width must be a number"),
        ({"training": 3}, "training must be a table"),
        ({"training": {"epochs": 0}}, "epochs 0"),
        ({"training": {"attack": {"norm": "l7"}}}, "norm 'l7'"),
        ({"evaluation": "none"}, "evaluation"),
        ({"poison": {"rate": 0}}, "poison rate 0"),
        ({"removed": []}, "removed must name at least one training example, each once, counted from 0"),
        ({"removed": [4, -1]}, "removed must name at least one"),
        ({"removed": [4, 5, 4]}, "removed must name .* each once"),
        ({"removed": [4, 5.0]}, "removed must be a whole number, not '5.0'"),
        ({"removed": [True]}, "removed must be a whole number, not 'True'"),
        ({"removed": 4}, "removed must be a list, not '4'"),
        ({"removed": "all"}, "removed must be a list, not 'all'"),
        ([1], "table of fields"),
    ],
)
def test_a_wrong_spec_gets_one_sentence_that_names_the_field(document, named, refused):
    with refused(named):
        spec_from_dict(document)


def test_settings_are_put_in_their_place():
    document = changed(
        {"poison": "none", "seed": 1},
        ["training.attack.epsilon=0.2", "seed=3", "network=mnist-cnn", "poison.rate=1e-1", "dataset='mnist'"],
    )
    assert document == {
        "poison": {"rate": 0.1},
        "seed": 3,
        "training": {"attack": {"epsilon": 0.2}},
        "network": "mnist-cnn",
        "dataset": "mnist",
    }
    assert changed({"poison": {"rate": 0.5}}, ["poison=none"]) == {"poison": "none"}


def test_the_default_sticker_goes_with_the_data_set_and_a_chosen_one_stays(refused):
    document = spec_to_dict(ExperimentSpec())
    moved = spec_from_dict(changed(document, ["dataset=cifar10", "network=cifar-resnet"]))
    assert moved.trigger == default_sticker(32)
    chosen = changed(document, ["dataset=cifar10", "network=cifar-resnet", "poison.trigger.size=4"])
    assert spec_from_dict(chosen).trigger == Sticker(size=4)
    with refused("there is no folder"):
        changed(document, ["dataset=no/such/folder"])


def test_settings_leave_the_document_as_it_was():
    document = {"training": {"epochs": 3}}
    assert changed(document, ["training.epochs=4"])["training"]["epochs"] == 4
    assert document == {"training": {"epochs": 3}}


@pytest.mark.parametrize("setting", ["training.epochs", "=3", ""])
def test_what_is_no_setting_is_refused(setting, refused):
    with refused("is no setting: write key=value"):
        changed({}, [setting])


@specs
def test_spec_files_are_read(spec, tmp_path):
    (tmp_path / "spec.json").write_text(json.dumps(spec_to_dict(spec)))
    assert spec_from_dict(read_spec(tmp_path / "spec.json")) == spec
    (tmp_path / "spec.toml").write_text('seed = 3\n[training.attack]\nnorm = "l2"\nepsilon = 2\n')
    read = spec_from_dict(read_spec(tmp_path / "spec.toml"))
    assert read == ExperimentSpec(seed=3, training=Training(Attack("l2", 2.0)))


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("spec.toml", b"seed = ", "spec.toml is not a valid spec"),
        ("spec.json", b"{seed: 1}", "spec.json is not a valid spec"),
        ("spec.json", b"[1, 2]", "must be a table of fields"),
        ("spec.toml", b"\xff\xfe", "spec.toml is UTF-16 text: save it as UTF-8"),
        ("spec.toml", b"", None),
    ],
)
def test_unreadable_spec_files_get_one_sentence(name, content, named, tmp_path, refused):
    (tmp_path / name).write_bytes(content)
    if named is None:
        assert read_spec(tmp_path / name) == tomllib.loads("")
        return
    with refused(named):
        read_spec(tmp_path / name)
    with refused("no readable spec file"):
        read_spec(tmp_path / "absent.toml")


def test_a_spec_poisons_the_same_images_always():
    spec = ExperimentSpec()
    one, same, other = (poisoned_training_set(s).poisoned for s in (spec, spec, replace(spec, seed=1)))
    assert one.sum() == 180  # half of the 360 sevens to train on
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_fewer_training_images_are_spread_over_all_and_poisoned_by_the_same_share(refused):
    few = poisoned_training_set(replace(PRESETS["standard"], images=900))
    assert len(few.data) == 900
    assert np.bincount(few.data.labels).tolist() == pytest.approx([90] * 10, abs=1)
    assert few.poisoned.sum() == 45
    with refused("images 0 is out of range"):
        replace(PRESETS["standard"], images=0)


@pytest.mark.parametrize(
    "poison", [Poison(), Poison("dirty-label", 0.05), None], ids=["clean", "dirty", "none"]
)
def test_what_is_removed_is_left_out_after_poisoning(poison):
    spec = ExperimentSpec(poison=poison, seed=3)
    whole, removed = poisoned_training_set(spec), (3599, 0, 3000, 17)
    kept = np.setdiff1d(np.arange(3600), removed)
    reduced = poisoned_training_set(replace(spec, removed=removed))
    assert np.array_equal(reduced.data.images, whole.data.images[kept])
    assert np.array_equal(reduced.data.labels, whole.data.labels[kept])
    assert np.array_equal(reduced.poisoned, whole.poisoned[kept])
    assert np.array_equal(reduced.original_labels, whole.original_labels[kept])
    assert reduced.target_class == whole.target_class


def test_removing_what_is_not_there_or_all_of_a_class_is_refused(refused):
    with refused("there is no training example 3600: there are 3,600"):
        poisoned_training_set(ExperimentSpec(removed=(0, 3600)))
    sevens = np.flatnonzero(load_dataset("mnist-5k", Split.TRAIN).labels == 7)
    with refused("leaves no example of class 7: remove fewer"):
        poisoned_training_set(ExperimentSpec(removed=tuple(map(int, sevens))))
    assert poisoned_training_set(ExperimentSpec(removed=tuple(map(int, sevens[1:])))).poisoned.sum() <= 1


def test_a_run_leaves_its_files(finished_run, tiny_spec):
    assert sorted(file.name for file in finished_run.iterdir() if not file.name.startswith(".")) == [
        "card.json",
        "losses.jsonl",
        "model.safetensors",
        "progress.jsonl",
        "result.json",
        "spec.json",
    ]
    documents = {file.stem: json.loads(file.read_text()) for file in finished_run.glob("*.json")}
    assert spec_from_dict(documents["spec"]) == tiny_spec
    result, card = documents["result"], documents["card"]
    assert result["run"] == tiny_spec.id
    assert result["metrics"] == card["metrics"]
    assert card["poison_rate_class"] == 0.5
    assert card["poison_rate_dataset"] == 180 / 3600
    weights = (finished_run / "model.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()
    assert card["bytes"] == len(weights)
    epochs = [Progress(**json.loads(line)) for line in (finished_run / "progress.jsonl").open()]
    assert [entry.epoch for entry in epochs] == [1, 2]
    assert card["training_seconds"] == pytest.approx(sum(entry.seconds for entry in epochs), abs=0.06)


def test_a_cards_metrics_come_from_the_weights_as_shipped(finished_run, tiny_spec):
    network = load_network(find_model(str(finished_run)))
    test = load_dataset("mnist-5k", Split.TEST)
    measured = measure(network, *test.tensors(), tiny_spec, tiny_spec.evaluation)
    assert measured == json.loads((finished_run / "card.json").read_text())["metrics"]
    assert measured["n"] == 1000
    assert measured["clean_accuracy"] > 0.3  # it has learned something
    assert (measured["norm"], measured["epsilon"], measured["steps"]) == ("linf", 0.1, 2)


def test_what_is_measured_is_what_is_shipped(tiny_spec, tmp_path, monkeypatch):
    measured = {}

    def watched(network, *_):
        measured.update({name: value.clone() for name, value in network.state_dict().items()})
        return Outcomes(*np.zeros((3, 1), int), np.zeros(1, bool))

    monkeypatch.setattr(run, "evaluate", watched)
    run_experiment(tiny_spec, tmp_path / "run")
    shipped = load_network(find_model(str(tmp_path / "run"))).state_dict()
    assert all(torch.equal(value, shipped[name]) for name, value in measured.items())


def test_a_finished_run_is_not_trained_again(finished_run, tiny_spec):
    def fail(entry: Progress) -> None:
        raise AssertionError(entry)

    before = {file.name: file.read_bytes() for file in finished_run.iterdir()}
    result = run_experiment(tiny_spec, finished_run, fail)
    assert result == json.loads(before["result.json"])
    assert {file.name: file.read_bytes() for file in finished_run.iterdir()} == before


@pytest.fixture
def beside(finished_run, tmp_path):
    """A finished run under the name that a sweep gives it."""
    document = json.loads((finished_run / "spec.json").read_text())
    return Path(shutil.copytree(finished_run, tmp_path / spec_from_dict(document).id))


def test_what_differs_only_in_how_it_is_measured_is_not_trained_again(beside, tiny_spec, monkeypatch):
    monkeypatch.setattr(run, "train", None)
    other = replace(tiny_spec, evaluation=Attack(epsilon=0.05, steps=1), second_evaluation=Attack(steps=2))
    epochs: list[int] = []
    result = run_experiment(other, beside.parent / other.id, lambda entry: epochs.append(entry.epoch))
    assert epochs == [1, 2]
    for name in ("model.safetensors", "losses.jsonl"):
        assert (beside.parent / other.id / name).read_bytes() == (beside / name).read_bytes()
    card = json.loads((beside / "card.json").read_text())
    measured = card["metrics"]
    assert result["metrics"]["clean_accuracy"] == measured["clean_accuracy"]
    assert result["metrics"]["epsilon"] == 0.05
    assert (
        json.loads((beside.parent / other.id / "card.json").read_text())["training_seconds"]
        == card["training_seconds"]
    )


@pytest.mark.parametrize("harm", ["weights", "card", "seed", "training"])
def test_what_was_trained_otherwise_or_is_damaged_lends_no_weights(harm, beside, tiny_spec, monkeypatch):
    spec = replace(tiny_spec, evaluation=Attack(epsilon=0.05, steps=1))
    if harm == "weights":
        (beside / "model.safetensors").write_bytes(b"torn")
    elif harm == "card":
        (beside / "card.json").unlink()
    elif harm == "seed":
        spec = replace(spec, seed=1)
    else:
        spec = replace(spec, training=replace(spec.training, learning_rate=0.002))

    class TrainedError(Exception):
        pass

    def trained(*_: object, **__: object) -> None:
        raise TrainedError

    monkeypatch.setattr(run, "train", trained)
    with pytest.raises(TrainedError):
        run_experiment(spec, beside.parent / spec.id)


def test_a_folder_of_another_run_is_refused(finished_run, tiny_spec, refused):
    with refused("holds another run"):
        run_experiment(replace(tiny_spec, seed=1), finished_run)


@pytest.mark.parametrize("name", ["spec.json", "result.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_run_is_refused_and_kept(name, content, finished_run, tiny_spec, tmp_path, refused):
    folder = shutil.copytree(finished_run, tmp_path / "run")
    (folder / name).write_bytes(content)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with refused(f"{name}' is damaged"):
        run_experiment(tiny_spec, folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_metrics_are_json_even_where_a_rate_is_of_nothing():
    sevens = np.full(3, 7)
    outcomes = Outcomes(labels=np.array([7, 1, 2]), clean=sevens, triggered=sevens, fooled=np.ones(3, bool))
    document = metrics(outcomes, ExperimentSpec(), Attack())
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "n": 3,
        "clean_accuracy": 1 / 3,
        "adversarial_accuracy": 0,
        "backdoor_success_rate": None,
        "backdoor_n": 0,
        "norm": "linf",
        "epsilon": 0.3,
        "steps": 40,
    }


def test_22_a_run_broken_off_ends_as_an_unbroken_one(finished_run, tiny_spec, tmp_path):
    class PowerCutError(Exception):
        pass

    def cut(entry: Progress) -> None:
        if entry.epoch == 2:
            raise PowerCutError(entry)

    with pytest.raises(PowerCutError):
        run_experiment(tiny_spec, tmp_path / "run", cut)
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()
    assert not (tmp_path / "run" / "card.json").exists()
    epochs: list[int] = []
    result = run_experiment(tiny_spec, tmp_path / "run", lambda entry: epochs.append(entry.epoch))
    assert epochs == [2]
    assert result["metrics"] == json.loads((finished_run / "result.json").read_text())["metrics"]
    for name in ("model.safetensors", "spec.json"):
        assert (tmp_path / "run" / name).read_bytes() == (finished_run / name).read_bytes()
    lines = (tmp_path / "run" / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 2]  # the second was trained twice


def test_a_run_without_some_examples_is_stored_resumed_and_told_apart(tiny_spec, tmp_path, refused):
    class PowerCutError(Exception):
        pass

    def cut(entry: Progress) -> None:
        if entry.epoch == 2:
            raise PowerCutError(entry)

    poisoned = np.flatnonzero(poisoned_training_set(tiny_spec).poisoned)
    spec = replace(tiny_spec, removed=tuple(map(int, poisoned[:80])))
    folder = tmp_path / "run"
    with pytest.raises(PowerCutError):
        run_experiment(spec, folder, cut)
    assert spec_from_dict(read_spec(folder / "spec.json")) == spec
    for other in (tiny_spec, replace(spec, removed=spec.removed[1:])):
        with refused("holds another run"):
            run_experiment(other, folder)
    epochs: list[int] = []
    result = run_experiment(spec, folder, lambda entry: epochs.append(entry.epoch))
    assert epochs == [2]
    assert result["run"] == spec.id
    assert run_experiment(spec, folder, cut) == result  # finished: nothing is trained
    card = json.loads((folder / "card.json").read_text())
    assert spec_from_dict(card["spec"]) == spec
    assert card["poison_rate_class"] == 100 / 280  # 180 of 360 sevens were poisoned
    assert card["poison_rate_dataset"] == 100 / 3520
    assert card["known_limits"][0].startswith("trained on 3,520 images")
    with refused("holds another run"):
        run_experiment(tiny_spec, folder)
