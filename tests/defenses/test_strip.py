"""Entropies worked out by scipy from superposed pictures, verdicts by adversarial-robustness-toolbox."""

import numpy as np
import pytest
import torch
from art.estimators.poison_mitigation.strip import strip as art
from scipy.stats import entropy, norm
from sklearn.metrics import roc_auc_score
from torch import nn

from tradeoff_core.datasets import Split, load_dataset, to_tensor
from tradeoff_core.defenses.strip import Superposing, least_entropy, strip_entropy, strip_scores
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.inference import predict
from tradeoff_core.poisoning.triggers import Sticker

SIDE = 3


@pytest.fixture(scope="module")
def linear() -> Network:
    """Three classes, by a random linear map of the pixels."""
    head = nn.Linear(SIDE * SIDE, 3)
    nn.init.normal_(head.weight, std=2, generator=torch.Generator().manual_seed(0))
    return freeze(Network({"pixels": nn.Flatten()}, head, (1, SIDE, SIDE)))


def pictures(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 1), dtype=np.uint8)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_the_entropy_is_that_of_the_superposed_pictures(linear, weight):
    images, held_out = pictures(30, 1), pictures(1, 2)  # of one there is no choice
    found = strip_entropy(linear, images, held_out, Superposing(7, weight), seed=3)
    weights, bias = linear.head.weight.numpy().astype(float), linear.head.bias.numpy().astype(float)
    for image, value in zip(images / 255, found, strict=True):
        mixed = np.minimum(weight * (image + held_out[0] / 255), 1).ravel()
        answers = np.exp(weights @ mixed + bias)
        assert value == pytest.approx(entropy(answers, base=2), abs=1e-5)
    assert found.shape == (30,)
    assert 0 < found.min() < found.max() <= np.log2(3)


def test_it_is_the_mean_over_those_drawn(linear):
    images, held_out = pictures(40, 1), pictures(3, 2)
    alone = np.stack([strip_entropy(linear, images, one[None], Superposing(1)) for one in held_out])
    many = strip_entropy(linear, images, held_out, Superposing(3000))
    assert many == pytest.approx(alone.mean(axis=0), abs=0.04)
    few = strip_entropy(linear, images, held_out, Superposing(1), seed=1)
    assert np.abs(few - alone).min(axis=0).max() < 1e-6  # one of the three
    assert np.abs(few - alone[0]).max() > 0.01


def test_the_refused_are_those_of_the_toolbox(linear, monkeypatch):
    monkeypatch.setattr(  # it sums each class over the images, where the paper sums each image over the classes
        art, "entropy", lambda predictions, base, axis: entropy(predictions, base=base, axis=1 - axis)
    )
    images, held_out = pictures(50, 1), pictures(1, 2)
    ours = strip_entropy(linear, images, held_out, Superposing(5, weight=0.5))
    theirs = art.STRIPMixin(lambda images: predict(linear, torch.from_numpy(images)).numpy(), num_samples=5)
    theirs.nb_classes = 3
    theirs._nb_classes = 3
    theirs.validation_data, theirs.entropy_threshold = to_tensor(held_out).numpy(), float(np.median(ours))
    monkeypatch.setattr(theirs, "abstain", lambda: np.zeros(3))
    answers = theirs.predict(to_tensor(images).numpy())
    assert np.array_equal((answers == 0).all(axis=1), ours <= np.median(ours))


def test_the_threshold_is_the_quantile_of_a_normal_fit():
    values = np.random.default_rng(0).gamma(5, size=300)
    assert least_entropy(values, 0.05) == pytest.approx(norm.ppf(0.05, *norm.fit(values)))
    assert least_entropy(np.full(5, 0.25)) == 0.25


def test_stamped_digits_have_less_entropy(poisoned_network):
    test, held_out = load_dataset("mnist-5k", Split.TEST), load_dataset("mnist-5k", Split.VALIDATION)
    some = test.take(np.flatnonzero(test.labels != 7)[::18])  # 50
    stamped = (255 * Sticker().apply(to_tensor(some.images))).round().byte().permute(0, 2, 3, 1).numpy()
    both = np.concatenate([some.images, stamped])
    scores = strip_scores(poisoned_network, both, held_out.images, Superposing(10))
    assert roc_auc_score(np.arange(len(both)) >= len(some), scores) > 0.95
    again = strip_scores(poisoned_network, both[:20], held_out.images, Superposing(10))
    assert np.array_equal(again, strip_scores(poisoned_network, both[:20], held_out.images, Superposing(10)))
    other = strip_scores(poisoned_network, both[:20], held_out.images, Superposing(10), seed=1)
    assert not np.array_equal(again, other)


def test_what_cannot_be_superposed_is_refused(linear, refused):
    with refused("cannot be superposed"):
        strip_entropy(linear, pictures(5, 0), pictures(0, 0))
    with refused("cannot be superposed"):
        strip_entropy(linear, pictures(5, 0), np.zeros((5, 4, 4, 1), np.uint8))
    with refused("weight 0 is out of range"):
        Superposing(weight=0.0)
    with refused("a share of 1 refused clean images"):
        least_entropy(np.arange(3.0), 1.0)
