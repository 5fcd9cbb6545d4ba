"""The radius by hand and by trying every vote; the networks against plain training, and against poison."""

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tradeoff_core.certification.partition import Ensemble, Partition, _draws, certify, part_of, split
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import ImageDataset, Split, load_dataset, to_tensor
from tradeoff_core.networks import build

TINY = Partition(parts=7, width=0.1, steps=20, batch_size=8, learning_rate=5e-3)


@pytest.fixture(scope="module")
def few() -> ImageDataset:
    """60 training digits, zeros and ones."""
    data = load_dataset("mnist-5k", Split.TRAIN)
    return data.take(np.flatnonzero(data.labels < 2)).spread(60)


@pytest.fixture(scope="module")
def read() -> np.ndarray:
    """40 test digits, among them zeros and ones."""
    data = load_dataset("mnist-5k", Split.TEST)
    return data.take(np.flatnonzero(data.labels < 4)).spread(40).images


def votes_of(data: ImageDataset, images: np.ndarray, partition: Partition = TINY) -> np.ndarray:
    ensemble = Ensemble(partition, 10)
    ensemble.train(data)
    return ensemble.votes(images)


@pytest.mark.parametrize(
    ("votes", "predicted", "radius"),
    [
        ([5, 3, 0], 0, 1),  # a lead of 2: one moved vote makes 4 to 4, which goes to the smaller index
        ([3, 5, 0], 1, 0),  # one moved vote makes 4 to 4, and 0 wins
        ([3, 6, 0], 1, 1),
        ([0, 5, 3], 1, 1),
        ([4, 4, 0], 0, 0),
        ([0, 4, 4], 1, 0),
        ([1, 5, 3], 1, 1),  # over class 0 the lead is 4 - 1, over class 2 it is 2
        ([9, 0, 0], 0, 4),
        ([0, 0, 9], 2, 4),
        ([0, 0, 10], 2, 4),
        ([10, 0, 0], 0, 5),
        ([0, 0, 0], 0, 0),
    ],
)
def test_the_radius_worked_out_by_hand(votes, predicted, radius):
    certificate = certify(np.array([votes]))
    assert (certificate.predicted[0], certificate.radius[0]) == (predicted, radius)


@pytest.mark.parametrize("parts", [4, 5, 6])
def test_the_radius_is_the_most_votes_that_never_turn_the_majority(parts):
    """Sound and tight: up to the radius no choice of other votes turns it, one more does."""
    for cast in combinations_with_replacement(range(3), parts):
        votes = np.bincount(cast, minlength=3)
        certificate = certify(votes[None])
        reached = {tuple(votes)}
        for moved in range(parts + 1):
            turned = any(np.argmax(one) != certificate.predicted[0] for one in reached)
            assert turned == (moved > certificate.radius[0])
            if turned:
                break
            reached |= {
                tuple(np.array(one) - np.eye(3, dtype=int)[here] + np.eye(3, dtype=int)[there])
                for one in reached
                for here in range(3)
                for there in range(3)
                if one[here]
            }


def test_certified_accuracy_counts_what_is_read_correctly_within_the_radius():
    certificate = certify(np.array([[9, 0, 0], [0, 9, 0], [5, 3, 1], [5, 3, 1]]))
    labels = np.array([0, 1, 0, 2])
    accuracy = [certificate.certified_accuracy(labels, poisoned) for poisoned in range(6)]
    assert [rate.count for rate in accuracy] == [3, 3, 2, 2, 2, 0]
    assert {rate.n for rate in accuracy} == {4}


def test_parts_are_decided_by_the_pixels_alone(few):
    part = part_of(few.images, 7)
    order = np.random.default_rng(0).permutation(len(few))
    assert np.array_equal(part_of(few.images[order], 7), part[order])
    assert np.array_equal(part_of(few.images[3:4], 7), part[3:4])
    assert np.bincount(part_of(load_dataset("mnist-5k", Split.TRAIN).images, 50), minlength=50).min() > 40
    changed = few.images.copy()
    changed[:, 0, 0, 0] ^= 1  # the smallest change
    assert 0 < (part_of(changed, 7) == part).mean() < 0.5


def test_every_example_is_in_one_part_and_their_order_in_the_set_does_not_matter(few):
    parts = split(few.images, few.labels, 7)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(few)))
    order = np.random.default_rng(0).permutation(len(few))
    for one, other in zip(parts, split(few.images[order], few.labels[order], 7), strict=True):
        assert np.array_equal(few.images[one], few.images[order][other])


