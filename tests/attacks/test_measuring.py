"""What tells how an attack is measured with: its last iterate, its aim, and Adam in place of the gradient's sign."""

import pytest
import torch
from torch import nn

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import fool, perturb, wrong_classes
from tradeoff_core.evaluation.outcomes import fooled_by

ONE = torch.tensor([[[[0.5]]]])  # an image of one pixel


class Island(nn.Module):
    """Reads a pixel of 0.55 to 0.65 as class 1 and all others as 0, though its gradient says up everywhere."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = images.flatten(1)
        there = (x > 0.55) & (x < 0.65)
        return torch.cat([torch.zeros_like(x), 0.01 * x - 1 + 2 * there], dim=1)


@pytest.mark.parametrize(
    ("steps", "by_any", "by_last"), [(1, True, True), (2, True, False), (3, True, False)]
)
def test_an_attack_that_leaves_what_it_found_counts_by_any_iterate_and_not_by_the_last(
    steps, by_any, by_last
):
    for last_iterate, expected in ((False, by_any), (True, by_last)):
        attack = Attack(
            epsilon=0.3, steps=steps, step_size=0.1, random_start=False, last_iterate=last_iterate
        )
        fooled, _ = fool(Island(), ONE, torch.tensor([0]), attack)  # 0.5, 0.6, 0.7, 0.8
        assert fooled.item() is expected


def test_by_the_last_iterate_a_misread_image_may_be_mended():
    island = torch.tensor([[[[0.6]]]])
    attack = Attack(epsilon=0.3, steps=1, step_size=0.1, random_start=False, last_iterate=True)
    assert not fool(Island(), island, torch.tensor([0]), attack)[0].item()


def test_the_last_iterate_fools_no_more_than_any_iterate_and_is_what_perturb_gives(standard_network, digits):
    images, labels = digits[0][:80], digits[1][:80]
    attack = Attack(epsilon=0.08, steps=4)
    fooled = {}
    for last_iterate in (False, True):
        chosen = Attack(epsilon=0.08, steps=4, last_iterate=last_iterate)
        fooled[last_iterate], shown = fool(
            standard_network, images, labels, chosen, torch.Generator().manual_seed(0)
        )
    assert (fooled[True] & ~fooled[False]).sum() == 0
    expected = perturb(standard_network, images, labels, attack, torch.Generator().manual_seed(0))
    assert torch.equal(shown, expected)
    assert torch.equal(fooled[True], standard_network(expected).argmax(1) != labels)


def test_a_random_aim_is_drawn_from_the_wrong_classes_and_the_next_one_is_the_default(
    standard_network, digits
):
    images, labels = digits[0][:100], digits[1][:100]
    fgsm = {"epsilon": 0.2, "steps": 1, "random_start": False, "targeted": True}
    at_random, at_next = (
        fooled_by(standard_network, images, labels, Attack(**fgsm, random_aim=aim)) for aim in (True, False)
    )
    assert (at_random != at_next).any()
    aims = wrong_classes(labels, 10, torch.Generator().manual_seed(0))
    by_hand = perturb(standard_network, images, aims, Attack(**fgsm))
    with torch.no_grad():
        misread = (standard_network(images).argmax(1) != labels) | (
            standard_network(by_hand).argmax(1) != labels
        )
    assert at_random.tolist() == misread.tolist()


def test_adams_first_step_is_its_learning_rate_along_the_sign_of_the_margins_gradient():
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3, bias=False))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
    image, label = (
        torch.tensor([[[[0.6, 0.5]]]]),
        torch.tensor([0]),
    )  # logits 0.6, 0.5, -1.1: the margin is x1 - x0
    one = Attack(epsilon=0.3, steps=1, step_size=0.1, random_start=False, last_iterate=True, adam=True)
    assert torch.allclose(perturb(network, image, label, one), torch.tensor([[[[0.5, 0.6]]]]), atol=1e-6)
    # the gradient stays (-1, 1), so each step of Adam is 0.1 again, until ε ends them
    four = Attack(epsilon=0.3, steps=4, step_size=0.1, random_start=False, last_iterate=True, adam=True)
    assert torch.allclose(perturb(network, image, label, four), torch.tensor([[[[0.3, 0.8]]]]), atol=1e-6)


def test_adam_stays_within_epsilon_and_the_pixels_range_and_fools_like_pgd(standard_network, digits):
    images, labels = digits[0][:60], digits[1][:60]
    adam = Attack(epsilon=0.15, steps=20, step_size=0.1, last_iterate=True, adam=True)
    moved = perturb(standard_network, images, labels, adam, torch.Generator().manual_seed(0))
    assert (moved - images).abs().max().item() <= 0.15 + 1e-6
    assert 0 <= moved.min().item() <= moved.max().item() <= 1
    by_pgd, by_adam = (
        fooled_by(standard_network, images, labels, attack).mean()
        for attack in (Attack(epsilon=0.15, steps=20, last_iterate=True), adam)
    )
    assert by_adam == pytest.approx(by_pgd, abs=0.1)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"random_aim": True}, "random_aim needs"),
        ({"adam": True}, "adam is .* set last_iterate"),
        ({"adam": True, "last_iterate": True, "norm": "l2"}, "adam is"),
        ({"adam": True, "last_iterate": True, "targeted": True}, "adam is"),
        ({"adam": True, "last_iterate": True, "patch": 3}, "adam is"),
        ({"adam": True, "last_iterate": True, "restarts": 2}, "adam is"),
    ],
)
def test_options_that_do_not_go_together_are_refused(fields, named, refused):
    with refused(named):
        Attack(**fields)


def test_an_attack_tells_its_options():
    assert str(Attack(epsilon=0.4, steps=20, last_iterate=True, adam=True)) == "Adam-20, l∞ 0.4, last iterate"
    fgsm = Attack(epsilon=0.3, steps=1, random_start=False, targeted=True, random_aim=True)
    assert str(fgsm) == "FGSM, l∞ 0.3, targeted at a random class"
