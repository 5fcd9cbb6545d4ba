"""I-BAU: its hypergradient is that of a problem solved by hand, its perturbation the worst, and the network is a copy."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.defenses.removal.minimax import (
    Minimax,
    hypergradient,
    universal_perturbation,
    unlearn_universal,
)
from tradeoff_core.networks import Network, freeze

A = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
B = torch.tensor([[1.0, -2.0, 0.0], [0.5, 0.0, 3.0]], dtype=torch.float64)
C = torch.tensor([0.3, -0.7], dtype=torch.float64)
THETA = torch.tensor([0.4, -1.0, 0.2], dtype=torch.float64)


def quadratic() -> tuple[Tensor, Tensor, list[Tensor]]:
    """min over θ of ½|δ* - c|² + ½|θ|², where δ* is the least of ½ δᵀAδ - δᵀBθ, which is A⁻¹Bθ; its gradient at each term."""
    best = torch.linalg.solve(A, B @ THETA)
    exact = THETA + B.T @ torch.linalg.solve(A, best - C)
    step, partial = 0.1, torch.zeros(2, dtype=torch.float64)
    by_terms = [THETA]
    for _ in range(3):
        partial = (best - C) + partial - step * (A @ partial)  # Σ (I - step A)ᵏ (δ* - c)
        by_terms.append(THETA + step * B.T @ partial)
    return best, exact, by_terms


def of_quadratic(terms: int, step: float = 0.1) -> Tensor:
    theta = THETA.clone().requires_grad_(True)
    (gradient,) = hypergradient(
        lambda point: 0.5 * (point - C).square().sum() + 0.5 * theta.square().sum(),
        lambda point: 0.5 * point @ A @ point - point @ B @ theta,
        quadratic()[0],
        [theta],
        step,
        terms,
    )
    return gradient


def test_with_many_terms_the_hypergradient_is_the_exact_one():
    torch.testing.assert_close(of_quadratic(400), quadratic()[1])


@pytest.mark.parametrize("terms", [0, 1, 2, 3])
def test_with_few_terms_it_is_the_partial_sum(terms):
    torch.testing.assert_close(of_quadratic(terms), quadratic()[2][terms])


def test_the_exact_one_is_that_of_differences():
    def solved(theta: Tensor) -> Tensor:
        return 0.5 * (torch.linalg.solve(A, B @ theta) - C).square().sum() + 0.5 * theta.square().sum()

    steps = 1e-6 * torch.eye(3, dtype=torch.float64)
    slopes = torch.stack([(solved(THETA + one) - solved(THETA - one)) / 2e-6 for one in steps])
    torch.testing.assert_close(of_quadratic(400), slopes, rtol=1e-6, atol=1e-8)


def test_parameters_that_one_of_both_does_not_see_are_counted():
    seen, unseen = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    found = hypergradient(
        lambda point: (seen * point).sum(),
        lambda point: (0.5 * point.square() - point * unseen).sum(),
        torch.tensor([2.0]),
        [seen, unseen],
        1.0,
        1,
    )
    assert [one.item() for one in found] == [2, 1]  # of `seen` δ itself, of `unseen` what δ does for it


def test_the_perturbation_is_one_for_all_and_raises_the_loss_as_far_as_it_may():
    """Of a linear network of two classes the worst direction is that of the weights' difference."""
    layer = nn.Linear(4, 2)
    layer.weight.data = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.0, 0.0, 0.0, 1.0]])
    layer.bias.data = torch.zeros(2)
    network = freeze(Network({"penultimate": nn.Flatten()}, layer, (1, 2, 2)))
    images, labels = torch.rand(6, 1, 2, 2), torch.zeros(6, dtype=torch.long)
    found = universal_perturbation(
        network, images, labels, Minimax(radius=0.5), torch.Generator().manual_seed(0)
    )
    assert found.shape == (1, 1, 2, 2)
    against = torch.tensor([-1.0, -2.0, 0.0, 2.0])
    torch.testing.assert_close(found.flatten(), 0.5 * against / against.norm(), rtol=1e-3, atol=1e-3)


def worst_loss(network: Network, images: Tensor, labels: Tensor, minimax: Minimax) -> float:
    found = universal_perturbation(network, images, labels, minimax, torch.Generator().manual_seed(3))
    assert found.norm() <= minimax.radius + 1e-5
    return F.cross_entropy(network(images + found), labels).item()


def test_afterwards_no_perturbation_fools_as_much(poisoned_network, digits, door, untouched):
    minimax = Minimax(radius=2.0, rounds=3)
    with untouched(poisoned_network, *digits):
        before = worst_loss(poisoned_network, *digits, minimax)
        cleansed = unlearn_universal(poisoned_network, *digits, minimax)
    after = worst_loss(cleansed, *digits, minimax)
    plain = F.cross_entropy(poisoned_network(digits[0]), digits[1]).item()
    assert before > plain + 1
    assert after < before - 1
    (was, accuracy), (now, kept) = door(poisoned_network, digits), door(cleansed, digits)
    assert was > 0.9
    assert now < 0.7 * was
    assert kept > accuracy - 0.1
    assert not cleansed.training


def test_it_works_on_every_kind_of_network(any_network, untouched):
    network, images, labels = any_network
    minimax = Minimax(rounds=1, climbs=1, batch_size=4)
    with untouched(network, images, labels):
        one, same, other = (unlearn_universal(network, images, labels, minimax, seed) for seed in (0, 0, 1))
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert all(value.isfinite().all() for value in one.state_dict().values())


def test_a_radius_of_nothing_is_refused(refused):
    with refused("radius 0 is out of range"):
        Minimax(radius=0.0)
