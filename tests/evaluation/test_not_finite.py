"""No number is computed from outputs that are not finite: every measure of such a network is refused in one sentence."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tradeoff_core.attacks import Attack, Norm, fgsm, perturb, perturb_at
from tradeoff_core.attacks.gradient import fool, loss_gradient
from tradeoff_core.attacks.strong import autoattack, import_torchattacks
from tradeoff_core.certification.bounds import certified
from tradeoff_core.certification.regions import find_regions
from tradeoff_core.defenses.detection import class_features
from tradeoff_core.defenses.neural_cleanse import Reversal, rebuild_triggers, unlearn
from tradeoff_core.evaluation.outcomes import evaluate, fooled_at, fooled_by, success_by_position
from tradeoff_core.experiments.run import measure
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.explanations.attribution import Method, attribute
from tradeoff_core.explanations.feature_plane import attacked, gather, neighbours, principal
from tradeoff_core.explanations.sticker_share import fading_in
from tradeoff_core.networks import Network, freeze
from tradeoff_core.networks.inference import features_of, predict, predicted_classes
from tradeoff_core.poisoning.poison import poison_dataset
from tradeoff_core.poisoning.triggers import Sticker

ATTACK = Attack(epsilon=0.1, steps=2)
STICKER = Sticker()


@pytest.fixture(scope="module")
def broken() -> Network:
    """A finite but negative running variance, of which the root is NaN."""
    stage = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    stage[1].running_var[0] = -1.0
    return freeze(Network({"penultimate": stage}, nn.Linear(4 * 26 * 26, 10)))


MEASURES = {
    "predict": lambda network, images, _labels: predict(network, images),
    "classes": lambda network, images, _labels: predicted_classes(network, images),
    "features": lambda network, images, _labels: features_of(network, images, "penultimate"),
    "gradient": loss_gradient,
    "perturb": lambda network, images, labels: perturb(network, images, labels, ATTACK),
    "perturb l2": lambda network, images, labels: perturb(network, images, labels, fgsm(1.0, Norm.L2)),
    "perturb at": lambda network, images, labels: perturb_at(network, images, labels, ATTACK, (0.1, 0.2)),
    "adam": lambda network, images, labels: perturb(
        network, images, labels, Attack(epsilon=0.1, steps=2, step_size=0.1, adam=True, last_iterate=True)
    ),
    "fool": lambda network, images, labels: fool(network, images, labels, ATTACK),
    "fool on a GPU's way": lambda network, images, labels: fool(
        network, images, labels, ATTACK, drop_fooled=False
    ),
    "fooled by": lambda network, images, labels: fooled_by(network, images, labels, ATTACK),
    "fooled at": lambda network, images, labels: fooled_at(network, images, labels, ATTACK, (0.0, 0.1)),
    "evaluate": lambda network, images, labels: evaluate(network, images, labels, STICKER, ATTACK),
    "measure": lambda network, images, labels: measure(
        network, images, labels, ExperimentSpec(evaluation=ATTACK), ATTACK
    ),
    "position": lambda network, images, _labels: success_by_position(network, images, STICKER, 7, 12),
    "cleanse": lambda network, images, labels: rebuild_triggers(
        network, images, labels, 10, Reversal(rounds=1)
    ),
    "unlearn": lambda network, images, labels: unlearn(network, images, labels, STICKER.apply),
    "certified": lambda network, images, labels: certified(network, images, labels, 0.1),
    "regions": lambda network, images, labels: find_regions(network, images, labels, ATTACK),
    "fading": lambda network, images, _labels: fading_in(network, images, STICKER, 7),
    "autoattack": lambda network, images, labels: autoattack(
        import_torchattacks(), network, images, labels, ATTACK, 5
    ),
}
SAID = r"the network's (outputs|features|bounds) are not finite \(NaN or infinite\)"


@pytest.mark.parametrize("measure_of", MEASURES.values(), ids=MEASURES)
def test_outputs_that_are_not_finite_are_never_measured(measure_of, broken, digits, refused):
    network = copy.deepcopy(broken) if measure_of is MEASURES["unlearn"] else broken
    if measure_of is MEASURES["unlearn"]:  # in training mode batch norm does without the variance
        network.head.bias.data[0] = torch.inf
    with refused(SAID):
        measure_of(network, digits[0][:20], digits[1][:20])


@pytest.mark.parametrize("method", [Method.INPUT_GRADIENT, Method.GRAD_CAM, Method.OCCLUSION])
def test_maps_that_are_not_finite_are_never_drawn(method, broken, digits, refused):
    with refused(SAID):
        attribute(broken, digits[0][:2], digits[1][:2], method)


def test_a_gradient_that_is_not_finite_is_no_map_and_moves_no_pixel(standard_network, digits, refused):
    class Broken(nn.Module):
        def forward(self, images):
            return images + (images[:, :, :1] - images[:, :, :1]).sqrt()  # 0, with a slope that is NaN

    network = copy.deepcopy(standard_network)
    network.stages = nn.ModuleDict({"first": Broken(), **network.stages})
    with refused("the network's gradients are not finite"):
        attribute(network, digits[0][:2], digits[1][:2])
    adversarial = perturb(network, digits[0][:4], digits[1][:4], ATTACK)
    assert adversarial.isfinite().all()
    assert (adversarial - digits[0][:4]).abs().max() <= 0.1 + 1e-6


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_single_logit_is_enough(value, digits, refused):
    network = Network({"penultimate": nn.Flatten()}, nn.Linear(784, 10))
    network.head.bias.data[3] = value
    with refused(SAID):
        predicted_classes(freeze(network), digits[0][:2])


def test_outputs_that_an_attack_drives_beyond_what_is_finite_are_refused(digits, refused):
    class Overflows(nn.Module):
        """Finite on every digit as it is, infinite as soon as a dark corner is lighted."""

        def forward(self, images):
            corner = images[:, 0, 0, :1]
            return torch.cat([torch.where(corner > 0.01, torch.inf, corner), images[:, 0, 14, 5:14]], 1)

    images = digits[0][:8]
    labels = torch.from_numpy(predicted_classes(Overflows(), images))
    with refused(SAID):
        fool(Overflows(), images, labels, ATTACK)


def test_features_that_are_not_finite_are_never_searched_nor_laid_out(broken, refused):
    from tradeoff_core.datasets import Split, load_dataset

    data = load_dataset("mnist-5k", Split.TEST).spread(200)
    poisoned = poison_dataset(data, None, np.random.default_rng(0))
    with refused(SAID):
        class_features(broken, poisoned, 3)
    with refused(SAID):
        gather(broken, ExperimentSpec(), data, None, lambda *given: attacked(broken, *given, ATTACK, 0), 5)
    huge = np.random.default_rng(0).normal(size=(60, 20)).astype(np.float32) * np.float32(1e20)
    for lay_out in (principal, neighbours):  # squares that overflow
        with refused("too large to be laid out"):
            lay_out(huge, 2)
