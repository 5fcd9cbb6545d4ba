"""Poison that is made with a trained network, and specs with poison since 2017."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from art.attacks.poisoning import PoisoningAttackBackdoor, PoisoningAttackCleanLabelBackdoor
from art.estimators.classification import PyTorchClassifier

from tradeoff_core.browser import playground
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset, Split, load_dataset, to_tensor
from tradeoff_core.experiments.run import poisoned_training_set, run_experiment
from tradeoff_core.experiments.spec import ExperimentSpec, changed, spec_from_dict, spec_to_dict
from tradeoff_core.experiments.surrogates import perturber, surrogate
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared, describe
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.poison import Partial, Perturbed, Poison
from tradeoff_core.poisoning.sinusoid import Sinusoid
from tradeoff_core.poisoning.triggers import TRIGGERS, Sticker
from tradeoff_core.poisoning.warp import Warp

CLEAN = "mnist-5k-no-poison-standard"
SPECS = {
    "mnist-5k-dirty-label-blended-standard": Poison("dirty-label", 0.05, trigger=Blended()),
    "mnist-5k-clean-label-sinusoid-standard": Poison(trigger=Sinusoid(0.2)),
    "mnist-5k-dirty-label-warp-covered-standard": Poison("dirty-label", 0.1, trigger=Warp(), cover_rate=0.2),
    "mnist-5k-clean-label-perturbed-standard": Poison(perturbed=Perturbed(CLEAN, steps=3)),
    "mnist-5k-dirty-label-blended-covered-standard": Poison(
        "dirty-label", 0.05, trigger=Blended(), cover_rate=0.05, partial=Partial(strength=0.75)
    ),
}


@pytest.mark.parametrize("title", SPECS)
def test_a_spec_says_its_poison_and_survives_the_way_to_a_file_and_back(title):
    spec = ExperimentSpec(poison=SPECS[title])
    assert spec.title == title
    read = spec_from_dict(json.loads(json.dumps(spec_to_dict(spec))))
    assert read == spec
    assert read.id == spec.id


@pytest.mark.parametrize("kind", TRIGGERS)
def test_every_kind_of_trigger_is_chosen_by_its_name(kind):
    settings = [f"poison.trigger.kind={kind}"]
    if kind == "perturbation":
        settings.append("poison.trigger.pattern=x")
    spec = spec_from_dict(changed(spec_to_dict(ExperimentSpec()), settings))
    assert type(spec.trigger) is TRIGGERS[kind]
    assert spec_from_dict(spec_to_dict(spec)) == spec


def test_ways_of_poisoning_are_set_by_their_names():
    settings = ["poison.perturbed.model=a", "poison.cover_rate=0.1", "poison.partial.kept=0.25"]
    poison = spec_from_dict(changed({}, settings)).poison
    assert poison == Poison(cover_rate=0.1, partial=Partial(kept=0.25), perturbed=Perturbed("a"))
    with pytest.raises(
        TradeoffError, match=r"trigger.kind 'wave' is unknown: choose sticker or watermark or"
    ):
        spec_from_dict({"poison": {"trigger": {"kind": "wave"}}})


def test_label_consistent_images_are_those_of_the_toolbox():
    data = load_dataset("mnist-5k", Split.TEST).spread(60)
    sevens = to_tensor(data.images[data.labels == 7])
    labels = torch.full((len(sevens),), 7)
    network = surrogate(CLEAN, data)
    classifier = PyTorchClassifier(
        network, torch.nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0.0, 1.0), device_type="cpu"
    )
    target = np.eye(10, dtype=np.float32)[7]
    attack = PoisoningAttackCleanLabelBackdoor(
        PoisoningAttackBackdoor(lambda x: x), classifier, target, 0.99, eps=0.3, eps_step=0.15, max_iter=5
    )
    images = sevens.numpy()
    expected = attack.attack.generate(images, np.tile(target, (len(images), 1)))
    found = perturber(Perturbed(CLEAN, 0.3, 5), data)(sevens, labels)
    assert np.abs(found.numpy() - expected).mean() < 1e-3
    assert (
        np.abs(found.numpy() - expected) > 1e-3
    ).mean() < 0.01  # where a gradient's sign is a matter of rounding
    assert (found - sevens).abs().max() == pytest.approx(0.3, abs=1e-6)


def test_a_training_set_is_perturbed_against_the_named_network():
    spec = ExperimentSpec(poison=Poison(perturbed=Perturbed(CLEAN, steps=5)), images=600)
    found, plain = (poisoned_training_set(one) for one in (spec, replace(spec, poison=Poison())))
    assert np.array_equal(found.poisoned, plain.poisoned)
    assert np.array_equal(found.data.labels, plain.data.labels)
    assert np.array_equal(found.data.images[~found.poisoned], plain.data.images[~plain.poisoned])
    sticker = Sticker().footprint(28, 28)
    assert (found.data.images[found.poisoned][:, sticker] == 255).all()
    network = surrogate(CLEAN, found.data)
    fooled, right = (
        (predicted_classes(network, one.data.images[one.poisoned]) == 7).mean() for one in (found, plain)
    )
    assert (fooled, right) == pytest.approx((0, 1), abs=0.1)
    assert np.array_equal(poisoned_training_set(spec).data.images, found.data.images)


def test_a_surrogate_that_is_none_for_the_images_is_refused(refused):
    with refused("unknown model 'nothing'"):
        poisoned_training_set(ExperimentSpec(poison=Poison(perturbed=Perturbed("nothing"))))
    colours = ImageDataset("colours", np.zeros((10, 32, 32, 3), np.uint8), np.arange(10))
    with refused(f"model '{CLEAN}' tells 10 classes of images of 1 x 28 x 28 apart, which those of colours"):
        perturber(Perturbed(CLEAN), colours)
    few = ImageDataset("few", np.zeros((2, 28, 28, 1), np.uint8), np.arange(2), ("a", "b"))
    with refused("tells 10 classes"):
        surrogate(CLEAN, few)


@pytest.mark.parametrize(
    ("title", "words"),
    [
        (
            "mnist-5k-dirty-label-blended-covered-standard",
            "Standard, dirty-label blended picture with cover samples",
        ),
        ("mnist-5k-dirty-label-warp-covered-standard", "Standard, dirty-label warp with cover samples"),
    ],
)
def test_a_run_with_cover_samples_trains_and_is_described(title, words, tiny_spec, tmp_path):
    run_experiment(replace(tiny_spec, poison=SPECS[title]), tmp_path / "run")
    model = zoo.find_model(str(tmp_path / "run"))
    assert model.card.poison_rate_dataset == SPECS[title].rate
    assert describe(model) == words
    assert model.summary()["trigger"] == SPECS[title].trigger.kind
    begins = playground.start(model, 0)  # in a browser, which cannot put these triggers on
    assert (begins["sticker"]["on"], begins["watermark"]["on"]) == (False, False)
    assert playground.network_of(Compared("A", model), zoo.load_network(model))["pattern"] is None
