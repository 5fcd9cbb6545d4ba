"""Adversarial neuron pruning: perturbed neurons as weights by hand, masks' gradients by differences, a planted neuron."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.defenses.removal.neuron_pruning import (
    NeuronPruning,
    learn_masks,
    neurons,
    perturbed_logits,
    prune_neurons,
    worst_perturbation,
)
from tradeoff_core.networks import Network, build, freeze

FEW = NeuronPruning(steps=3, batch_size=4)


def drawn(network: Network, seed: int = 0) -> list[dict[str, Tensor]]:
    """Masks in [0, 1] and two perturbations within 0.4 of every neuron."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {
            name: low + (high - low) * torch.rand(len(part.bias), generator=generator)
            for name, part in neurons(network).items()
        }
        for low, high in ((0.0, 1.0), (-0.4, 0.4), (-0.4, 0.4))
    ]


def rebuilt(network: Network, masks, weights, biases) -> Network:
    """The network with (m + δ) w for each weight w and (1 + ξ) b for each bias b, neuron by neuron."""
    changed = copy.deepcopy(network)
    with torch.no_grad():
        for name, part in neurons(changed).items():
            for neuron in range(len(part.bias)):
                part.weight[neuron] *= masks[name][neuron] + weights[name][neuron]
                part.bias[neuron] *= 1 + biases[name][neuron]
    return changed


def test_a_perturbed_neuron_has_other_weights_and_another_bias(any_network):
    network, images, _ = any_network
    parts = drawn(network)
    torch.testing.assert_close(
        perturbed_logits(network, images, *parts), rebuilt(network, *parts)(images), rtol=1e-3, atol=1e-4
    )


def test_of_a_transformer_the_neurons_of_every_linear_layer_but_the_head_are_masked():
    network = build("mnist-vit", 0.1, seed=0)
    found = neurons(network)
    assert len(found) == 1 + 4 * 6  # the embedding, and six in each block
    assert all(isinstance(part, nn.Linear) and part is not network.head for part in found.values())


def test_batch_norms_are_masked_where_convolutions_have_no_bias_and_the_head_never():
    assert list(neurons(build("mnist-cnn", 0.1, seed=0))) == [
        "stages.conv1.0",
        "stages.conv2.0",
        "stages.penultimate.1",
    ]
    network = build("resnet-18", 0.125, seed=0)
    assert all(isinstance(part, nn.BatchNorm2d) for part in neurons(network).values())
    assert len(neurons(network)) == 1 + 16 + 3  # the stem's, two a unit, three shortcuts'


def test_the_gradient_of_a_mask_is_that_of_differences():
    network = freeze(build("mnist-cnn", 0.2, seed=0)).double()
    images, labels = torch.rand(3, 1, 28, 28, dtype=torch.float64), torch.tensor([1, 2, 3])
    masks, weights, biases = ({name: part.double() for name, part in one.items()} for one in drawn(network))
    name, step = "stages.conv2.0", 1e-6
    direction = torch.randn(len(masks[name]), dtype=torch.float64)

    def loss(moved: float) -> Tensor:
        shifted = masks | {name: masks[name] + moved * direction}
        return F.cross_entropy(perturbed_logits(network, images, shifted, weights, biases), labels)

    leaf = masks[name].clone().requires_grad_(True)
    value = F.cross_entropy(perturbed_logits(network, images, masks | {name: leaf}, weights, biases), labels)
    (gradient,) = torch.autograd.grad(value, leaf)
    slope = ((loss(step) - loss(-step)) / (2 * step)).item()
    assert abs(slope) > 1e-6
    assert (gradient @ direction).item() == pytest.approx(slope, rel=1e-4)


def planted() -> tuple[Network, Tensor, Tensor]:
    """Two pixels and two neurons: the first tells the classes, the second is silent unless it is disturbed.

    The second is relu(10 b - 5) of a pixel b that is always 0.5; once it fires, all is class 1.
    """
    layer, head = nn.Linear(2, 2), nn.Linear(2, 2)
    layer.weight.data = torch.tensor([[1.0, 0.0], [0.0, 10.0]])
    layer.bias.data = torch.tensor([0.1, -5.0])
    head.weight.data = torch.tensor([[6.0, 0.0], [-6.0, 4.0]])
    head.bias.data = torch.tensor([-3.0, 3.0])
    network = Network({"penultimate": nn.Sequential(nn.Flatten(), layer, nn.ReLU())}, head, (1, 1, 2))
    images = torch.tensor([[0.9, 0.5], [0.1, 0.5]] * 4).view(8, 1, 1, 2)
    return freeze(network), images, torch.tensor([0, 1] * 4)


