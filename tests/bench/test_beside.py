"""Beside other libraries: all do the same, and the table says how long each takes."""

import pytest

from tradeoff_core.attacks import Attack, perturb
from tradeoff_core.bench import beside
from tradeoff_core.networks.inference import predicted_classes

pytestmark = pytest.mark.bench

ATTACK = Attack(epsilon=0.2, steps=10)


@pytest.mark.parametrize("peer", beside.PEERS)
def test_a_peer_attacks_as_ours_does(peer, hardened_network, digits):
    images, labels = digits[0][:100], digits[1][:100]
    found = beside._attackers()[peer](hardened_network, ATTACK)(images, labels)
    assert 0.19 < float((found - images).abs().max()) < 0.2001
    right = [
        (predicted_classes(hardened_network, one) == labels.numpy()).mean()
        for one in (found, perturb(hardened_network, images, labels, ATTACK))
    ]
    assert abs(right[0] - right[1]) < 0.06


def test_each_row_has_our_seconds_and_every_peers_ratio(hardened_network, digits):
    images, labels = digits[0][:20], digits[1][:20]
    for make in (beside.attacking, beside.evaluating):
        row = make("a network", hardened_network, ATTACK, images, labels)
        assert row.seconds > 0
        assert set(row.ratios) == set(beside.PEERS)
        assert min(row.ratios.values()) > 0
        assert [one.limit for one in row.rows()] == [1, 1, 1]


def test_what_only_art_has_stands_in_the_same_table():
    row = beside.of_a_row(beside.Row("spectral score: ART's time / ours", 2.5, 20, "x", at_least=True))
    assert (row.task, row.ratios, row.seconds) == ("spectral score", {"ART": 2.5}, None)
    assert (
        beside.of_a_row(beside.Row("spectral score: ART's time / ours", None, 20, "x", at_least=True)).ratios
        == {}
    )