def parameters_of(data: ImageDataset) -> list[torch.Tensor]:
    """Every network's weights (parts, ...) after training."""
    ensemble = Ensemble(TINY, 10)
    ensemble.train(data)
    return list(ensemble._parameters.values())


def touched(first: list[torch.Tensor], second: list[torch.Tensor]) -> set[int]:
    """The parts whose networks differ in any bit."""
    differing = [(one != other).flatten(1).any(1) for one, other in zip(first, second, strict=True)]
    return set(torch.stack(differing).any(0).nonzero()[:, 0].tolist())


def test_an_image_touches_its_own_part_and_no_other(few):
    before, part = parameters_of(few), part_of(few.images, 7)
    order = np.random.default_rng(0).permutation(len(few))
    assert touched(before, parameters_of(few.take(order))) == set()
    assert touched(before, parameters_of(few.take(np.delete(np.arange(60), 5)))) == {int(part[5])}
    labels = few.labels.copy()
    labels[5] = (labels[5] + 1) % 10
    assert touched(before, parameters_of(replace(few, labels=labels))) == {int(part[5])}
    images = few.images.copy()
    images[5, 25:, 25:] = 255
    both = {int(part[5]), int(part_of(images[5:6], 7)[0])}
    assert touched(before, parameters_of(replace(few, images=images))) == both


def poisonings(data: ImageDataset, most: int, generator: np.random.Generator) -> ImageDataset:
    """The data after so many images were removed, relabelled, or added with any label."""
    for what in generator.integers(3, size=most):
        place, label = generator.integers(len(data)), generator.integers(10)
        if what == 0:
            data = data.take(np.delete(np.arange(len(data)), place))
        elif what == 1:
            labels = data.labels.copy()
            labels[place] = label
            data = replace(data, labels=labels)
        else:
            stamped = data.images[place : place + 1].copy()
            stamped[:, generator.integers(28), generator.integers(28)] = 255
            data = replace(
                data,
                images=np.concatenate([data.images, stamped]),
                labels=np.append(data.labels, label),
            )
    return data


def test_no_poisoning_within_the_radius_turns_a_prediction(few, read):
    clean = votes_of(few, read)
    certificate, moved = certify(clean), 0
    assert {1, 2} <= set(certificate.radius.tolist())
    generator = np.random.default_rng(0)
    for most in [1] * 12 + [2] * 12 + [3] * 6:
        votes = votes_of(poisonings(few, most, generator), read)
        assert (np.abs(votes - clean).sum(axis=1) <= 2 * most).all()
        moved += (votes != clean).any()
        held = certificate.radius >= most
        assert np.array_equal(votes.argmax(axis=1)[held], certificate.predicted[held])
    assert moved > 10  # the poison does something


def test_a_network_is_what_plain_training_on_its_part_gives(few, read):
    ensemble = Ensemble(TINY, 10, seed=4)
    ensemble.train(few)
    own = split(few.images, few.labels, 7)[3]
    network = build(TINY.network, TINY.width, 4 * 7 + 3)
    optimizer = Adam(network.parameters(), lr=TINY.learning_rate)
    for drawn in _draws(len(own), TINY, 4 * 7 + 3):
        loss = F.cross_entropy(network(to_tensor(few.images[own[drawn]])), few.targets[own[drawn]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, value in network.named_parameters():
        torch.testing.assert_close(ensemble._parameters[name][3], value.detach(), rtol=1e-3, atol=1e-4)
    votes = ensemble.votes(read)
    assert votes.shape == (40, 10)
    assert (votes.sum(axis=1) == 7).all()


def test_a_part_without_examples_votes_as_it_began():
    one = load_dataset("mnist-5k", Split.TRAIN).take(slice(0, 1))
    ensemble = Ensemble(TINY, 10)
    before = [value.clone() for value in ensemble._parameters.values()]
    ensemble.train(one)
    assert touched(before, list(ensemble._parameters.values())) == {int(part_of(one.images, 7)[0])}


def test_what_cannot_be_certified_is_refused(refused):
    with refused(r"votes must be whole numbers from 0 of shape \(images, classes\), not float64 \(2, 3\)"):
        certify(np.zeros((2, 3)))
    with refused("votes must be whole numbers"):
        certify(np.array([3, 4]))
    with refused("votes must be whole numbers"):
        certify(np.array([[-1, 4]]))
    with refused("parts"):
        Partition(parts=0)
    with refused("a network with batch norm, as cifar-resnet"):
        Ensemble(Partition(parts=2, network="cifar-resnet", width=0.1), 10)
