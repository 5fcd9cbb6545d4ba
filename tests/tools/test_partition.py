"""The curve of the partition certificate: counted again from votes, and committed."""

import json

import numpy as np
import pytest

from tradeoff_core.certification.partition import Ensemble, Partition, certify
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.findings import results
from tradeoff_core.tools import partition as tool

MINUTES = 5  # that a hundred networks may take on one core


@pytest.fixture
def few(tmp_path, monkeypatch):
    """The tool measures on a tenth of the digits, into an empty folder."""
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(tool, "load_dataset", lambda name, split: load_dataset(name, split).spread(200))


@pytest.mark.usefixtures("few")
def test_the_tool_counts_what_is_certified():
    assert tool.main(["--parts", "5", "3", "--threads", "1"]) == 0
    assert tool.main(["--parts", "3", "--threads", "1"]) == 0  # in its place
    three, five = results.lines_of(tool.FILE)
    assert (three["parts"], five["parts"]) == (3, 5)
    test = load_dataset("mnist-5k", Split.TEST).spread(200)
    ensemble = Ensemble(Partition(5), 10)
    ensemble.train(load_dataset("mnist-5k", Split.TRAIN).spread(200))
    votes = ensemble.votes(test.images)
    certificate = certify(votes)
    right = votes.argmax(axis=1) == test.labels
    assert five["certified"] == [
        int((right & (certificate.radius >= poisoned)).sum()) for poisoned in range(4)
    ]
    assert five["certified"][0] > 60
    assert five["n"] == five["trained_on"] == 200
    assert five["member_accuracy"] == pytest.approx(votes[np.arange(200), test.labels].mean() / 5, abs=1e-6)


def test_the_committed_curves_fall_to_nothing():
    made = [json.loads(line) for line in (RESULTS / tool.FILE).read_text().splitlines()]
    assert [line["parts"] for line in made] == list(tool.PARTS)
    for line in made:
        counts = line["certified"]
        assert counts == sorted(counts, reverse=True)
        assert counts[-1] == 0
        assert len(counts) <= line["parts"] // 2 + 2
        assert counts[0] > line["member_accuracy"] * line["n"]  # a vote is better than its voters
        assert (line["n"], line["trained_on"]) == (1000, 3600)
    (hundred,) = (line for line in made if line["parts"] == 100)
    assert hundred["training_seconds"] < 60 * MINUTES
    assert hundred["certified"][10] > 650
