"""Training that starts from the weights of another model: its body is taken, its head is a fresh one."""

import json
from dataclasses import replace

import pytest
import torch

from tradeoff_core.datasets import ImageDataset, Split, load_dataset
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run import fresh_network, run_experiment
from tradeoff_core.experiments.spec import ExperimentSpec, changed, spec_from_dict, spec_to_dict
from tradeoff_core.models import zoo
from tradeoff_core.networks import build
from tradeoff_core.training.augmentation import Augmentation

LITE0 = "imagenet-efficientnet-lite0"
DIGITS = "mnist-5k-clean-label-standard"


@pytest.fixture
def noise() -> ImageDataset:
    """Two pictures of 64 x 64 with ten classes' names."""
    images = torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(0))
    return ImageDataset("noise", images.to(torch.uint8).numpy(), torch.tensor([0, 9]).numpy())


@pytest.mark.parametrize(
    ("preset", "known"),
    [
        ("standard", "mnist-5k-clean-label-standard-seed0-9c09a1fa"),
        ("cifar10-adversarial", "cifar10-clean-label-pgd-8-255-seed0-4f4b5acd"),
        ("fine-tuning", "mnist-5k-dirty-label-standard-tuned-pgd-0.3-seed0-172b91e2"),
    ],
)
def test_a_spec_without_a_start_keeps_the_id_that_it_had(preset, known):
    assert PRESETS[preset].id == known
    assert "start" not in spec_to_dict(PRESETS[preset])


def test_the_id_names_a_start_that_is_not_usual_for_the_data_set():
    usual = PRESETS["imagenette-standard"]
    assert usual.start == LITE0
    assert usual.title == "imagenette-128-clean-label-standard"
    assert replace(usual, start=None).title == "imagenette-128-clean-label-standard-from-scratch"
    assert replace(usual, start="runs/my run").title == "imagenette-128-clean-label-standard-from-my-run"
    digits = replace(PRESETS["standard"], start=DIGITS)
    assert digits.title == f"mnist-5k-clean-label-standard-from-{DIGITS}"
    for spec in (usual, digits):
        assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))) == spec
    assert spec_from_dict(changed(spec_to_dict(usual), ["start=none"])).start is None


def test_the_body_is_the_models_and_the_head_a_fresh_one(noise):
    spec = replace(PRESETS["imagenette-standard"], seed=3)
    network, checksum = fresh_network(spec, noise)
    model = zoo.find_model(LITE0)
    assert checksum == model.sha256
    given, fresh = zoo.load_network(model, folded=False), build(spec.network, 1.0, 3, 10)
    images = noise.tensors()[0]
    assert torch.equal(network.cpu().eval().features(images), given.features(images))
    assert torch.equal(network.head.weight, fresh.head.weight)
    assert network.head.weight.shape == (10, 1280)
    assert all(parameter.requires_grad for parameter in network.parameters())
    without, none = fresh_network(replace(spec, start=None), noise)
    assert none is None
    assert all(
        torch.equal(value, fresh.state_dict()[key]) for key, value in without.cpu().state_dict().items()
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"start": "imagenet-nothing"}, "unknown model 'imagenet-nothing': choose "),
        ({"start": "/not/there"}, "unknown model '/not/there'"),
        (
            {"start": DIGITS},
            f"start '{DIGITS}' holds the weights of mnist-cnn at 0.5 of its width, which do not fit",
        ),
        ({"width": 0.5}, f"start '{LITE0}' holds the weights of efficientnet-lite0 at 1 of its width"),
        ({"network": "resnet-18"}, "which do not fit the network of this spec"),
    ],
)
def test_a_start_that_is_none_or_does_not_fit_gets_one_sentence(changes, said, noise, refused):
    with refused(said):
        fresh_network(replace(PRESETS["imagenette-standard"], **changes), noise)


@pytest.mark.parametrize(
    ("start", "said"), [("", "start '' names no model"), (7, "start must be a text, not '7'")]
)
def test_a_start_must_be_a_name(start, said, refused):
    with refused(said):
        spec_from_dict({"start": start})


def test_a_run_goes_on_from_a_finished_run_and_its_card_says_from_which(finished_run, tiny_spec, tmp_path):
    spec = replace(tiny_spec, start=str(finished_run), seed=5)
    run_experiment(spec, tmp_path / "run")
    model = zoo.find_model(str(tmp_path / "run"))
    assert model.spec == spec
    assert model.card.start_sha256 == zoo.find_model(str(finished_run)).sha256
    assert zoo.find_model(str(finished_run)).card.start_sha256 is None
    other = run_experiment(replace(spec, start=None), tmp_path / "other")
    assert other["metrics"] != model.card.metrics


def test_an_imagenette_run_trains_against_an_attack_from_pretrained_weights(tmp_path, monkeypatch):
    """A batch of noise in place of the pictures: what is tested is that all parts take 128 x 128 and the start."""
    generator = torch.Generator().manual_seed(0)

    def load(_: str, __: Split) -> ImageDataset:
        images = torch.randint(0, 256, (20, 128, 128, 3), generator=generator).to(torch.uint8).numpy()
        return ImageDataset("imagenette-128", images, torch.arange(20).remainder(10).numpy())

    monkeypatch.setattr("tradeoff_core.experiments.run.load_dataset", load)
    adversarial = PRESETS["imagenette-adversarial"]
    training = replace(adversarial.training, epochs=1, batch_size=10)
    result = run_experiment(
        replace(adversarial, training=training, evaluation=replace(adversarial.evaluation, steps=1)),
        tmp_path / "run",
    )
    assert result["metrics"]["n"] == 20
    model = zoo.find_model(str(tmp_path / "run"))
    assert model.card.poison_rate_class == 0.5
    assert model.spec.target_class == 2
    assert zoo.load_network(model).classes == 10


def test_the_presets_sticker_is_never_cut_off_by_the_augmentation():
    spec = PRESETS["imagenette-standard"]
    augmentation = spec.training.augmentation
    assert isinstance(augmentation, Augmentation)
    rows, columns = spec.trigger.footprint(128, 128).nonzero()
    assert max(rows.max(), columns.max()) + augmentation.padding < 128


def test_the_usual_data_set_without_poison_counts_the_class_that_others_poison():
    spec = ExperimentSpec(dataset="imagenette-128", network="efficientnet-lite0", poison=None)
    assert spec.target_class == PRESETS["imagenette-standard"].poison.target_class == 2
    assert spec.trigger == PRESETS["imagenette-standard"].poison.trigger
    assert load_dataset("mnist-5k", Split.TEST).name == "mnist-5k"
