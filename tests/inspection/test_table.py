"""The scores are what their definitions say, by hand and by scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.metrics import silhouette_samples
from sklearn.neighbors import NearestNeighbors
from torch import nn

from tradeoff_core.datasets import ImageDataset
from tradeoff_core.defenses import activation_clustering, spectral_signatures
from tradeoff_core.defenses.detection import read_examples
from tradeoff_core.defenses.neural_cleanse import Triggers
from tradeoff_core.inspection.neighbours import nearest, squared_distances
from tradeoff_core.inspection.table import Score, tabulate
from tradeoff_core.networks import freeze
from tradeoff_core.networks.base import Network
from tradeoff_core.poisoning.poison import PoisonedDataset

SIDE = 4


@pytest.fixture(scope="module")
def network() -> Network:
    """Whose last features are the pixels, whose answers a random linear map of them."""
    head = nn.Linear(SIDE * SIDE, 3)
    torch.nn.init.normal_(head.weight, generator=torch.Generator().manual_seed(0))
    return freeze(Network({"pixels": nn.Flatten(), "last": nn.Identity()}, head, (1, SIDE, SIDE)))


@pytest.fixture(scope="module")
def training() -> PoisonedDataset:
    """Three classes of 40 noisy pictures; a quarter of class 1 has a bright corner."""
    generator = np.random.default_rng(0)
    images = generator.integers(40, 160, (120, SIDE, SIDE, 1), dtype=np.uint8)
    labels = np.arange(120) % 3
    poisoned = np.zeros(120, dtype=bool)
    poisoned[np.flatnonzero(labels == 1)[:10]] = True
    images[poisoned, 2:, 2:] = 255
    return PoisonedDataset(ImageDataset("noise", images, labels, ("a", "b", "c")), poisoned, labels, 1)


def test_every_score_is_its_definition(network, training):
    examples = read_examples(network, training, 1, "last")
    table = tabulate(network, examples, training)
    features = examples.seen.features.astype(np.float64)
    answers = features @ network.head.weight.numpy().T.astype(np.float64) + network.head.bias.numpy()
    probabilities = np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
    columns = table.columns
    assert set(columns) == set(Score) - {Score.MASK}
    np.testing.assert_allclose(columns[Score.SELF_CONFIDENCE], probabilities[:, 1], rtol=1e-4)
    np.testing.assert_allclose(columns[Score.LOSS], -np.log(probabilities[:, 1]), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(columns[Score.CONFIDENCE], probabilities.max(axis=1), rtol=1e-4)
    centre = features.mean(axis=0)
    np.testing.assert_allclose(columns[Score.DISTANCE], np.linalg.norm(features - centre, axis=1), rtol=1e-4)
    np.testing.assert_array_equal(
        columns[Score.SPECTRAL], spectral_signatures.spectral_scores(examples.seen.features)
    )
    _, clusters, _ = activation_clustering.detect(examples.seen)
    np.testing.assert_array_equal(columns[Score.CLUSTER] > 0, clusters.cluster == 1)
    np.testing.assert_allclose(
        columns[Score.SILHOUETTE], silhouette_samples(clusters.points, clusters.cluster)
    )
    pixels = training.data.images.reshape(120, -1).astype(np.float64)
    ranks = [rankdata(columns[score], "max") / 40 for score in (Score.SPECTRAL, Score.CLUSTER)]
    np.testing.assert_allclose(columns[Score.DISAGREEMENT], np.abs(ranks[0] - ranks[1]))
    apart, _ = NearestNeighbors(n_neighbors=2).fit(features).kneighbors(features)
    np.testing.assert_allclose(columns[Score.NEAREST], apart[:, 1], rtol=1e-4)
    _, two = NearestNeighbors(n_neighbors=2).fit(pixels).kneighbors(pixels[examples.seen.index])
    np.testing.assert_array_equal(columns[Score.NEIGHBOUR], training.data.labels[two[:, 1]])


def test_the_mean_rank_is_that_of_all_columns(network, training):
    table = tabulate(network, read_examples(network, training, 1, "last"), training)
    suspicions = table.suspicions()
    ranks = [rankdata(table.suspicion(score), "max") / 40 for score in table.columns]
    np.testing.assert_allclose(suspicions.pop("mean_rank"), np.mean(ranks, axis=0))
    assert list(suspicions) == [score.value for score in table.columns]


def test_the_mask_share_is_what_a_rebuilt_trigger_covers(network, training):
    masks = torch.zeros(3, SIDE, SIDE)
    masks[1, 2:, 2:] = 1
    triggers = Triggers(masks, torch.ones(3, 1, SIDE, SIDE), np.ones(3), np.zeros((0,)))
    table = tabulate(network, read_examples(network, training, 1, "last"), training, triggers)
    weights = network.head.weight[1].abs().reshape(SIDE, SIDE).numpy()  # the gradient of a linear network
    np.testing.assert_allclose(table.columns[Score.MASK], weights[2:, 2:].sum() / weights.sum(), rtol=1e-4)
    best = max(weights[row : row + 3, column : column + 3].sum() for row in (0, 1) for column in (0, 1))
    np.testing.assert_allclose(table.columns[Score.PATCH], best / weights.sum(), rtol=1e-4)


def test_the_answers_at_another_layer_are_the_same(network, training):
    last, first = (
        tabulate(network, read_examples(network, training, 1, layer), training)
        for layer in network.layers[::-1]
    )
    np.testing.assert_allclose(last.columns[Score.LOSS], first.columns[Score.LOSS], rtol=1e-4, atol=1e-6)


def test_without_the_training_set_the_features_tell_the_rest(network, training):
    table = tabulate(network, read_examples(network, training, 1, "last"), None)
    assert set(table.columns) == set(Score) - {Score.NEIGHBOUR, Score.PATCH, Score.COVERED, Score.MASK}


def test_more_is_more_suspicious_and_a_percentile_is_the_share_below(network, training):
    table = tabulate(network, read_examples(network, training, 1, "last"), training)
    low = table.columns[Score.SELF_CONFIDENCE]
    assert table.suspicion(Score.SELF_CONFIDENCE).argmax() == low.argmin()
    ranks = table.percentiles(Score.SELF_CONFIDENCE)
    assert ranks[low.argmin()] == 1
    assert ranks[low.argmax()] == pytest.approx(1 / 40)
    np.testing.assert_array_equal(table.suspicion(Score.NEIGHBOUR) == 1, table.columns[Score.NEIGHBOUR] != 1)


def test_the_nearest_are_those_of_scikit_learn():
    features = np.random.default_rng(1).normal(size=(50, 6)) + 100
    _, expected = NearestNeighbors(n_neighbors=6).fit(features).kneighbors(features[:1])
    np.testing.assert_array_equal(nearest(features, [0], 5), expected[0, 1:])
    both = nearest(features, [0, 1], 48)
    assert set(both) == set(range(2, 50))
    to_either = np.minimum(*(np.linalg.norm(features[both] - features[one], axis=1) for one in (0, 1)))
    assert (np.diff(to_either) >= 0).all()
    np.testing.assert_allclose(squared_distances(features, features).diagonal(), 0, atol=1e-9)


@pytest.mark.parametrize(
    ("places", "said"), [([], "choose at least one"), ([50], "no example at place 50"), ([-1], "place -1")]
)
def test_a_choice_that_is_none_is_refused(places, said, refused):
    with refused(said):
        nearest(np.eye(50), places, 3)
