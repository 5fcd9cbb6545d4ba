"""Attacks on a patch, and targeted attacks that are judged by whether the label is lost."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tradeoff_core.attacks import ball
from tradeoff_core.attacks.attack import Attack, Norm, fgsm
from tradeoff_core.attacks.ball import patches
from tradeoff_core.attacks.gradient import fool, perturb, perturb_at
from tradeoff_core.evaluation.outcomes import evaluate, fooled_by
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.training.recipe import Training

SIDE = 5
ATTACKS = {
    "linf": Attack(epsilon=0.3, steps=3, patch=SIDE),
    "whole range": Attack(epsilon=1.0, steps=3, patch=SIDE),
    "l2": Attack(Norm.L2, 2.0, steps=3, patch=SIDE),
    "no random start": Attack(epsilon=0.3, steps=3, random_start=False, patch=SIDE),
    "targeted": Attack(epsilon=0.3, steps=3, targeted=True, patch=SIDE),
    "restarts": Attack(epsilon=0.3, steps=2, restarts=3, patch=SIDE),
    "fgsm": replace(fgsm(0.3), patch=SIDE),
}
patched = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def both(network: nn.Module, images: Tensor, labels: Tensor, attack: Attack, seed: int = 0) -> list[Tensor]:
    """The images that `perturb` and `fool` return."""
    return [
        perturb(network, images, labels, attack, seeded(seed)),
        fool(network, images, labels, attack, seeded(seed), drop_fooled=False)[1],
        fool(network, images, labels, attack, seeded(seed))[1],
    ]


def grey(digits: tuple[Tensor, Tensor], attack: Attack, count: int) -> tuple[Tensor, Tensor]:
    """Digits without plain black or white, so that all that is touched changes; and their labels, or other classes."""
    return 0.25 + 0.5 * digits[0][:count], (digits[1][:count] + attack.targeted) % 10


def extent(touched: Tensor) -> tuple[int, int]:
    """Rows and columns (H, W) from the first that is touched to the last."""
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


@patched
def test_2_only_a_square_of_each_image_changes_and_by_no_more_than_epsilon(attack, standard_network, digits):
    images, labels = grey(digits, attack, 40)
    before = images.clone()
    for adversarial in both(standard_network, images, labels, attack):
        changed = (adversarial != images)[:, 0]  # (N, H, W); outside of it every bit is the same
        assert changed.flatten(1).any(1).sum() > 20  # it does attack
        for touched in changed[changed.flatten(1).any(1)]:
            assert max(extent(touched)) <= SIDE
        perturbation = (adversarial - images).flatten(1)
        size = perturbation.abs().amax(1) if attack.norm is Norm.LINF else perturbation.norm(dim=1)
        assert size.max() <= attack.epsilon + 1e-6
        assert size.max() > 0.2 * min(attack.epsilon, 0.75)
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1
    assert torch.equal(images, before)


def test_every_pixel_of_the_square_may_change(standard_network, digits):
    images, labels = grey(digits, ATTACKS["linf"], 40)
    adversarial = perturb(standard_network, images, labels, ATTACKS["linf"], seeded())
    counts = (adversarial != images).flatten(1).sum(1)
    assert counts.max() == SIDE**2


def test_a_square_lies_anywhere_and_elsewhere_in_every_image():
    masks = patches(torch.zeros(2000, 1, 6, 8), Attack(patch=4), seeded())
    assert masks.shape == (2000, 1, 6, 8)
    assert (masks.flatten(1).sum(1) == 16).all()
    corners = [tuple(mask[0].nonzero()[0].tolist()) for mask in masks]
    assert {extent(mask[0]) for mask in masks} == {(4, 4)}
    counts = {place: corners.count(place) for place in set(corners)}
    assert set(counts) == {(row, column) for row in range(3) for column in range(5)}
    assert all(90 < count < 180 for count in counts.values())  # 133 expected of each


@pytest.mark.parametrize("attacked", [perturb, fool])
def test_every_restart_draws_new_places(attacked, standard_network, digits, monkeypatch):
    drawn: list[Tensor] = []

    def watched(*arguments):
        drawn.append(attacks_patches(*arguments))
        return drawn[-1]

    attacks_patches = ball.patches
    monkeypatch.setattr(ball, "patches", watched)
    attacked(standard_network, digits[0][:20], digits[1][:20], ATTACKS["restarts"], seeded())
    assert len(drawn) == 3
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (drawn[one] != drawn[other]).flatten(1).any(1).sum() > 15


@patched
def test_the_generator_decides_all(attack, standard_network, digits):
    images, labels = grey(digits, attack, 20)
    torch.manual_seed(1)
    one = both(standard_network, images, labels, attack)
    torch.manual_seed(2)
    same = both(standard_network, images, labels, attack)
    other = both(standard_network, images, labels, attack, seed=1)
    for first, second, third in zip(one, same, other, strict=True):
        assert torch.equal(first, second)
        assert not torch.equal(first, third)


@patched
def test_1_epsilon_0_changes_no_bit(attack, standard_network, digits):
    images, labels = digits[0][:8], digits[1][:8]
    for adversarial in both(standard_network, images, labels, attack.at(0)):
        assert torch.equal(adversarial, images)


@pytest.mark.parametrize(
    ("random_start", "restarts"),
    [
        (False, 1),
        (False, 2),
        (True, 1),
    ],  # a second random start comes after the second patch's places are drawn
)
def test_a_patch_as_large_as_the_image_is_no_patch(random_start, restarts, standard_network, digits):
    images, labels = digits[0][:30], digits[1][:30]
    free = Attack(epsilon=0.15, steps=3, random_start=random_start, restarts=restarts)
    whole = replace(free, patch=28)
    for attacked in (perturb, fool):
        generator = seeded()
        patches(images, whole, generator)  # so that the random start is the same
        expected = attacked(standard_network, images, labels, free, generator)
        got = attacked(standard_network, images, labels, whole, seeded())
        for one, other in zip(expected, got, strict=True):
            assert torch.equal(one, other)


def test_an_l2_patch_spends_its_epsilon_inside_the_square(standard_network, digits):
    images, labels = grey(digits, ATTACKS["l2"], 20)
    attack = replace(ATTACKS["l2"], epsilon=0.5, steps=10)
    for adversarial in both(standard_network, images, labels, attack)[:2]:
        lengths = (adversarial - images).flatten(1).norm(dim=1)
        assert lengths.median() > 0.95 * attack.epsilon
        assert lengths.max() <= attack.epsilon * (1 + 1e-5)


def test_a_larger_patch_fools_more_and_none_at_all_most(standard_network, digits):
    counts = [
        int(fooled_by(standard_network, *digits, Attack(epsilon=0.3, steps=5, patch=patch)).sum())
        for patch in (1, 8, 20, None)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[1] < counts[2] < counts[3]


@pytest.mark.parametrize("attack", [Attack(epsilon=0.3, patch=29), Attack(epsilon=0.3, patch=1000)], ids=str)
def test_a_patch_that_does_not_fit_is_refused(attack, standard_network, digits, refused):
    images, labels = digits[0][:2], digits[1][:2]
    for attacked in (perturb, fool):
        with refused(f"patch {attack.patch} does not fit into images of 28 x 28"):
            attacked(standard_network, images, labels, attack)


@pytest.mark.parametrize("patch", [0, -1])
def test_an_impossible_patch_is_refused(patch, refused):
    with refused(f"patch {patch} is out of range: a whole number of pixels from 1"):
        Attack(patch=patch)
    with refused("patch must be a whole number, not '2.5'"):
        Attack(patch=2.5)


def test_a_patch_at_many_epsilons_is_refused(standard_network, digits, refused):
    with refused("leave the patch out"):
        perturb_at(standard_network, digits[0][:2], digits[1][:2], Attack(patch=SIDE), [0.1])


def test_a_patch_is_named():
    assert str(Attack(epsilon=1.0, steps=7, patch=5)) == "PGD-7, l∞ 1, on a 5 x 5 patch"
    name = "PGD-2, l2 2, targeted, 3 restarts, on a 8 x 8 patch"
    assert str(Attack(Norm.L2, 2.0, 2, restarts=3, targeted=True, patch=8)) == name
    assert Attack(epsilon=0.3, patch=5).at(0.1).patch == 5


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (Attack(epsilon=1.0, patch=5), "pgd-1-patch5"),
        (Attack(Norm.L2, 2.0, targeted=True, patch=3), "pgd-2-l2-targeted-patch3"),
    ],
)
def test_a_training_on_patches_is_named(attack, name):
    assert Training(attack).name == name
    assert Training(attack, ramp_epochs=4).attack_in(0).patch == attack.patch


class OneBrightness(nn.Module):
    """Three classes by one pixel x: logits 0.5, x + 0.3 and 2x - 0.4, so class 0, then 1 from 0.2, then 2 from 0.7."""

    def forward(self, images: Tensor) -> Tensor:
        x = images.flatten(1)  # (N, 1)
        return torch.cat([0 * x + 0.5, x + 0.3, 2 * x - 0.4], dim=1)


def test_with_the_truth_a_targeted_attack_need_not_reach_its_class():
    images = torch.tensor([0.1, 0.1, 0.6, 0.0]).view(4, 1, 1, 1)
    truth, aims = torch.tensor([0, 1, 1, 0]), torch.tensor([2, 2, 2, 2])
    attack = fgsm(0.15, targeted=True)
    # up by 0.15: 0.25 is class 1, so the label is lost; the second is misread as it is; 0.75 reaches class 2;
    # 0.15 is class 0 still
    fooled, adversarial = fool(OneBrightness(), images, aims, attack, truth=truth)
    assert fooled.tolist() == [True, True, True, False]
    assert adversarial.flatten().tolist() == pytest.approx([0.25, 0.1, 0.75, 0.15])
    reached, _ = fool(OneBrightness(), images, aims, attack)
    assert reached.tolist() == [False, False, True, False]


def test_with_the_truth_an_example_that_already_reads_as_the_aim_is_judged_by_its_label():
    image, label = torch.full((1, 1, 1, 1), 0.9), torch.tensor([2])
    attack = fgsm(0.05, targeted=True)
    assert fool(OneBrightness(), image, label, attack)[0].tolist() == [True]
    assert fool(OneBrightness(), image, label, attack, truth=label)[0].tolist() == [False]


def test_the_truth_changes_nothing_for_an_untargeted_attack(standard_network, digits):
    attack = Attack(epsilon=0.1, steps=3)
    plain = fool(standard_network, *digits, attack, seeded())
    judged = fool(standard_network, *digits, attack, seeded(), truth=digits[1])
    for one, other in zip(plain, judged, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("epsilon", [0.0, 0.01, 0.1, 0.3])
@pytest.mark.parametrize("name", ["standard_network", "hardened_network"])
def test_10_accuracy_under_targeted_fgsm_is_never_above_clean(name, epsilon, digits, request):
    network = request.getfixturevalue(name)
    attack = fgsm(epsilon, targeted=True)
    outcomes = evaluate(network, *digits, Sticker(), attack)
    wrong = predicted_classes(network, digits[0]) != digits[1].numpy()
    assert wrong.any()
    assert (outcomes.fooled >= wrong).all()
    assert outcomes.adversarial_accuracy().count <= outcomes.clean_accuracy().count
    aims = (digits[1] + 1) % 10
    reached, _ = fool(network, *(digits[0], aims), attack)
    assert (outcomes.fooled >= reached.numpy()).all()
    if epsilon == 0.1:
        assert np.count_nonzero(outcomes.fooled) > reached.sum()  # some lose the label without getting there
