"""The regulariser and TRADES against values worked out by hand or by finite differences."""

import pytest
import torch
from scipy.special import rel_entr
from torch import nn
from torch.nn import functional as F

from tradeoff_core.attacks.attack import Attack, Norm
from tradeoff_core.training.objectives import (
    cross_lipschitz,
    divergence,
    gradients_at_once,
    gradients_in_turn,
    perturb_for_trades,
    squared_cross_lipschitz,
    trades,
)


def linear(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(9, 3)).double()


IMAGES = torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_on_a_linear_network_it_is_the_mean_distance_of_the_classes_weights():
    network = linear()
    rows = network[1].weight
    expected = sum((rows[i] - rows[j]).norm() for i, j in ((0, 1), (0, 2), (1, 2))) / 3
    assert cross_lipschitz(network, IMAGES).item() == pytest.approx(expected.item())


def test_its_gradient_agrees_with_finite_differences():
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    weight = network[1].weight
    (gradient,) = torch.autograd.grad(cross_lipschitz(network, IMAGES), weight)
    for place in ((0, 0), (2, 5), (3, 8)):
        values = []
        for shift in (1e-6, -2e-6):
            with torch.no_grad():
                weight[place] += shift
            values.append(cross_lipschitz(network, IMAGES).item())
        with torch.no_grad():
            weight[place] += 1e-6
        assert gradient[place].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4)


def test_classes_with_equal_gradients_have_a_finite_gradient():
    network = linear()
    with torch.no_grad():
        network[1].weight[1] = network[1].weight[0]
    (gradient,) = torch.autograd.grad(cross_lipschitz(network, IMAGES), network[1].weight)
    assert gradient.isfinite().all()


def test_the_squared_form_counts_every_pair_twice_and_divides_by_the_classes_squared():
    network = linear()
    rows = network[1].weight
    pairs = ((0, 1), (0, 2), (1, 2))
    expected = 2 * sum((rows[i] - rows[j]).square().sum() for i, j in pairs) / 3**2  # of every image alike
    assert squared_cross_lipschitz(network, IMAGES).item() == pytest.approx(expected.item())


def test_the_squared_form_of_a_network_that_bends_is_the_sum_over_pairs_one_by_one():
    torch.manual_seed(2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    expected = 0.0
    for image in IMAGES:
        slopes = torch.autograd.functional.jacobian(lambda x: network(x[None])[0], image).flatten(1)
        expected += sum(
            2 * (slopes[i] - slopes[j]).square().sum().item() for i, j in ((0, 1), (0, 2), (1, 2))
        )
    assert squared_cross_lipschitz(network, IMAGES).item() == pytest.approx(expected / (9 * len(IMAGES)))


def test_all_classes_at_once_have_the_gradients_that_each_has_and_the_same_second_derivatives():
    torch.manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(676, 10)
    )
    images = torch.rand(5, 1, 28, 28, requires_grad=True)
    found = []
    for gradients in (gradients_in_turn, gradients_at_once):
        once = gradients(network(images), images)
        assert once.shape == (10, 5, 1, 28, 28)
        found.append((once, *torch.autograd.grad(once.square().sum(), [*network.parameters()][:1])))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_divergence_is_scipys():
    logits, reference = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = rel_entr(reference.softmax(1).numpy(), logits.softmax(1).numpy()).sum(1).mean()
    assert divergence(logits, reference).item() == pytest.approx(expected)
    assert divergence(logits, logits).item() == pytest.approx(0)


def test_trades_is_cross_entropy_plus_the_weighted_divergence():
    clean, attacked = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, 1, 2, 0, 1])
    expected = F.cross_entropy(clean, labels) + 6 * divergence(attacked, clean)
    assert trades(clean, attacked, labels, 6.0).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("norm", Norm)
def test_its_attack_stays_within_epsilon_and_moves_the_prediction_further_than_noise(norm):
    network = linear()
    attack = Attack(norm, 0.2, steps=10, random_start=False)
    moved = perturb_for_trades(network, IMAGES, attack, torch.Generator().manual_seed(0))
    perturbation = (moved - IMAGES).flatten(1)
    sizes = perturbation.abs().amax(1) if norm is Norm.LINF else perturbation.norm(dim=1)
    assert (sizes <= 0.2 + 1e-6).all()
    assert moved.min() >= 0
    assert moved.max() <= 1
    noise = perturb_for_trades(
        network, IMAGES, Attack(norm, 0.2, steps=1, step_size=1e-9), torch.Generator().manual_seed(0)
    )
    clean = network(IMAGES)
    assert divergence(network(moved), clean) > 1.5 * divergence(network(noise), clean)
