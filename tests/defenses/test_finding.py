"""One contract for all detectors: a score an example, as many removed as asked, and no look at the truth."""

from dataclasses import replace

import numpy as np
import pytest

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses import finding
from tradeoff_core.defenses.asset import asset_scores
from tradeoff_core.defenses.detection import class_features
from tradeoff_core.defenses.finding import (
    AT_TEST_TIME,
    SCORES,
    WORDS,
    Evidence,
    Finder,
    at_test_time,
    can_be_asked,
    find,
    suspicion,
)
from tradeoff_core.poisoning.poison import Poison, PoisonLabels, poison_dataset
from tradeoff_core.poisoning.triggers import Sticker


@pytest.fixture(scope="module")
def evidence(poisoned_network) -> Evidence:
    """Of 900 digits, a twentieth poisoned, the sevens; losses that are low where poisoned."""
    data = load_dataset("mnist-5k", Split.TRAIN).spread(900)
    training = poison_dataset(data, Poison(PoisonLabels.DIRTY, rate=0.05), np.random.default_rng(1))
    seen = class_features(poisoned_network, training, 7)
    losses = np.random.default_rng(0).random((5, len(seen.index))) + 2 - seen.poisoned
    held_out = load_dataset("mnist-5k", Split.VALIDATION).spread(100)
    return Evidence(poisoned_network, training, seen, held_out, losses)


@pytest.fixture(scope="module")
def found(evidence) -> dict:
    return {finder: find(finder, evidence, 0.3) for finder in Finder}


@pytest.mark.parametrize("finder", Finder)
def test_every_detector_keeps_the_contract(finder, evidence, found):
    detection, seen = found[finder], evidence.seen
    assert detection.scores.shape == seen.index.shape
    assert np.isfinite(detection.scores).all()
    assert detection.removed.sum() == round(0.3 * len(seen.index))
    assert detection.chance == pytest.approx(0.3, abs=0.01)
    assert detection.scores[detection.removed].min() >= detection.scores[~detection.removed].max()
    assert np.array_equal(detection.index, seen.index)
    assert np.array_equal(detection.poisoned, seen.poisoned)


@pytest.mark.parametrize("finder", [finder for finder in Finder if finder is not Finder.ASSET])
def test_no_detector_looks_at_the_truth_and_each_is_repeatable(finder, evidence, found):
    blind = replace(evidence, seen=replace(evidence.seen, poisoned=~evidence.seen.poisoned))
    again = find(finder, blind, 0.3)
    assert np.array_equal(again.scores, found[finder].scores)
    assert np.array_equal(again.removed, found[finder].removed)


@pytest.mark.parametrize("finder", [Finder.SPECTRE, Finder.STRIP, Finder.ISOLATION])
def test_more_is_more_suspicious(finder, found):
    assert found[finder].auroc > 0.9


def test_assets_loss_is_that_of_the_classs_examples_in_the_whole_set(evidence, found):
    scores = asset_scores(evidence.network, evidence.training.data, evidence.held_out)
    assert np.array_equal(found[Finder.ASSET].scores, scores[evidence.training.data.labels == 7])


def test_by_default_the_true_share_is_removed(evidence):
    detection = find(Finder.SPECTRAL, evidence)
    assert detection.removed.sum() == evidence.seen.poisoned.sum() == 45


def test_of_equal_scores_it_is_not_the_first_that_go(evidence, monkeypatch):
    monkeypatch.setitem(SCORES, Finder.SCALE_UP, lambda one, *_: np.ones(len(one.seen.index)))
    removed = find(Finder.SCALE_UP, evidence, 0.5).removed
    assert removed.sum() == round(0.5 * len(removed))
    half = len(removed) // 2
    assert 0.3 < removed[:half].mean() < 0.7
    other = find(Finder.SCALE_UP, replace(evidence, seed=1), 0.5).removed
    assert not np.array_equal(removed, other)


def test_what_a_detector_lacks_is_said(evidence, refused):
    bare = replace(evidence, held_out=None, losses=None)
    lacking = {finder for finder in Finder if not can_be_asked(finder, bare)}
    assert lacking == {Finder.STRIP, Finder.ASSET, Finder.ISOLATION}
    assert all(can_be_asked(finder, evidence) for finder in Finder)
    for finder in (Finder.STRIP, Finder.ASSET):
        with refused("needs held-out clean images"):
            suspicion(finder, bare, 0.1)
    with refused("no losses were kept"):
        suspicion(Finder.ISOLATION, bare, 0.1)
    with refused("losses of 3 examples were kept"):
        suspicion(Finder.ISOLATION, replace(evidence, losses=np.zeros((2, 3))), 0.1)
    clean = replace(evidence, seen=replace(evidence.seen, poisoned=np.zeros_like(evidence.seen.poisoned)))
    with refused("no true share to remove"):
        find(Finder.SPECTRE, clean)


def test_every_detector_has_a_line_of_words():
    assert set(WORDS) == set(SCORES) == set(Finder)


@pytest.mark.parametrize("finder", AT_TEST_TIME)
def test_at_test_time_stamped_images_stand_beside_the_same_clean_ones(finder, poisoned_network, evidence):
    test = load_dataset("mnist-5k", Split.TEST).spread(100)
    detection = at_test_time(finder, poisoned_network, test, Sticker(), 7, evidence.held_out)
    assert np.array_equal(detection.index, np.tile(np.flatnonzero(test.labels != 7), 2))
    assert detection.poisoned.tolist() == [False] * 90 + [True] * 90
    if finder is Finder.STRIP:
        assert detection.detection_rate.value > 0.5
        assert detection.false_positive_rate.value < 0.1
        assert detection.auroc > 0.95
    else:
        assert np.array_equal(detection.removed, detection.scores > 0.5)


def test_what_needs_a_training_set_is_refused_at_test_time(poisoned_network, evidence, refused):
    with refused("spectre looks at a training set: at test time choose strip or scale-up"):
        at_test_time(
            finding.Finder.SPECTRE, poisoned_network, evidence.held_out, Sticker(), 7, evidence.held_out
        )


@pytest.mark.parametrize("finder", [Finder.STRIP, Finder.SCALE_UP, Finder.ASSET])
def test_what_asks_the_network_anew_tells_how_far_it_is(finder, evidence):
    told = []
    scores = suspicion(finder, evidence, 0.1, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    np.testing.assert_array_equal(scores, suspicion(finder, evidence, 0.1))
