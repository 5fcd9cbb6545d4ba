"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import copy
import math
from dataclasses import replace

import art.attacks.evasion
import art.estimators.classification
import foolbox
import pytest
import torch
import torchattacks
from torch import Tensor, nn

from tradeoff_core.attacks.attack import Attack, Norm, fgsm, in_levels, parse_epsilon
from tradeoff_core.attacks.ball import random_start, step
from tradeoff_core.attacks.gradient import fool, gradient_health, loss_gradient, perturb, perturb_at
from tradeoff_core.networks import build

ATTACKS = {
    "fgsm": fgsm(0.1),
    "fgsm-l2": fgsm(1.0, Norm.L2),
    "fgsm-targeted": fgsm(0.1, targeted=True),
    "pgd": Attack(epsilon=0.1, steps=4),
    "pgd-l2": Attack(Norm.L2, 1.5, steps=4),
    "pgd-targeted": Attack(epsilon=0.1, steps=4, targeted=True),
    "pgd-l2-targeted": Attack(Norm.L2, 1.5, steps=4, targeted=True),
    "pgd-restarts": Attack(epsilon=0.1, steps=3, restarts=3),
    "pgd-l2-restarts": Attack(Norm.L2, 1.5, steps=3, restarts=3),
    "pgd-no-random-start": Attack(epsilon=0.1, steps=4, random_start=False),
    "pgd-huge": Attack(epsilon=1.0, steps=4),
}
attacks = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear(weights: Tensor, bias: Tensor) -> nn.Sequential:
    """A network of one linear layer, in float64."""
    layer = nn.Linear(weights.shape[1], weights.shape[0]).double()
    layer.weight.data, layer.bias.data = weights.double(), bias.double()
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


def sizes(perturbation: Tensor, norm: Norm) -> Tensor:
    flat = perturbation.flatten(1)
    return flat.abs().amax(1) if norm is Norm.LINF else flat.square().sum(1).sqrt()


def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return (network(images).argmax(1) == labels).double().mean().item()


@attacks
def test_1_epsilon_0_changes_no_bit(attack, standard_network, digits):
    images, labels = digits[0][:8], digits[1][:8]
    nothing = attack.at(0)
    assert torch.equal(perturb(standard_network, images, labels, nothing, seeded()), images)
    assert torch.equal(fool(standard_network, images, labels, nothing, seeded())[1], images)
    assert torch.equal(perturb_at(standard_network, images, labels, attack, [0.0], seeded())[0], images)


@attacks
def test_2_perturbations_stay_within_epsilon_and_touch_nothing_else(attack, digits):
    images, labels = digits[0][:20].clone(), digits[1][:20].clone()
    network = build("mnist-cnn", 0.1, seed=0).train()
    network.head.bias.grad = torch.full_like(network.head.bias, 7)
    before, weights = (images.clone(), labels.clone()), copy.deepcopy(network.state_dict())

    epsilons = [0.5 * attack.epsilon, attack.epsilon]
    results = [
        (attack.epsilon, perturb(network, images, labels, attack, seeded())),
        (attack.epsilon, fool(network, images, labels, attack, seeded())[1]),
        *zip(epsilons, perturb_at(network, images, labels, attack, epsilons, seeded()), strict=True),
    ]

    for epsilon, adversarial in results:
        assert sizes(adversarial - images, attack.norm).max() <= epsilon + 1e-6
        assert adversarial.min() >= 0
        assert adversarial.max() <= 1
        assert not adversarial.requires_grad
    assert sizes(results[0][1] - images, attack.norm).min() > 0.1 * attack.epsilon  # it does attack
    assert torch.equal(images, before[0])
    assert torch.equal(labels, before[1])
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert torch.equal(gradients.pop("head.bias"), torch.full((10,), 7.0))
    assert set(gradients.values()) == {None}


