"""The lines of the detectors: all of them of every poisoned network of digits, and found again."""

import json

import numpy as np
import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.defenses.finding import AT_TEST_TIME, Evidence, Finder, find
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.tools.measure import __main__ as tool
from tradeoff_core.tools.measure import finding, lines
from tradeoff_core.tools.measure.detection import examples_of

NAME = "finding-mnist-5k.jsonl"
EVERY = [(finder, "training") for finder in Finder] + [(finder, "test") for finder in AT_TEST_TIME]


def test_every_poisoned_network_of_digits_has_a_line_of_each_detector():
    made = [json.loads(line) for line in (RESULTS / NAME).read_text().splitlines()]
    models = [model for name in zoo.model_ids() if finding.applies(model := zoo.find_model(name))]
    assert len(models) == 16
    swept = {run.name for run in results.sweep("poisons", "mnist-5k")}  # of some of which there are lines too
    assert {line["run"] for line in made} <= {model.spec.id for model in models} | swept
    assert len(made) % len(EVERY) == 0
    for model in models:
        own = [line for line in made if lines.holds(line, model)]
        assert [(line["finder"], line["when"]) for line in own] == EVERY
        for line in own:
            if line["when"] == "training":
                assert line["n_removed"] == line["n_poisoned"]
                assert line["chance"] == pytest.approx(line["n_poisoned"] / line["n"], abs=1e-6)
                assert line["n_poisoned"] == 180
            else:
                assert line["n"] == 2 * line["n_poisoned"] == 360
            assert 0 <= line["auroc"] <= 1


def test_what_is_committed_is_found_again():
    model = zoo.find_model("mnist-5k-dirty-label-standard")
    evidence = Evidence(zoo.load_network(model), poisoned_training_set(model.spec), examples_of(model).seen)
    made = {
        line["finder"]: line
        for line in results.lines_of(NAME)
        if lines.holds(line, model) and line["when"] == "training"
    }
    for finder in (Finder.SPECTRAL, Finder.SPECTRE, Finder.SCALE_UP):
        detection = find(finder, evidence)
        assert detection.auroc == pytest.approx(made[finder]["auroc"], abs=2e-3)
        assert detection.detection_rate.value == pytest.approx(made[finder]["detection_rate"], abs=0.02)
    assert made["spectre"]["auroc"] > made["spectral-signatures"]["auroc"] + 0.2


def test_the_first_epochs_are_trained_again_as_they_were(finished_run, monkeypatch):
    model = zoo.find_model(str(finished_run))
    training = poisoned_training_set(model.spec)
    index = np.flatnonzero(training.data.labels == 7)
    kept = np.array(RunFolder(finished_run).losses(7, len(index)))
    assert np.array_equal(finding.losses_of(model, training, index), kept)
    assert np.abs(finding.first_losses(model, training, index) - kept).max() < 1e-3
    monkeypatch.setattr(finding, "FIRST", 1)
    first = finding.first_losses(model, training, index)
    assert first.shape == (1, len(index))
    assert np.abs(first - kept[:1]).max() < 1e-3


def test_a_finished_run_can_be_measured(finished_run, tmp_path, monkeypatch):
    for module in (results, lines):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(finding, "TESTED", 40)
    assert tool.main(["finding", str(finished_run)]) == 0
    made = results.lines_of(NAME)
    assert [(line["finder"], line["when"]) for line in made] == EVERY
    assert {line["run"] for line in made} == {zoo.find_model(str(finished_run)).spec.id}