def test_the_worst_perturbation_makes_the_silent_neuron_fire_and_stays_within_its_budget():
    network, images, labels = planted()
    masks = {"stages.penultimate.1": torch.ones(2)}
    # δ up and ξ down both raise 10 (1 + δ) b - 5 (1 + ξ), once the random start lets the neuron fire
    weights, biases = worst_perturbation(
        network, images, labels, masks, 0.4, torch.Generator().manual_seed(0)
    )
    for part in (weights, biases):
        assert part["stages.penultimate.1"].abs().max() <= 0.4 + 1e-6
        assert not part["stages.penultimate.1"].requires_grad
    plain = F.cross_entropy(network(images), labels)
    worst = F.cross_entropy(perturbed_logits(network, images, masks, weights, biases), labels)
    assert worst > plain + 1
    assert weights["stages.penultimate.1"][1] > 0 > biases["stages.penultimate.1"][1]


def test_from_no_start_the_worst_perturbation_is_the_signed_gradient():
    network, images, labels = planted()
    masks = {"stages.penultimate.1": torch.ones(2)}
    weights, biases = worst_perturbation(network, images[::2], labels[::2], masks, 0.2, None)
    # of class 0 the first neuron's weight and bias both help, so both fall; the second has no gradient at 0
    assert weights["stages.penultimate.1"].tolist() == pytest.approx([-0.2, 0])
    assert biases["stages.penultimate.1"].tolist() == pytest.approx([-0.2, 0])


def test_the_planted_neuron_is_pruned_and_the_other_is_not(untouched):
    network, images, labels = planted()
    pruning = NeuronPruning(steps=80, batch_size=8, learning_rate=0.1)
    with untouched(network, images, labels):
        masks = learn_masks(network, images, labels, pruning)["stages.penultimate.1"]
        pruned = prune_neurons(network, images, labels, pruning)
    assert masks[1] <= 0.2 < 0.6 < masks[0] <= 1
    layer, own = pruned.stages["penultimate"][1], network.stages["penultimate"][1]
    assert layer.weight.tolist() == [own.weight[0].tolist(), [0, 0]]
    assert torch.equal(layer.bias, own.bias)  # as in the authors' code
    assert torch.equal(pruned.head.weight, network.head.weight)
    fired = images.clone()
    fired[..., 1] = 1.0  # the trigger
    assert (network(fired).argmax(1) == 1).all()
    assert torch.equal(pruned(fired).argmax(1), labels)


def test_without_the_worst_case_nothing_is_pruned():
    network, images, labels = planted()
    pruning = NeuronPruning(epsilon=0, steps=80, batch_size=8, learning_rate=0.1)
    assert learn_masks(network, images, labels, pruning)["stages.penultimate.1"].min() > 0.6


def test_it_works_on_every_kind_of_network(any_network, untouched):
    network, images, labels = any_network
    with untouched(network, images, labels):
        masks = learn_masks(network, images, labels, FEW)
        pruned = prune_neurons(network, images, labels, NeuronPruning(steps=3, batch_size=4, threshold=1.0))
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks.values())
    assert any(mask.min() < 1 for mask in masks.values())
    assert not any(part.weight.any() for part in neurons(pruned).values())
    assert not pruned.training


def test_a_seed_repeats(any_network):
    one, same, other = (learn_masks(*any_network, FEW, seed) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_a_network_without_biases_is_refused(refused):
    stages = {"penultimate": nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Flatten())}
    network = freeze(Network(stages, nn.Linear(8, 2), (1, 2, 2)))
    with refused("neuron pruning masks layers with a bias, and this network has none"):
        prune_neurons(network, torch.rand(2, 1, 2, 2), torch.tensor([0, 1]))
    with refused("threshold 2 is out of range"):
        NeuronPruning(threshold=2.0)