# logits are 3x - 4y + 1 and 0, so the margin of class 0 at (0.5, 0.5) is 0.5; ‖w‖₁ = 7, ‖w‖₂ = 5
@pytest.mark.parametrize(
    ("norm", "moved_to", "margin"),
    [(Norm.LINF, (0.4, 0.6), 0.5 - 0.1 * 7), (Norm.L2, (0.44, 0.58), 0.5 - 0.1 * 5)],
)
@pytest.mark.parametrize("steps", [1, 10])
def test_6_two_pixels_by_hand(norm, moved_to, margin, steps):
    network = linear(torch.tensor([[3.0, -4.0], [0.0, 0.0]]), torch.tensor([1.0, 0.0]))
    image = torch.full((1, 1, 1, 2), 0.5).double()
    attack = fgsm(0.1, norm) if steps == 1 else Attack(norm, 0.1, steps, random_start=False)
    adversarial = perturb(network, image, torch.tensor([0]), attack)
    assert adversarial.flatten().tolist() == pytest.approx(moved_to, abs=1e-9)
    logits = network(adversarial)[0]
    assert (logits[0] - logits[1]).item() == pytest.approx(margin, abs=1e-9)
    # the margin falls in proportion to ε: `fool` must see it turn, be it at the very last iterate
    for share in (0.99, 1.01):
        turned, _ = fool(network, image, torch.tensor([0]), attack.at(share * 0.1 * 0.5 / (0.5 - margin)))
        assert turned.item() is (share > 1)

    towards = perturb(network, image, torch.tensor([0]), fgsm(0.1, norm, targeted=True))
    logits = network(towards)[0]
    assert (logits[0] - logits[1]).item() == pytest.approx(0.5 + (0.5 - margin), abs=1e-9)


def test_6_a_pixel_at_its_limit_stays_there():
    network = linear(torch.tensor([[3.0, -4.0], [0.0, 0.0]]), torch.tensor([1.0, 0.0]))
    image = torch.tensor([0.03, 1.0]).double().view(1, 1, 1, 2)
    adversarial = perturb(network, image, torch.tensor([0]), fgsm(0.1))
    assert adversarial.flatten().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("norm", list(Norm))
def test_6_margins_of_a_linear_network_are_the_closed_form_at_every_epsilon(norm):
    weights = torch.randn(2, 49, generator=seeded(1)).double()
    network = linear(weights, torch.zeros(2))
    images = 0.3 + 0.4 * torch.rand(5, 1, 7, 7, generator=seeded(2)).double()  # far from being clipped
    labels = torch.tensor([0, 1, 0, 1, 0])
    difference = weights[0] - weights[1]
    length = difference.abs().sum() if norm is Norm.LINF else difference.square().sum().sqrt()

    def margins(x: Tensor) -> Tensor:
        logits = network(x)
        return (logits[:, 0] - logits[:, 1]) * (1 - 2 * labels)

    epsilons = [0.0, 0.05, 0.1, 0.2]
    attack = Attack(norm, 0.2, steps=5, random_start=False)
    rows = perturb_at(network, images, labels, attack, epsilons)
    for epsilon, row in zip(epsilons, rows, strict=True):
        expected = margins(images) - epsilon * length
        assert torch.allclose(margins(row), expected, atol=1e-6)
        # from a random start PGD comes as near as its steps let it, and never beyond
        found = margins(perturb(network, images, labels, Attack(norm, epsilon, steps=50), seeded()))
        assert (found >= expected - 1e-9).all()
        assert (found <= expected + 0.05 * epsilon * length + 1e-9).all()


def test_7_normalisation_inside_the_network_changes_no_attack():
    mean, std = torch.tensor([0.4, 0.5, 0.3]).double(), torch.tensor([0.2, 0.25, 0.3]).double()

    class Normalise(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)

    torch.manual_seed(0)
    convolution, head = nn.Conv2d(3, 4, 3).double(), nn.Linear(4 * 16, 5).double()
    folded = copy.deepcopy(convolution)  # w(x - m)/s + b = (w/s)x + (b - Σ w m/s)
    folded.weight.data = convolution.weight.data / std.view(1, 3, 1, 1)
    folded.bias.data -= (convolution.weight.data * (mean / std).view(1, 3, 1, 1)).sum((1, 2, 3))
    wrapped = nn.Sequential(Normalise(), convolution, nn.ReLU(), nn.Flatten(), head)
    unwrapped = nn.Sequential(folded, nn.ReLU(), nn.Flatten(), head)
    images, labels = torch.rand(8, 3, 6, 6, generator=seeded()).double(), torch.arange(8) % 5
    for attack in (Attack(epsilon=0.05, steps=5), Attack(Norm.L2, 0.5, steps=5)):
        one, other = (perturb(n, images, labels, attack, seeded()) for n in (wrapped, unwrapped))
        assert (one - other).abs().max() < 1e-9


