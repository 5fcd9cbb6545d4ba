import numpy as np
import pytest

from tradeoff_core.defenses.loss_isolation import isolation_scores
from tradeoff_core.experiments.run_folder import RunFolder

LOSSES = np.array([[2.0, 0.5, 2.0], [1.0, 0.3, 3.0], [0.0, 0.1, 0.0], [0.0, 0.1, 0.0], [9.0, 0.0, 0.0]])


def test_low_early_losses_are_suspicious():
    assert isolation_scores(LOSSES) == pytest.approx([-3 / 4, -1 / 4, -5 / 4])  # of the first four epochs
    assert isolation_scores(LOSSES, 1) == pytest.approx([-2, -0.5, -2])
    assert isolation_scores(LOSSES, 50) == pytest.approx([-12 / 5, -1 / 5, -1])
    assert isolation_scores(LOSSES).argmax() == 1


def test_the_losses_of_a_run_are_taken(finished_run):
    losses = np.array(RunFolder(finished_run).losses(7, 360))
    assert losses.shape == (2, 360)
    scores = isolation_scores(losses)
    assert scores.shape == (360,)
    assert scores.argmax() == losses.sum(axis=0).argmin()


@pytest.mark.parametrize(
    ("losses", "named"),
    [
        (np.zeros((0, 5)), r"losses of shape \(0, 5\)"),
        (np.zeros(5), r"losses of shape \(5,\)"),
        (np.array([[1.0, np.nan, np.inf]]), "2 losses are NaN or infinite"),
    ],
)
def test_what_are_no_losses_is_refused(losses, named, refused):
    with refused(named):
        isolation_scores(losses)
    with refused("the first 0 epochs"):
        isolation_scores(LOSSES, 0)
