"""What an attack is given is checked: images in [0, 1], labels that are classes, ε and steps that can be meant."""

import pytest
import torch

from tradeoff_core.attacks import Attack, Norm, fgsm, parse_epsilon, perturb, perturb_at
from tradeoff_core.attacks.gradient import fool, loss_gradient
from tradeoff_core.attacks.strong import autoattack, import_torchattacks
from tradeoff_core.certification.bounds import certified
from tradeoff_core.defenses.neural_cleanse import Reversal, Unlearning, rebuild_triggers, unlearn
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.explanations.attribution import attribute
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.inference import features_of, predict, predicted_classes
from tradeoff_core.poisoning.triggers import Sticker, Watermark
from tradeoff_core.training.recipe import IntervalBounds, Training

ATTACK = Attack(epsilon=0.1, steps=2)
ATTACKS = {
    "perturb": lambda network, images, labels: perturb(network, images, labels, ATTACK),
    "l2": lambda network, images, labels: perturb(network, images, labels, Attack(Norm.L2, 1.0, 2)),
    "restarts": lambda network, images, labels: perturb(
        network, images, labels, Attack(epsilon=0.1, steps=2, restarts=2)
    ),
    "fgsm": lambda network, images, labels: perturb(network, images, labels, fgsm(0.1)),
    "adam": lambda network, images, labels: perturb(
        network, images, labels, Attack(epsilon=0.1, steps=2, step_size=0.1, adam=True, last_iterate=True)
    ),
    "at": lambda network, images, labels: perturb_at(network, images, labels, ATTACK, (0.1,)),
    "fool": lambda network, images, labels: fool(network, images, labels, ATTACK)[1],
    "nothing": lambda network, images, labels: fool(network, images, labels, Attack(epsilon=0.0))[1],
    "gradient": lambda network, images, labels: loss_gradient(network, images, labels)[1],
}
attacks = pytest.mark.parametrize("attacked", ATTACKS.values(), ids=ATTACKS)


@attacks
def test_images_outside_of_0_to_1_are_refused(attacked, standard_network, digits, refused):
    images, labels = digits[0][:3], digits[1][:3]
    for wrong, said in (
        (images * 255, "from 0 to 255: divide them by 255"),
        (images - 0.5, r"images must lie in \[0, 1\], not from -0.5"),
        (images * torch.nan, "not from nan to nan"),
        ((images * 255).to(torch.uint8), r"not uint8 \(3, 1, 28, 28\)"),
        (images[0], r"not float32 \(1, 28, 28\)"),
        (images.numpy(), r"in a tensor, not an array of float32 \(3, 1, 28, 28\)"),
    ):
        with refused(said):
            attacked(standard_network, wrong, labels)


@attacks
def test_labels_that_are_no_classes_are_refused(attacked, standard_network, digits, refused):
    images, labels = digits[0][:3], digits[1][:3]
    for wrong, said in (
        (labels * 0 + 10, "labels run from 10 to 10, but the network's classes are 0 to 9"),
        (labels * 0 - 100, "labels run from -100 to -100"),  # the label that cross-entropy passes over
        (labels[:2], r"shape \(3,\), one an image, in a tensor, not int64 \(2,\)"),
        (labels.float(), r"whole numbers .*not float32"),
        (labels.numpy(), r"in a tensor, not an array of int64 \(3,\)"),
    ):
        with refused(said):
            attacked(standard_network, images, wrong)


@attacks
def test_a_result_has_no_history(attacked, standard_network, digits):
    images, labels = digits[0][:3], digits[1][:3].int()
    given = images.clone().requires_grad_(True)
    found = attacked(standard_network, given, labels)
    assert not found.requires_grad
    assert given.grad is None


def test_readers_and_triggers_refuse_images_of_0_to_255(standard_network, digits, refused):
    labels = digits[1][:2]
    for read in (
        Sticker().apply,
        Watermark().apply,
        lambda images: attribute(standard_network, images, labels),
        lambda images: unlearn(standard_network, images, labels, lambda stamped: stamped),
        lambda images: predict(standard_network, images),
        lambda images: predicted_classes(standard_network, images),
        lambda images: features_of(standard_network, images, "penultimate"),
        lambda images: certified(standard_network, images, digits[1][:2], 0.1),
    ):
        with refused("divide them by 255"):
            read(digits[0][:2] * 255)


@pytest.mark.parametrize("label", [10, -1])
def test_what_takes_labels_refuses_those_that_are_no_classes(label, standard_network, digits, refused):
    images, labels = digits[0][:2], torch.full((2,), label)
    targeted = Attack(epsilon=0.1, steps=2, targeted=True)  # at the class after the label's
    for use in (
        lambda: fooled_by(standard_network, images, labels, targeted),
        lambda: certified(standard_network, images, labels, 0.1),
        lambda: rebuild_triggers(standard_network, images, labels, 10, Reversal(rounds=1)),
        lambda: unlearn(standard_network, images, labels, Sticker().apply),
        lambda: attribute(standard_network, images, labels),
    ):
        with refused(f"labels run from {label} to {label}, but the network's classes are 0 to 9"):
            use()