def by_torchattacks(network: nn.Module, images: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    torch.manual_seed(0)  # its uniform start then is ours with a generator of seed 0
    if attack.steps == 1:
        oracle = torchattacks.FGSM(network, attack.epsilon)
    else:
        kind = torchattacks.PGD if attack.norm is Norm.LINF else torchattacks.PGDL2
        oracle = kind(network, attack.epsilon, attack.step, attack.steps, attack.random_start)
    return oracle(images, labels)


def by_foolbox(network: nn.Module, images: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    torch.manual_seed(0)
    if attack.steps == 1:
        oracle = foolbox.attacks.LinfFastGradientAttack(random_start=False)
    else:
        kinds = {
            Norm.LINF: foolbox.attacks.LinfProjectedGradientDescentAttack,
            Norm.L2: foolbox.attacks.L2ProjectedGradientDescentAttack,
        }
        oracle = kinds[attack.norm](
            abs_stepsize=attack.step, steps=attack.steps, random_start=attack.random_start
        )
    _, adversarial, _ = oracle(
        foolbox.PyTorchModel(network, bounds=(0, 1)), images, labels, epsilons=attack.epsilon
    )
    return adversarial


@pytest.mark.parametrize("oracle", [by_torchattacks, by_foolbox])
@pytest.mark.parametrize(
    "attack",
    [
        fgsm(0.1),
        Attack(epsilon=0.12, steps=10),
        Attack(epsilon=0.12, steps=10, random_start=False),
        Attack(Norm.L2, 1.8, steps=10),
        Attack(Norm.L2, 1.8, steps=10, random_start=False),
    ],
    ids=str,
)
def test_8_independent_libraries_agree(oracle, attack, standard_network, digits):
    theirs = oracle(copy.deepcopy(standard_network), *digits, attack)
    ours = perturb(standard_network, *digits, attack, seeded())
    expected = accuracy(standard_network, theirs, digits[1])
    assert 0.2 < expected < 0.9  # where a difference would show
    same_start = attack.norm is Norm.LINF or not attack.random_start  # each draws from the l2 ball in its way
    tolerance = (0.01 if same_start else 0.02) + 1e-9
    assert accuracy(standard_network, ours, digits[1]) == pytest.approx(expected, abs=tolerance)
    # `fool` counts every iterate, so it may find more, and never less
    standing = 1 - fool(standard_network, *digits, attack, seeded())[0].double().mean().item()
    assert expected - 0.05 <= standing <= expected + tolerance
    if same_start:
        assert (ours - theirs).abs().mean() < 1e-4 * attack.epsilon


def test_5_stronger_attacks_leave_less(standard_network, hardened_network, digits):
    for network, epsilon in ((standard_network, 0.2), (hardened_network, 0.25)):
        after = [
            accuracy(network, images, digits[1])
            for images in (
                perturb(network, *digits, Attack(epsilon=epsilon, steps=10), seeded()),
                perturb(network, *digits, fgsm(epsilon)),
                random_start(digits[0], Attack(epsilon=epsilon), seeded()),
                digits[0],
            )
        ]
        assert after[2] <= after[3] + 0.01
        assert after[0] < after[1] - 0.02
        assert after[1] < after[2] - 0.2


def test_5_twice_the_steps_change_little(standard_network, hardened_network, digits):
    images, labels = digits[0][::2], digits[1][::2]
    for network in (standard_network, hardened_network):
        few, many = (
            accuracy(
                network, perturb(network, images, labels, Attack(epsilon=0.12, steps=steps), seeded()), labels
            )
            for steps in (10, 20)
        )
        assert few - 0.03 <= many <= few + 0.01


@pytest.mark.parametrize("norm", list(Norm))
def test_5_transferred_images_are_not_stronger(norm, standard_network, poisoned_network, digits):
    attack = Attack(norm, 0.12 if norm is Norm.LINF else 1.8, steps=10)
    white_box = 1 - fool(standard_network, *digits, attack, seeded())[0].double().mean().item()
    transferred = perturb(poisoned_network, *digits, attack, seeded())
    assert accuracy(standard_network, transferred, digits[1]) > white_box + 0.1


def test_5_the_square_attack_is_not_stronger(standard_network, digits):
    images, labels = digits[0][::2], digits[1][::2]
    classifier = art.estimators.classification.PyTorchClassifier(
        copy.deepcopy(standard_network), nn.CrossEntropyLoss(), (1, 28, 28), 10, clip_values=(0, 1)
    )
    square = art.attacks.evasion.SquareAttack(
        classifier, eps=0.12, max_iter=40, batch_size=128, verbose=False
    )
    found = torch.from_numpy(square.generate(images.numpy(), labels.numpy()))
    assert (found - images).abs().max() <= 0.12 + 1e-6
    black_box = accuracy(standard_network, found, labels)
    white_box = fool(standard_network, images, labels, Attack(epsilon=0.12, steps=20), seeded())[0]
    assert black_box < accuracy(standard_network, images, labels)  # it is an attack
    assert black_box >= 1 - white_box.double().mean().item()


def test_9_gradients_agree_with_finite_differences(standard_network, digits):
    network, labels = copy.deepcopy(standard_network).double(), digits[1][:3]
    noise = torch.rand(3, 1, 28, 28, generator=seeded())  # on plain black max-pooling has ties, so kinks
    images = (0.9 * digits[0][:3] + 0.1 * noise).double()
    logits, gradient = loss_gradient(network, images, labels)
    assert torch.equal(logits, network(images))

    def losses(x: Tensor) -> Tensor:
        return nn.functional.cross_entropy(network(x), labels, reduction="none")

    nudge, checked = 1e-6, gradient.abs().flatten(1).topk(5).indices  # (3, 5)
    for pixel in checked.T:
        moved = torch.zeros_like(images).flatten(1)
        moved.scatter_(1, pixel[:, None], nudge)
        moved = moved.view_as(images)
        slope = (losses(images + moved) - losses(images - moved)) / (2 * nudge)
        exact = gradient.flatten(1).gather(1, pixel[:, None]).squeeze(1)
        assert torch.allclose(slope, exact, rtol=1e-4, atol=1e-8)


def test_9_zero_and_broken_gradients_are_counted():
    class OnePixelBlindOneBroken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            pixels = images.flatten(1)
            seen = pixels * torch.tensor([1.0, 1.0, 0.0, 1.0])
            broken = (seen[:, 3] - seen[:, 3]).sqrt()  # its slope is ∞ - ∞
            return torch.stack([seen[:, 0], seen[:, 1] + broken], 1)

    health = gradient_health(OnePixelBlindOneBroken(), torch.full((3, 1, 2, 2), 0.5), torch.zeros(3).long())
    assert health == {"zero": 0.25, "not_finite": 0.25}


def test_9_a_trained_network_has_healthy_gradients(standard_network, digits):
    health = gradient_health(standard_network, *digits)
    assert health["zero"] < 0.05
    assert health["not_finite"] == 0


@attacks
def test_fool_finds_the_same_with_and_without_dropping(attack, standard_network, digits):
    runs = [
        fool(standard_network, *digits, attack, seeded(), drop_fooled=drop_fooled)
        for drop_fooled in (True, False)
    ]
    assert torch.equal(runs[0][0], runs[1][0])
    assert (runs[0][1] - runs[1][1]).abs().mean() < 1e-4 * attack.epsilon


def test_fool_returns_the_image_that_fools(standard_network, digits):
    images, labels = digits
    attack = Attack(epsilon=0.12, steps=5, restarts=2)
    fooled, adversarial = fool(standard_network, images, labels, attack, seeded())
    assert 0.1 < fooled.double().mean() < 0.9
    assert torch.equal(standard_network(adversarial).argmax(1) != labels, fooled)
    wrong = standard_network(images).argmax(1) != labels
    assert wrong.any()
    assert torch.equal(adversarial[wrong], images[wrong])


@pytest.mark.parametrize("targeted", [False, True])
def test_restarts_keep_each_examples_best(targeted, standard_network, digits):
    images, labels = digits[0][:60], digits[1][:60] + targeted
    attack = Attack(epsilon=0.1, steps=3, targeted=targeted)

    def gain(adversarial: Tensor) -> Tensor:
        """By how much the best other logit passes the label's, or the label's the others if targeted."""
        logits = standard_network(adversarial)
        of_label = logits.gather(1, labels[:, None]).squeeze(1)
        gained = logits.scatter(1, labels[:, None], -math.inf).amax(1) - of_label
        return -gained if targeted else gained

    generator = seeded()
    single = [gain(perturb(standard_network, images, labels, attack, generator)) for _ in range(3)]
    restarted = perturb(standard_network, images, labels, replace(attack, restarts=3), seeded())
    assert torch.allclose(gain(restarted), torch.stack(single).amax(0), atol=1e-5)


def test_restarts_work_in_float64(standard_network, digits):
    network = copy.deepcopy(standard_network).double()
    attack = Attack(epsilon=0.1, steps=2, restarts=2)
    assert perturb(network, digits[0][:4].double(), digits[1][:4], attack, seeded()).dtype == torch.float64


def test_the_start_is_uniform_in_the_ball():
    grey = torch.full((2000, 1, 2, 2), 0.5)
    cube = random_start(grey, Attack(epsilon=0.2), seeded()) - grey
    assert cube.std().item() == pytest.approx(0.2 / math.sqrt(3), rel=0.03)
    ball = sizes(random_start(grey, Attack(Norm.L2, 0.2), seeded()) - grey, Norm.L2)
    # half of a 4-dimensional ball lies within 2^(-1/4) of its radius
    assert (ball < 0.2 * 2**-0.25).double().mean().item() == pytest.approx(0.5, abs=0.04)


def test_no_gradient_moves_nothing():
    image = torch.full((1, 1, 2, 2), 0.5)
    for norm in Norm:
        assert torch.equal(step(image, torch.zeros_like(image), image, Attack(norm, 0.1)), image)


def test_fgsm_follows_its_epsilon(standard_network, digits):
    images, labels = digits[0][:20], digits[1][:20]
    for norm in Norm:
        moved = perturb(standard_network, images, labels, fgsm(0.1, norm).at(0.3))
        assert torch.equal(moved, perturb(standard_network, images, labels, fgsm(0.3, norm)))


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (fgsm(0.1), "FGSM, l∞ 0.1"),
        (Attack(), "PGD-40, l∞ 0.3"),
        (Attack(steps=1, epsilon=0.2), "PGD-1, l∞ 0.2"),
        (Attack("l2", 2.0, 10, restarts=5, targeted=True), "PGD-10, l2 2, targeted, 5 restarts"),
    ],
)
def test_attacks_name_themselves(attack, name):
    assert str(attack) == name


