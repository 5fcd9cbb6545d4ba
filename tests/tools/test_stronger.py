"""What the stronger attacks leave, on a card."""

import json
import shutil

import numpy as np
import pytest

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.models import zoo
from tradeoff_core.tools.measure import __main__ as measuring
from tradeoff_core.tools.measure import stronger as tool
from tradeoff_core.tools.measure.stronger import subset


def test_the_subset_has_as_many_of_every_class(monkeypatch):
    ordered = subset("mnist-5k")
    assert np.bincount(ordered.labels).tolist() == [20] * 10
    test = load_dataset("mnist-5k", Split.TEST)
    shuffled = test.take(np.random.default_rng(0).permutation(len(test)))
    monkeypatch.setattr(tool, "load_dataset", lambda _name, _split: shuffled)
    assert np.bincount(subset("mnist-5k").labels).tolist() == [20] * 10


@pytest.fixture
def folder(finished_run, tmp_path, monkeypatch):
    """A copy of a finished run, whose card has no entry yet; short attacks."""
    monkeypatch.setattr(tool, "STEPS", 2)
    monkeypatch.setattr(tool, "QUERIES", 2)
    copied = shutil.copytree(finished_run, tmp_path / "run")
    change_card(copied, lambda card: card["metrics"].pop("certified_accuracy"))
    return copied


def change_card(folder, change) -> None:
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))


def test_the_tool_completes_a_card_once(folder, finished_run, capsys):
    before = json.loads((folder / "card.json").read_text())
    assert measuring.main(["stronger", "--threads", "1", str(folder)]) == 0
    card = json.loads((folder / "card.json").read_text())
    entry = card.pop("stronger")
    assert card == json.loads((finished_run / "card.json").read_text())  # certified accuracy is back
    assert card["metrics"].items() > before["metrics"].items()
    assert entry["sha256"] == card["sha256"]
    assert entry["subset"] == "200 test examples, evenly spread over the classes"
    assert entry["n"] == 200
    assert entry["versions"]["torchattacks"] == "3.3.0"
    line = json.loads(capsys.readouterr().err)
    assert line == {"what": "stronger", "network": "run"}
    zoo.find_model(str(folder))  # the card can be read

    content = (folder / "card.json").read_bytes()
    assert measuring.main(["stronger", "--threads", "1", str(folder)]) == 0
    assert (folder / "card.json").read_bytes() == content
    change_card(folder, lambda card: card["stronger"].update(sha256="of other weights", n=3))
    assert measuring.main(["stronger", "--threads", "1", str(folder)]) == 0
    assert json.loads((folder / "card.json").read_text())["stronger"]["n"] == 200
    assert [file.name for file in folder.glob(".*")] in ([], [".lock"])  # no half-written card


def test_the_tool_refuses_metrics_that_do_not_come_out_again(folder, capsys):
    change_card(folder, lambda card: card["metrics"].update(adversarial_accuracy=0.123))
    content = (folder / "card.json").read_bytes()
    assert measuring.main(["stronger", "--threads", "1", str(folder)]) == 1
    assert (folder / "card.json").read_bytes() == content
    line = json.loads(capsys.readouterr().err)
    assert "adversarial_accuracy of 'run' is 0.123 on its card" in line["error"]


def test_the_tool_writes_nothing_for_weights_that_have_changed(folder, refused):
    model = zoo.find_model(str(folder))
    change_card(folder, lambda card: card.update(sha256=64 * "0"))
    content = (folder / "card.json").read_bytes()
    with refused("changed while they were measured"):
        tool.write_into_card(model, {"stronger": {}})
    assert (folder / "card.json").read_bytes() == content
