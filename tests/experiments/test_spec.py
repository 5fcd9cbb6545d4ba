"""Ids of specs: what was measured under an id is found under it for good."""

import json
from dataclasses import replace

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict, spec_to_dict

LINES = [
    line
    for file in sorted(RESULTS.glob("*.jsonl"))
    for line in map(json.loads, file.read_text().splitlines())
    if "spec" in line and "run" in line
]


def test_every_measured_run_has_the_id_that_it_was_measured_under():
    assert len(LINES) > 300
    for line in LINES:
        spec = spec_from_dict(line["spec"])
        later = {"sha256", "second_metrics"} <= set(line)  # attacked once it was trained
        trained = replace(spec, second_evaluation=None) if later else spec
        assert trained.id == line["run"]
        assert spec_to_dict(spec) == line["spec"]


@pytest.mark.parametrize(
    "name",
    [
        "mnist-5k-clean-label-standard-seed0-9c09a1fa",
        "mnist-5k-dirty-label-standard-tuned-pgd-0.3-seed1-dccce311",
        "mnist-5k-dirty-label-watermark-standard-seed0-e67c364d",
        "mnist-5k-clean-label-pgd-2-l2-seed0-c824eace",
        "mnist-5k-clean-label-ibp-0.4-mnist-ibp-small-seed0-1c908214",
        "tiny-imagenet-20-dirty-label-standard-seed0-05b4ac09",
    ],
)
def test_ids_of_every_kind_of_spec_are_what_they_always_were(name):
    known = {spec_from_dict(line["spec"]).id for line in LINES} | {spec.id for spec in PRESETS.values()}
    cards = (RESULTS.parent / "models").glob("*/card.json")
    known |= {spec_from_dict(json.loads(card.read_text())["spec"]).id for card in cards}
    assert name in known


def test_a_typed_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pets").mkdir()
    assert ExperimentSpec(dataset="~/pets").dataset == f"{tmp_path}/pets"
    assert spec_from_dict({"dataset": "~/pets"}).dataset == f"{tmp_path}/pets"


def test_only_networks_trained_against_perturbations_count_as_defended():
    defended = {name for name, spec in PRESETS.items() if spec.defended}
    assert {"adversarial", "fast", "lipschitz", "ibp", "denoising"} <= defended
    assert "standard" not in defended
    assert PRESETS["denoising"].training_in_words == "standard with denoising"


@pytest.mark.parametrize("network", ["mnist-vit", "cifar-vit"])
def test_a_transformer_is_told_from_other_networks_in_words_and_ids(network):
    spec = replace(PRESETS["fast"], network=network)
    assert spec.training_in_words == "adversarial ε 0.3 with a transformer"
    assert spec.title == f"mnist-5k-clean-label-pgd-0.3-{network}"
    assert not replace(PRESETS["standard"], network=network).defended