def test_the_step_is_two_and_a_half_epsilon_over_the_steps():
    assert Attack(epsilon=0.3, steps=10).step == pytest.approx(0.075)
    assert Attack(epsilon=0.3, steps=10).at(0.1).step == pytest.approx(0.025)
    assert Attack(epsilon=0.3, steps=10, step_size=0.05).step == 0.05


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"norm": "l1"}, "norm 'l1'.*linf or l2"),
        ({"epsilon": -0.1}, "epsilon -0.1"),
        ({"epsilon": math.nan}, "epsilon nan"),
        ({"epsilon": math.inf}, "epsilon inf"),
        ({"steps": 0}, "steps 0"),
        ({"steps": 2.5}, "steps must be a whole number, not .2.5."),
        ({"restarts": 0}, "restarts 0"),
        ({"step_size": 0.0}, "step_size 0"),
        ({"step_size": math.nan}, "step_size nan"),
    ],
)
def test_impossible_attacks_are_refused(fields, named, refused):
    with refused(named):
        Attack(**fields)


@pytest.mark.parametrize(("text", "value"), [("0.3", 0.3), ("8/255", 8 / 255), ("0", 0), (" 1 / 4 ", 0.25)])
def test_epsilon_is_read(text, value):
    assert parse_epsilon(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "a lot", "8/", "/255", "8/0", "1/2/3", "-0.1", "nan", "inf", "0,3"])
def test_unreadable_epsilon_is_refused(text, refused):
    with refused("epsilon"):
        parse_epsilon(text)


@pytest.mark.parametrize(
    ("epsilon", "said"),
    [
        (8 / 255, "8/255"),
        (25 / 255, "25/255"),
        (0.1, "0.1"),
        (0.2, "0.2"),
        (0.3, "0.3"),
        (0.0, "0"),
        (0.001, "0.001"),
        (2.0, "2"),
    ],
)
def test_epsilon_is_said_in_levels_where_it_is_a_few_of_them(epsilon, said):
    assert in_levels(epsilon) == said
    assert parse_epsilon(said) == pytest.approx(epsilon, rel=1e-5)