WRONG = {
    "three channels": (lambda images: images.repeat(1, 3, 1, 1), "3 x 28 x 28"),
    "channels last": (lambda images: images.permute(0, 2, 3, 1), "28 x 28 x 1"),
    "another size": (lambda images: images[..., :20], "1 x 28 x 20"),
    "double": (torch.Tensor.double, "1 x 28 x 28 of float64"),
    "half": (torch.Tensor.half, "1 x 28 x 28 of float16"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_a_network_says_which_images_it_takes(change, said, standard_network, digits, refused):
    images, labels = change(digits[0][:2]), digits[1][:2]
    for use in (
        lambda: predict(standard_network, images),
        lambda: features_of(standard_network, images, "penultimate"),
        lambda: fooled_by(standard_network, images, labels, ATTACK),
        lambda: perturb_at(standard_network, images, labels, ATTACK, (0.1,)),
        lambda: attribute(standard_network, images, labels),
    ):
        with refused(rf"the network takes images of 1 x 28 x 28 \(C, H, W\).*, not {said}$"):
            use()


@pytest.mark.parametrize("attack", [ATTACK, Attack(epsilon=0.1, steps=2, targeted=True, random_aim=True)])
def test_a_network_of_one_output_is_not_attacked(attack, digits, refused):
    network = freeze(Network({"penultimate": torch.nn.Flatten()}, torch.nn.Linear(784, 1)))
    with refused("a network with one output tells no classes apart"):
        fooled_by(network, digits[0][:2], digits[1][:2] * 0, attack)


def test_a_step_above_1_in_linf_asks_whether_255ths_are_meant(refused):
    with refused(r"step_size 2 is out of range in l∞.*did you mean 2/255\?"):
        Attack(epsilon=8 / 255, step_size=2)
    assert Attack(Norm.L2, 2.0, step_size=1.5).step == 1.5


@pytest.mark.parametrize(
    "make", [lambda: Attack(epsilon=8.0), lambda: IntervalBounds(8.0), lambda: ATTACK.at(8.0)]
)
def test_epsilon_above_1_in_linf_asks_whether_255ths_are_meant(make, refused):
    with refused(r"epsilon 8 is out of range in l∞.*did you mean 8/255\?"):
        make()


def test_epsilon_above_1_is_meant_in_l2():
    assert Attack(Norm.L2, parse_epsilon("8")).epsilon == 8


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Attack(steps=10_001), "steps 10001 is out of range: at most 10,000"),
        (lambda: Attack(restarts=1_001), "restarts 1001 is out of range"),
        (lambda: Attack(Norm.L2, 1e6), "epsilon 1e\\+06 is out of range"),
        (lambda: Training(epochs=10**9), "epochs 1000000000 is out of range"),
        (lambda: Training(batch_size=10**9), "batch_size 1000000000 is out of range"),
        (lambda: Training(ramp_epochs=10**9), "ramp_epochs 1000000000 is out of range"),
        (lambda: Reversal(rounds=10**9), "rounds 1000000000 is out of range"),
        (lambda: Reversal(rounds=0), "rounds 0 is out of range"),
        (lambda: Unlearning(batch_size=0), "batch_size 0 is out of range"),
    ],
)
def test_what_would_never_end_is_refused(make, said, refused):
    with refused(said):
        make()


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("norm", list(Norm))
def test_autoattack_on_few_classes_finds_what_is_known_of_a_linear_network(classes, norm):
    torch.manual_seed(0)
    network = freeze(Network({"penultimate": torch.nn.Flatten()}, torch.nn.Linear(64, classes), (1, 8, 8)))
    images = 0.3 + 0.4 * torch.rand(20, 1, 8, 8)  # far from 0 and 1
    labels, epsilon = network(images).argmax(1), 0.02 if norm is Norm.LINF else 0.15
    difference = network.head.weight[labels][:, None] - network.head.weight[None]  # (N, classes, D)
    margin = network(images).gather(1, labels[:, None]) - network(images)
    reach = epsilon * (difference.abs().sum(-1) if norm is Norm.LINF else difference.norm(dim=-1))
    expected = (margin < reach).scatter(1, labels[:, None], False).any(1)
    assert 0 < expected.sum() < 20
    parts = autoattack(import_torchattacks(), network, images, labels, Attack(norm, epsilon, 20), 50)
    assert ("APGD-T" in parts) is (classes > 3)
    assert parts["Square"].tolist() == expected.tolist()
