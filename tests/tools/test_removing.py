"""The lines of removal and reopening: of which networks, keyed by their weights, and what the committed ones say."""

import json

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.defenses.removal.applied import Removal
from tradeoff_core.defenses.removal.reopening import COUNTS
from tradeoff_core.models import zoo
from tradeoff_core.tools.measure import removing
from tradeoff_core.tools.measure.networks import in_the_zoo


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (RESULTS / f"{name}-mnist-5k.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def digits() -> list[zoo.Model]:
    models = [zoo.find_model(name) for name in zoo.model_ids() if name.startswith("mnist-5k")]
    return [model for model in models if in_the_zoo(model)]


def test_back_doors_are_removed_of_the_zoos_poisoned_digits_and_the_clean_ones_are_the_control(
    digits, finished_run
):
    assert len(digits) == 18
    assert sum(removing.is_removed(model) for model in digits) == 16
    assert all(removing.is_reopened(model) for model in digits)
    for other in (zoo.find_model("cifar10-dirty-label-standard"), zoo.find_model(str(finished_run))):
        assert not removing.is_removed(other)
        assert not removing.is_reopened(other)


def test_every_removal_of_every_poisoned_network_is_measured(digits):
    found = {(line["model"], line["sha256"], line["method"]) for line in lines("removal")}
    expected = {
        (model.id, model.sha256, method) for model in digits if model.spec.poison for method in Removal
    }
    assert found == expected
    for line in lines("removal"):
        assert line["images"] == 400
        assert line["before"]["n"] == line["after"]["n"] == 1000
        assert ("isolated" in line) == (line["method"] == "abl")


def test_every_network_is_reopened_as_it_is_and_after_each_removal(digits):
    found = lines("reopening")
    for model in digits:
        own = [line for line in found if line["sha256"] == model.sha256]
        methods = [line["method"] for line in own]
        if model.spec.poison is None:
            assert methods == ["none", "none"]
            assert {line["trigger"] for line in own} == {"sticker", "watermark"}
        else:
            kept = (RESULTS / "triggers" / f"{model.sha256[:16]}.npz").exists()
            assert methods == ["none", *Removal, *(["neural-cleanse"] if kept else [])]
    for line in found:
        assert line["poisoned"] == list(COUNTS)
        assert len(line["success"]) == len(line["clean"]) == len(COUNTS)


def test_the_lines_of_one_network(monkeypatch):
    """A short way through: what is measured is of the model's weights, and the control wears each trigger."""
    asked = []

    class Curve:
        def document(self):
            return {"poisoned": []}

    def reopened(*_, trigger):
        asked.append(trigger)
        return Curve()

    monkeypatch.setattr(removing, "reopen", reopened)
    control = zoo.find_model("mnist-5k-no-poison-standard")
    made = removing.reopening_lines(control)
    assert [(line["model"], line["sha256"], line["method"]) for line in made] == [
        (control.id, control.sha256, "none")
    ] * 2
    assert (
        [trigger.kind for trigger in asked] == ["sticker", "watermark"] == [line["trigger"] for line in made]
    )
    monkeypatch.setattr(removing, "cleansed", lambda network, *_, **__: network)
    poisoned = zoo.find_model("mnist-5k-dirty-label-watermark-standard")
    asked.clear()
    made = removing.reopening_lines(poisoned)
    assert [line["method"] for line in made] == ["none", *Removal, "neural-cleanse"]
    assert asked == [poisoned.spec.trigger] * 6
