"""Rates, agreement and curves worked out by hand."""

import math

import numpy as np
import pytest

from tradeoff_core.inspection import judging
from tradeoff_core.inspection.review import Mark

KEEP, REMOVE, UNSURE = Mark.KEEP, Mark.REMOVE, Mark.UNSURE
POISONED = np.array([True, False, True, False, False])


def test_precision_and_recall():
    found = judging.judged(np.array([True, True, False, True, False]), POISONED)
    assert (found.precision.count, found.precision.n) == (1, 3)
    assert (found.recall.count, found.recall.n) == (1, 2)


def test_kappa_is_agreement_beyond_chance():
    mine = {1: REMOVE, 2: REMOVE, 3: KEEP, 4: KEEP, 5: UNSURE, 6: KEEP}
    theirs = {1: REMOVE, 2: KEEP, 3: KEEP, 4: KEEP, 5: KEEP, 9: REMOVE}
    found = judging.agreement(mine, theirs)
    assert (found.n, found.agreed) == (4, 3)
    expected = 0.5 * 0.25 + 0.5 * 0.75
    assert found.kappa == pytest.approx((0.75 - expected) / (1 - expected))
    assert math.isnan(judging.agreement({1: KEEP}, {1: KEEP}).kappa)
    assert math.isnan(judging.agreement({1: REMOVE, 2: REMOVE}, theirs).kappa)  # who keeps none
    assert judging.agreement({}, theirs).n == 0


def test_the_curve_counts_what_was_found_by_then():
    order = judging.in_order(np.array([0.1, 0.9, 0.8, 0.3, 0.2]))
    assert order.tolist() == [1, 2, 3, 4, 0]
    curve = judging.reviewers_curve(order, POISONED)
    assert curve.tolist() == [0, 0, 1, 1, 1, 2]
    assert judging.looks_until(curve, 2) == 5
    assert judging.looks_until(curve, 2, share=0.5) == 2
    assert judging.looks_until(curve[:3], 2) is None
    assert judging.looks_until(np.zeros(4, dtype=int), 0) is None


def test_equal_scores_tell_nothing_though_the_poison_stands_first():
    poisoned = np.arange(1000) < 500
    found = judging.judged(judging.most_suspicious(np.zeros(1000), 500), poisoned)
    assert 0.4 < found.recall.value < 0.6


def test_a_verdict_is_marks():
    assert judging.verdict(np.array([3, 8]), np.array([True, False])) == {3: REMOVE, 8: KEEP}


def test_a_scores_worth_by_hand():
    found = judging.worth(np.arange(5), np.array([0.1, 0.9, 0.8, 0.3, 0.2]), POISONED)
    assert found["auroc"] == pytest.approx(
        (2 + 0) / 6
    )  # the poisoned ones are above 2 and above 0 of three clean ones
    assert (found["precision"], found["chance"], found["looks_until_90"]) == (0.5, 0.4, 5)
    nothing = judging.worth(np.arange(2), np.zeros(2), np.zeros(2, dtype=bool))
    assert (nothing["precision"], nothing["looks_until_90"]) == (None, None)
