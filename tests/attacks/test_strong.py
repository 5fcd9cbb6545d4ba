"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
import torchattacks
from torch import Tensor, nn

from tradeoff_core.attacks.attack import Attack, Norm
from tradeoff_core.attacks.strong import autoattack, really_fooled
from tradeoff_core.networks.inference import predicted_classes

QUERIES = 60


@pytest.mark.parametrize("attack", [Attack(epsilon=0.12, steps=10), Attack(Norm.L2, 1.8, steps=10)], ids=str)
def test_autoattack_is_torchattacks_own(attack, standard_network, digits):
    images, labels = digits[0][::16], digits[1][::16]
    oracle = torchattacks.AutoAttack(
        copy.deepcopy(standard_network), attack.norm.value.replace("l", "L"), attack.epsilon, seed=0
    )
    oracle._autoattack.attacks[3].n_queries = QUERIES
    theirs = predicted_classes(standard_network, oracle(images, labels)) != labels.numpy()
    ours = autoattack(torchattacks, standard_network, images, labels, attack, QUERIES)
    assert 0.3 < theirs.mean() < 0.9  # where a difference would show
    assert (ours["Square"] != theirs).sum() <= 1  # FAB's images lie on the boundary, where rounding decides
    assert list(ours) == ["APGD-CE", "APGD-T", "FAB-T", "Square"]
    for early, late in pairwise(ours.values()):
        assert (early <= late).all()
    more = autoattack(torchattacks, standard_network, images, labels, replace(attack, steps=20), QUERIES)
    assert more["Square"].sum() >= theirs.sum()


def test_2_an_image_beyond_epsilon_does_not_count():
    class Pixels(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1)

    images = torch.tensor([0.9, 0.8]).repeat(5, 1).view(5, 1, 1, 2)
    labels = torch.tensor([0, 0, 0, 0, 0])
    moved = torch.tensor([[0.8, 0.9], [0.88, 0.82], [0.79, 0.9], [0.89, 1.01], [float("nan"), 0.9]])
    attack = Attack(epsilon=0.1)
    # within ε and misread; within ε but read well; too far; no longer an image; no number
    assert really_fooled(Pixels(), moved.view_as(images), images, labels, attack.at(0.1)).tolist() == [
        True,
        *[False] * 4,
    ]
    # the first is 0.1 √2 away in l2
    for epsilon, counts in ((0.1415, True), (0.1414, False)):
        kept = really_fooled(
            Pixels(), moved.view_as(images), images, labels, Attack(Norm.L2, epsilon, steps=1)
        )
        assert kept[0] == counts
