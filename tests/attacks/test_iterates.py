"""Every attack beside its loop written out, step for step: the same images to the last bit."""

import pytest
import torch
from torch import Tensor, nn

from tradeoff_core.attacks.attack import Attack, Norm
from tradeoff_core.attacks.ball import patches, random_start, step, unit_noise
from tradeoff_core.attacks.gradient import fool, iterates, loss_gradient, perturb, perturb_at
from tradeoff_core.training.objectives import divergence, perturb_for_trades

ATTACKS = {
    "l-inf": Attack(epsilon=0.2, steps=4),
    "l-inf, from the image": Attack(epsilon=0.2, steps=4, random_start=False),
    "l2": Attack(Norm.L2, 1.5, steps=4),
    "targeted": Attack(epsilon=0.2, steps=4, targeted=True),
    "restarts": Attack(epsilon=0.1, steps=3, restarts=3),
    "patch": Attack(epsilon=0.6, steps=3, patch=8),
    "patch, l2, restarts, targeted": Attack(Norm.L2, 3.0, steps=3, patch=8, restarts=2, targeted=True),
}
whatever = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture(scope="module")
def few(digits) -> tuple[Tensor, Tensor]:
    return digits[0][::10], digits[1][::10]


def starts(images: Tensor, attack: Attack, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    patch = patches(images, attack, generator)
    start = random_start(images, attack, generator) if attack.random_start else images
    return (start, torch.ones_like(images)) if patch is None else (torch.where(patch, start, images), patch)


def walk(network: nn.Module, images: Tensor, labels: Tensor, attack: Attack) -> list[list[Tensor]]:
    """Every restart's iterates."""
    generator, walked = seeded(), []
    for _ in range(attack.restarts):
        current, patch = starts(images, attack, generator)
        walked.append([current])
        for _ in range(attack.steps):
            gradient = loss_gradient(network, current, labels)[1] * patch
            current = step(current, gradient, images, attack)
            walked[-1].append(current)
    return walked


def margins(network: nn.Module, images: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    """Above 0 where the attack succeeds."""
    with torch.no_grad():
        logits = network(images)
    label = logits.gather(1, labels[:, None])[:, 0]
    best_other = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return label - best_other if attack.targeted else best_other - label


@whatever
def test_perturb_gives_the_last_iterate_of_each_examples_best_restart(attack, standard_network, few):
    images, labels = few
    ends = torch.stack([walked[-1] for walked in walk(standard_network, images, labels, attack)])
    scores = torch.stack([margins(standard_network, end, labels, attack) for end in ends])
    expected = ends[scores.argmax(0), torch.arange(len(images))]
    assert torch.equal(perturb(standard_network, images, labels, attack, seeded()), expected)


@whatever
def test_fool_gives_the_first_iterate_that_succeeds_else_the_last(attack, standard_network, few):
    images, labels = few
    expected, fooled = images.clone(), margins(standard_network, images, labels, attack) > 0
    for walked in walk(standard_network, images, labels, attack):
        for iterate in walked:
            expected[~fooled] = iterate[~fooled]
            fooled |= margins(standard_network, iterate, labels, attack) > 0
    found = fool(standard_network, images, labels, attack, seeded(), drop_fooled=False)
    assert torch.equal(found[0], fooled)
    assert torch.equal(found[1], expected)


@pytest.mark.parametrize("norm", Norm)
def test_many_epsilons_are_walked_in_one_batch(norm, standard_network, few):
    images, labels = few
    attack, epsilons = Attack(norm, 0.4, steps=3), (0.0, 0.1, 0.8)
    scale = (torch.tensor(epsilons) / 0.4).repeat_interleave(len(images)).view(-1, 1, 1, 1)
    every, noise = images.repeat(3, 1, 1, 1), unit_noise(images, norm, seeded()).repeat(3, 1, 1, 1)
    current = (every + 0.4 * scale * noise).clamp(0, 1)
    for _ in range(3):
        gradient = loss_gradient(standard_network, current, labels.repeat(3))[1]
        current = step(current, gradient, every, attack, scale)
    found = perturb_at(standard_network, images, labels, attack, epsilons, seeded())
    assert torch.equal(found.flatten(0, 1), current)


@pytest.mark.parametrize("norm", Norm)
def test_trades_walks_up_its_divergence(norm, standard_network, few):
    images, attack = few[0], Attack(norm, 0.4, steps=3, random_start=False)
    clean = standard_network(images).detach()
    current = random_start(images, attack, seeded())
    for _ in range(3):
        current = current.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(divergence(standard_network(current), clean) * len(images), current)
        current = step(current.detach(), gradient, images, attack)
    assert torch.equal(perturb_for_trades(standard_network, images, attack, seeded()), current)


def test_what_is_not_kept_is_left_where_it_stands(few):
    """On a sum of pixels an attack raises every pixel by a step: of three images the last two go on, then the last."""
    images, attack = few[0][:3] * 0, Attack(epsilon=1.0, steps=2, step_size=0.25, random_start=False)

    def total(logits: Tensor, _: Tensor) -> Tensor:
        return logits.sum()

    seen = []
    for at in iterates(nn.Flatten(), total, images, attack, images):
        seen.append((at.index.tolist(), at.images.amax().item(), at.logits is None))
        at.keep = torch.arange(len(at.index)) > 0
    assert seen == [([0, 1, 2], 0.0, False), ([1, 2], 0.25, False), ([2], 0.5, True)]
