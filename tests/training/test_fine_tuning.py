"""A second training after the first, a second measurement, and the certified accuracy beside the others."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tradeoff_core.attacks.attack import Attack, Norm, fgsm
from tradeoff_core.certification.bounds import certified
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments import run
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run import measure, poisoned_training_set, run_experiment
from tradeoff_core.experiments.spec import (
    ExperimentSpec,
    FineTuning,
    Source,
    changed,
    spec_from_dict,
    spec_to_dict,
)
from tradeoff_core.models.zoo import find_model, load_network
from tradeoff_core.networks import build, freeze
from tradeoff_core.training import loop
from tradeoff_core.training.loop import Progress
from tradeoff_core.training.recipe import Training

SECOND = Training(Attack(epsilon=0.1, steps=1), epochs=2, batch_size=200, learning_rate=3e-3)


class PowerCutError(Exception):
    pass


@pytest.fixture(scope="module")
def tuned_spec(tiny_spec) -> ExperimentSpec:
    """Two epochs and two more, on the few held-out digits."""
    return replace(tiny_spec, fine_tuning=FineTuning(SECOND), second_evaluation=fgsm(0.05))


@pytest.fixture(scope="module")
def tuned_run(tuned_spec, tmp_path_factory) -> tuple[Path, list[Progress]]:
    """The folder of the unbroken run, and what it told of its epochs."""
    folder, told = tmp_path_factory.mktemp("tuned") / "run", []
    run_experiment(tuned_spec, folder, told.append)
    return folder, told


def specs() -> dict[str, ExperimentSpec]:
    attacked = Training(Attack(epsilon=1.0, steps=7, step_size=0.35, patch=5), epochs=3)
    return {
        "default": ExperimentSpec(fine_tuning=FineTuning()),
        "training images": ExperimentSpec(fine_tuning=FineTuning(SECOND, Source.TRAINING)),
        "patch": ExperimentSpec(training=attacked, fine_tuning=FineTuning(attacked)),
        "second evaluation": ExperimentSpec(second_evaluation=fgsm(0.3, targeted=True)),
        "both": ExperimentSpec(
            fine_tuning=FineTuning(SECOND), second_evaluation=Attack(Norm.L2, 2.0), removed=(1, 2), seed=3
        ),
    }


@pytest.mark.parametrize("spec", specs().values(), ids=specs())
def test_a_spec_survives_the_way_to_a_file_and_back(spec):
    read = spec_from_dict(json.loads(json.dumps(spec_to_dict(spec))))
    assert read == spec
    assert type(read.fine_tuning) is type(spec.fine_tuning)
    if read.fine_tuning:
        assert isinstance(read.fine_tuning.images, Source)


def test_fine_tuning_can_be_set_field_by_field():
    spec = spec_from_dict(changed({}, ["fine_tuning.images=training", "fine_tuning.training.epochs=3"]))
    assert spec.fine_tuning == FineTuning(Training(epochs=3), Source.TRAINING)
    assert spec_from_dict({"fine_tuning": {}}).fine_tuning == FineTuning(Training(), Source.HELD_OUT)
    assert spec_from_dict({"fine_tuning": "none", "second_evaluation": "none"}) == ExperimentSpec()
    spec = spec_from_dict(changed({}, ["second_evaluation.epsilon=0.1"]))
    assert spec.second_evaluation == Attack(epsilon=0.1)


def test_ids_differ_where_specs_do():
    everything = [ExperimentSpec(), *specs().values()]
    assert len({spec.id for spec in everything}) == len(set(everything)) == len(everything)
    assert specs()["default"].title == "mnist-5k-clean-label-standard-tuned-standard"
    assert specs()["patch"].title == "mnist-5k-clean-label-pgd-1-patch5-tuned-pgd-1-patch5"
    assert specs()["second evaluation"].title == ExperimentSpec().title


def test_specs_from_before_have_the_ids_they_had():
    lines = (RESULTS / "curve-mnist-5k.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert len(entries) > 10
    for entry in entries:
        document = entry["spec"]
        assert not {"fine_tuning", "second_evaluation"} & set(document)
        spec = spec_from_dict(document)
        assert spec_to_dict(spec) == document
    # the last eight characters hash everything in a spec
    assert PRESETS["standard"].id == "mnist-5k-clean-label-standard-seed0-9c09a1fa"
    assert ExperimentSpec().id == "mnist-5k-clean-label-standard-seed0-7d44a3ee"
    assert PRESETS["fast"].id == "mnist-5k-clean-label-pgd-0.3-seed0-b1d81122"
    assert PRESETS["paper"].id == "mnist-5k-clean-label-pgd-0.3-seed0-4714b1c0"


def test_epochs_are_those_of_both_trainings():
    assert ExperimentSpec(training=Training(epochs=7)).epochs == 7
    assert ExperimentSpec(training=Training(epochs=7), fine_tuning=FineTuning(SECOND)).epochs == 9


def test_specs_are_trained_alike_whatever_they_are_measured_with():
    spec = specs()["both"]
    measured = [
        spec,
        replace(spec, evaluation=fgsm(0.1)),
        replace(spec, second_evaluation=None),
        replace(spec, evaluation=Attack(steps=3), second_evaluation=Attack(steps=3)),
    ]
    assert len({other.as_trained for other in measured}) == 1
    others = [
        replace(spec, fine_tuning=None),
        replace(spec, fine_tuning=FineTuning(SECOND, Source.TRAINING)),
        replace(spec, fine_tuning=FineTuning(replace(SECOND, epochs=1))),
        replace(spec, seed=4),
    ]
    assert len({other.as_trained for other in [spec, *others]}) == 5
    assert spec.as_trained.as_trained == spec.as_trained


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"images": "test"}, "images 'test' is unknown: choose training or held-out"),
        ({"images": 3}, "images '3' is unknown"),
        ({"images": True}, "images 'True' is unknown"),
        ({"epochs": 3}, "unknown field 'fine_tuning.epochs': choose one of training, images"),
        ({"training": {"epochs": 0}}, "epochs 0"),
        (3, "fine_tuning must be a table"),
    ],
)
def test_a_wrong_fine_tuning_gets_one_sentence(document, named, refused):
    with refused(named):
        spec_from_dict({"fine_tuning": document})


def test_epochs_run_on_through_both_trainings(tuned_run):
    folder, told = tuned_run
    assert [(entry.epoch, entry.epochs) for entry in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [entry.pgd_accuracy is None for entry in told] == [True, True, False, False]
    written = [Progress(**json.loads(line)) for line in (folder / "progress.jsonl").open()]
    assert written == told
    card = json.loads((folder / "card.json").read_text())
    assert card["training_seconds"] == pytest.approx(sum(entry.seconds for entry in told), abs=0.06)
    assert not list(folder.glob("checkpoint*"))


def test_epochs_of_overfitting_are_counted_through_both_trainings(tuned_spec, tmp_path, monkeypatch):
    overfitted = property(lambda entry: entry.pgd_accuracy is not None)
    monkeypatch.setattr(Progress, "catastrophic_overfitting", overfitted)
    assert run_experiment(tuned_spec, tmp_path)["catastrophic_overfitting_epochs"] == [3, 4]


@pytest.mark.parametrize("lost", [2, 3, 4], ids=["first", "between", "second"])
def test_22_a_run_broken_off_in_either_training_ends_as_an_unbroken_one(
    lost, tuned_run, tuned_spec, tmp_path
):
    def cut(entry: Progress) -> None:
        if entry.epoch == lost:
            raise PowerCutError

    folder = tmp_path / "run"
    with pytest.raises(PowerCutError):
        run_experiment(tuned_spec, folder, cut)
    assert not (folder / "card.json").exists()
    epochs: list[int] = []
    result = run_experiment(tuned_spec, folder, lambda entry: epochs.append(entry.epoch))
    assert epochs == list(range(lost, 5))
    unbroken = json.loads((tuned_run[0] / "result.json").read_text())
    for name in ("metrics", "second_metrics"):
        assert result[name] == unbroken[name]
    assert (folder / "model.safetensors").read_bytes() == (tuned_run[0] / "model.safetensors").read_bytes()
    assert len((folder / "progress.jsonl").read_text().splitlines()) == 5  # one epoch was trained twice


def test_22_a_run_killed_within_the_second_training_loses_that_epoch_only(
    tuned_run, tuned_spec, tmp_path, monkeypatch
):
    calls: list[int] = []

    def dying(*arguments, **more):
        calls.append(1)
        if len(calls) == 5:  # 2 batches and 1 validation an epoch, of the second training only: in its second
            raise PowerCutError
        return perturb(*arguments, **more)

    perturb = loop.perturb
    monkeypatch.setattr(loop, "perturb", dying)
    with pytest.raises(PowerCutError):
        run_experiment(tuned_spec, tmp_path / "run")
    monkeypatch.undo()
    epochs: list[int] = []
    run_experiment(tuned_spec, tmp_path / "run", lambda entry: epochs.append(entry.epoch))
    assert epochs == [4]
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert weights == (tuned_run[0] / "model.safetensors").read_bytes()


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_network(find_model(str(folder))).state_dict()


def test_fine_tuning_starts_from_the_first_trainings_weights(finished_run, tuned_run, tiny_spec, tmp_path):
    """With steps far below what float16 can show it ends where it started."""
    still = Training(epochs=1, batch_size=400, learning_rate=1e-12)
    run_experiment(replace(tiny_spec, fine_tuning=FineTuning(still)), tmp_path / "still")
    first, second = weights_of(finished_run), weights_of(tmp_path / "still")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    moved = weights_of(tuned_run[0])
    assert not any(torch.equal(value, moved[name]) for name, value in first.items())
    fresh = build(tiny_spec.network, tiny_spec.width, tiny_spec.seed).state_dict()

    def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
        return sum((value - other[name]).square().sum().item() for name, value in one.items()) ** 0.5

    assert distance(moved, first) < distance(moved, fresh)


@pytest.mark.parametrize("source", list(Source))
def test_the_second_training_sees_the_images_it_names(source, tiny_spec, tmp_path, monkeypatch):
    calls: list[tuple[Any, ...]] = []

    def watched(_, *arguments, **__):
        calls.append(arguments)
        return []

    monkeypatch.setattr(run, "train", watched)
    spec = replace(tiny_spec, seed=2, fine_tuning=FineTuning(SECOND, source))
    run_experiment(spec, tmp_path / "run")
    (images, labels, first, seed), (tuned_images, tuned_labels, tuned, tuned_seed) = calls
    poisoned, held_out = poisoned_training_set(spec).data, load_dataset(spec.dataset, Split.VALIDATION)
    assert np.array_equal(images, poisoned.images)
    expected = held_out if source is Source.HELD_OUT else poisoned
    assert np.array_equal(tuned_images, expected.images)
    assert torch.equal(tuned_labels, expected.tensors()[1])
    assert (first, tuned) == (spec.training, SECOND)
    assert len({seed, tuned_seed}) == 2
    assert torch.equal(labels, poisoned.tensors()[1])


def test_a_second_measurement_stands_beside_the_first(tuned_run, tuned_spec, finished_run):
    folder, _ = tuned_run
    result, card = (json.loads((folder / f"{name}.json").read_text()) for name in ("result", "card"))
    assert result["second_metrics"] == card["second_metrics"]
    assert (card["second_metrics"]["epsilon"], card["second_metrics"]["steps"]) == (0.05, 1)
    assert (card["metrics"]["epsilon"], card["metrics"]["steps"]) == (0.1, 2)
    network, test = load_network(find_model(str(folder))), load_dataset("mnist-5k", Split.TEST).tensors()
    assert measure(network, *test, tuned_spec, tuned_spec.second_evaluation) == card["second_metrics"]
    weights = (folder / "model.safetensors").read_bytes()
    assert card["sha256"] == hashlib.sha256(weights).hexdigest()
    assert "second_metrics" not in json.loads((finished_run / "card.json").read_text())


@pytest.mark.parametrize("epsilon", [0.0, 0.001, 0.003, 0.3])
def test_10_certified_accuracy_is_the_share_that_is_proved_and_at_most_the_adversarial(
    epsilon, hardened_network, digits
):
    images, labels = digits[0].repeat(2, 1, 1, 1), digits[1].repeat(2)  # more than one batch
    measured = measure(hardened_network, images, labels, ExperimentSpec(), Attack(epsilon=epsilon, steps=2))
    proved = certified(hardened_network, images, labels, epsilon)
    assert measured["certified_accuracy"] == pytest.approx(proved.double().mean().item(), abs=1e-7)
    assert measured["certified_accuracy"] <= measured["adversarial_accuracy"] + 1e-7
    if epsilon in (0.001, 0.003):
        assert 0 < measured["certified_accuracy"] < measured["clean_accuracy"]
    if epsilon == 0:
        assert measured["certified_accuracy"] == pytest.approx(measured["clean_accuracy"])


UNPROVED = {
    "l2": Attack(Norm.L2, 0.5, steps=1),
    "patch": Attack(epsilon=0.1, steps=1, patch=5),
    "l2 patch": Attack(Norm.L2, 0.5, steps=1, patch=5),
}


@pytest.mark.parametrize("attack", UNPROVED.values(), ids=UNPROVED)
def test_bounds_in_linf_say_nothing_of_other_attacks(attack, standard_network, digits):
    measured = measure(standard_network, digits[0][:20], digits[1][:20], ExperimentSpec(), attack)
    assert "certified_accuracy" not in measured
    assert measured["n"] == 20


def test_a_network_without_bounds_for_every_layer_has_no_certified_accuracy(digits):
    def measured(network: nn.Module) -> dict[str, Any]:
        return measure(
            network, digits[0][:10], digits[1][:10], ExperimentSpec(), Attack(epsilon=0.1, steps=1)
        )

    network = freeze(build("mnist-cnn", 0.1, seed=0))
    assert "certified_accuracy" in measured(network)
    assert "certified_accuracy" not in measured(freeze(build("mnist-cnn-denoising", 0.1, seed=0)))
    convolution = network.stages["conv1"][0]
    convolution.padding_mode = "reflect"
    assert "certified_accuracy" not in measured(network)


def test_a_targeted_attack_is_measured_beside_the_bounds_too(standard_network, digits):
    measured = measure(standard_network, *digits, ExperimentSpec(), fgsm(0.002, targeted=True))
    assert 0 < measured["certified_accuracy"] <= measured["adversarial_accuracy"]
    assert measured["adversarial_accuracy"] <= measured["clean_accuracy"]
    assert np.isfinite(measured["certified_accuracy"])
