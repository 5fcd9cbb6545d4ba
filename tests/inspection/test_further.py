"""The further columns stand in the order of the table's, and are what the detectors say."""

import numpy as np
import pytest

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.detection import read_examples
from tradeoff_core.defenses.finding import Evidence, Finder, suspicion
from tradeoff_core.inspection import judging
from tradeoff_core.inspection.further import explanations, further_suspicions
from tradeoff_core.inspection.table import Score, tabulate
from tradeoff_core.poisoning.poison import Poison, PoisonLabels, poison_dataset

QUICK = (Finder.SPECTRAL, Finder.SPECTRE, Finder.SCALE_UP, Finder.ISOLATION, Finder.STRIP)


@pytest.fixture(scope="module")
def training():
    data = load_dataset("mnist-5k", Split.TRAIN).spread(600)
    return poison_dataset(data, Poison(PoisonLabels.DIRTY, rate=0.1), np.random.default_rng(1))


def test_the_columns_are_the_detectors_in_the_tables_order(poisoned_network, training):
    examples = read_examples(poisoned_network, training, 7, "penultimate")
    table = tabulate(poisoned_network, examples, training)
    held_out = load_dataset("mnist-5k", Split.VALIDATION).spread(50)
    losses = np.random.default_rng(0).random((3, len(examples.seen.index)))
    evidence = Evidence(poisoned_network, training, examples.seen, held_out, losses)
    columns = further_suspicions(evidence, QUICK)
    assert list(columns) == ["spectre", "scale-up", "loss-isolation", "strip"]  # the table has the first
    for name, column in columns.items():
        assert column.shape == table.index.shape
        assert np.array_equal(column, suspicion(Finder(name), evidence, 0.1))
    assert judging.worth(table.index, columns["strip"], table.poisoned)["auroc"] > 0.9


def test_what_cannot_be_asked_is_left_out(poisoned_network, training):
    examples = read_examples(poisoned_network, training, 7, "penultimate")
    assert list(further_suspicions(Evidence(poisoned_network, training, examples.seen))) == [
        "spectre",
        "scale-up",
    ]


def test_each_has_its_explanation_and_a_name_that_no_column_of_the_table_has():
    names = set(explanations())
    assert names == {"spectre", "strip", "scale-up", "loss-isolation", "asset"}
    assert not names & {score.value for score in Score}
    assert all("\n" not in words for words in explanations().values())
