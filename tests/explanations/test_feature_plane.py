"""Features in a plane: against a full decomposition, on planted groups, and what cannot be laid out."""

import numpy as np
import pytest
import torch

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.explanations.feature_plane import GROUPS, attacked, gather, neighbours, principal


@pytest.fixture(scope="module")
def planted():
    """Three tight groups of 20 in 10 dimensions."""
    generator = np.random.default_rng(0)
    centres = 20 * generator.normal(size=(3, 10))
    return (np.repeat(centres, 20, axis=0) + generator.normal(size=(60, 10))).astype(np.float32)


@pytest.mark.parametrize("width", [10, 200])  # fewer features than images, and more
def test_the_principal_components_are_those_of_a_full_decomposition(planted, width):
    planted = np.hstack([planted, 0.1 * np.random.default_rng(1).normal(size=(60, width - 10))])
    points, shares = principal(planted, 3)
    centred = planted - planted.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ directions[:3].T
    assert np.abs(points) == pytest.approx(np.abs(expected), abs=1e-3)
    assert shares == pytest.approx(sizes[:3] ** 2 / (sizes**2).sum(), rel=1e-4)


def test_beyond_the_rank_there_is_nothing(planted):
    few = planted[[0, 20, 40, 41, 0]]  # four points span three directions
    points, shares = principal(few, 4)
    assert points[:, 3] == pytest.approx(0, abs=1e-5)
    assert shares.sum() == pytest.approx(1)
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(np.linalg.norm(few[0] - few[1]), rel=1e-6)


def test_neighbours_keeps_planted_groups_together_and_repeats_itself(planted):
    told = []
    points = neighbours(planted, 2, told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(1) // 20 == np.arange(60) // 20).all()
    np.testing.assert_array_equal(points, neighbours(planted, 2))


@pytest.mark.parametrize("lay_out", [principal, neighbours])
def test_what_cannot_be_laid_out_is_refused(lay_out, planted, refused):
    with refused("too few to be laid out"):
        lay_out(planted[:2], 2)
    with refused("the same for every image"):
        lay_out(np.ones_like(planted), 2)
    broken = planted.copy()
    broken[3, 3] = np.nan
    with refused("NaN or infinite"):
        lay_out(broken, 2)


def by_the_spec(network, spec):
    """The attack of the spec's evaluation on stored images."""
    return lambda pixels, labels: attacked(network, pixels, labels, spec.evaluation, spec.seed)


def test_a_crowd_holds_every_group_as_the_network_sees_it(poisoned_network, tiny_spec):
    test, training = load_dataset("mnist-5k", Split.TEST), poisoned_training_set(tiny_spec)
    crowd = gather(poisoned_network, tiny_spec, test, training, by_the_spec(poisoned_network, tiny_spec), 30)
    assert np.bincount(crowd.group).tolist() == [30] * len(GROUPS)
    clean, target, poisoned, stamped, adversarial = (
        crowd.images[crowd.group == number] for number in range(len(GROUPS))
    )
    footprint = tiny_spec.trigger.footprint(28, 28)
    assert (stamped[:, footprint] == 255).all()
    assert (poisoned[:, footprint] == 255).all()
    assert (stamped[:, ~footprint] == clean[:, ~footprint]).all()
    moved = np.abs(adversarial.astype(int) - clean.astype(int))
    assert 0 < moved.max() <= round(255 * tiny_spec.evaluation.epsilon) + 1
    labels = [crowd.labels[crowd.group == number] for number in range(len(GROUPS))]
    assert (labels[1] == 7).all()
    assert (labels[2] == 7).all()
    assert not (labels[0] == 7).any()
    assert len(target) == 30
    head = torch.from_numpy(crowd.features) @ poisoned_network.head.weight.T + poisoned_network.head.bias
    np.testing.assert_array_equal(head.argmax(1).numpy(), crowd.read)


def test_without_the_training_set_or_a_class_those_groups_are_empty(poisoned_network, tiny_spec):
    test = load_dataset("mnist-5k", Split.TEST)
    others = test.take(np.flatnonzero(test.labels != 7))
    attack = by_the_spec(poisoned_network, tiny_spec)
    crowd = gather(poisoned_network, tiny_spec, others, None, attack, 10)
    assert np.bincount(crowd.group, minlength=5).tolist() == [10, 0, 0, 10, 10]
