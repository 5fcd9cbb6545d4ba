"""Fine-pruning: the order and the end of pruning by hand, and what is pruned stays so."""

import pytest
import torch
from torch import Tensor, nn

from tradeoff_core.defenses.removal import fine_pruning
from tradeoff_core.defenses.removal.fine_pruning import FinePruning, activity, fine_prune, prune, silence
from tradeoff_core.defenses.removal.tuning import Tuning
from tradeoff_core.networks import Network, build, freeze

NONE = Tuning(epochs=0)


def by_hand() -> tuple[Network, Tensor, Tensor]:
    """Four channels of a 1 x 1 convolution on two pixels: 2x, x / 2, -x and 1 - x; the head reads the last and the second."""
    convolution = nn.Conv2d(1, 4, 1)
    convolution.weight.data = torch.tensor([2.0, 0.5, -1.0, -1.0]).view(4, 1, 1, 1)
    convolution.bias.data = torch.tensor([0.0, 0.0, 0.0, 1.0])
    head = nn.Linear(4, 2)
    head.weight.data = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    head.bias.data = torch.tensor([0.25, 0.0])
    network = Network(
        {
            "conv": nn.Sequential(convolution, nn.ReLU()),
            "penultimate": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        },
        head,
        (1, 1, 2),
    )
    images = torch.tensor([[0.2, 0.2], [0.1, 0.1], [0.8, 0.8], [1.0, 1.0]]).view(4, 1, 1, 2)
    return freeze(network), images, torch.tensor([1, 1, 0, 0])


def test_activity_is_the_mean_of_the_relu_over_images_and_places():
    network, images, _ = by_hand()
    uneven = torch.cat([images, torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)])
    assert activity(network, images).tolist() == pytest.approx([1.05, 0.2625, 0.0, 0.475])
    assert activity(network, uneven).tolist() == pytest.approx([1.04, 0.26, 0.0, 0.48])


@pytest.mark.parametrize(
    ("most_lost", "pruned"),
    [
        (0.0, [2, 1]),  # without the second channel the bias still tells: 0.25 against 1 - x
        (0.4, [2, 1]),  # without the last all is class 0: half is lost
        (0.5, [2, 1, 3]),  # and the most active one is left, whatever it costs
        (1.0, [2, 1, 3]),
    ],
)
def test_the_least_active_go_first_until_too_much_is_lost(most_lost, pruned):
    network, images, labels = by_hand()
    assert prune(network, images, labels, most_lost).tolist() == pruned
    convolution = network.stages["conv"][0]
    gone = [not (row.any() or bias) for row, bias in zip(convolution.weight, convolution.bias, strict=True)]
    assert [channel for channel, is_gone in enumerate(gone) if is_gone] == sorted(pruned)
    assert convolution.weight[0].item() == 2


def test_of_many_channels_several_go_between_two_looks(monkeypatch):
    network, images, labels = by_hand()
    monkeypatch.setattr(fine_pruning, "LOOKS", 2)
    assert prune(network, images, labels, 1.0).tolist() == [2, 1]


def test_silenced_channels_give_nothing_after_their_batch_norm(any_network):
    network, images, _ = any_network
    seen: list[Tensor] = []
    layer = fine_pruning.pruned_layer(network)
    norm = fine_pruning.norm_after(network, layer)
    assert isinstance(norm, nn.BatchNorm2d) == (type(network).__name__ == "ResNet18")
    last = isinstance(layer, nn.Linear)  # of a transformer: channels are the last dimension
    (norm or layer).register_forward_hook(
        lambda _m, _i, outputs: seen.append(outputs.movedim(-1, 1) if last else outputs)
    )
    network(images)
    silence(network, torch.tensor([0, 2]))
    network(images)
    before, after = seen
    assert before[:, [0, 2]].abs().sum() > 0
    assert not after[:, [0, 2]].any()
    assert torch.equal(after[:, 1], before[:, 1])


def test_a_denoising_blocks_convolution_is_not_the_last_one():
    network = build("mnist-cnn-denoising", 0.1, seed=0)
    assert fine_pruning.pruned_layer(network) is network.stages["conv2"][0]


def test_of_a_transformer_the_hidden_units_of_the_last_block_are_pruned():
    network = freeze(build("mnist-vit", 0.1, seed=0))
    block = network.stages["block4"]
    assert fine_pruning.pruned_layer(network) is block.hidden
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    tokens = network.features(images, "block3").view(3, 49, -1)
    inside = block.norm2(tokens + block.attention(block.norm1(tokens)))  # (3, 49, 12)
    hidden = inside @ block.hidden.weight.T + block.hidden.bias
    expected = [hidden[:, :, unit].clamp(min=0).sum().item() / (3 * 49) for unit in range(24)]
    assert activity(network, images).tolist() == pytest.approx(expected, rel=1e-5)


def test_what_is_pruned_stays_pruned_while_the_rest_is_tuned(any_network, untouched):
    network, images, labels = any_network
    with untouched(network, images, labels):
        tuned = fine_prune(network, images, labels, FinePruning(1.0, Tuning(epochs=3)))
    channels = activity(network, images).argsort(stable=True)[:-1]
    convolution, own = fine_pruning.pruned_layer(tuned), fine_pruning.pruned_layer(network)
    assert not convolution.weight[channels].any()
    assert not torch.equal(tuned.head.weight, network.head.weight)
    assert own.weight[channels].any()
    assert not any(value.requires_grad for value in tuned.parameters())
    assert not tuned.training


def test_pruning_costs_no_more_than_is_allowed_and_tuning_helps(poisoned_network, validation, door):
    images, labels = validation
    before = door(poisoned_network, validation)[1]
    pruned = door(fine_prune(poisoned_network, images, labels, FinePruning(0.1, NONE)), validation)[1]
    tuned = door(
        fine_prune(poisoned_network, images, labels, FinePruning(0.1, Tuning(epochs=2))), validation
    )[1]
    assert before - 0.1 <= pruned < before
    assert tuned > pruned


def test_a_seed_repeats(poisoned_network, digits):
    one, same, other = (
        fine_prune(poisoned_network, *digits, FinePruning(0.02, Tuning(epochs=1)), seed).head.weight
        for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_network_without_a_convolution_is_refused(refused):
    network = Network({"penultimate": nn.Flatten()}, nn.Linear(4, 2), (1, 2, 2))
    with refused("fine-pruning prunes a convolution, and this network has none"):
        fine_prune(network, torch.rand(2, 1, 2, 2), torch.tensor([0, 1]))


def test_no_image_and_wrong_labels_are_refused(refused):
    network, images, labels = by_hand()
    with refused("no clean image"):
        fine_prune(network, images[:0], labels[:0])
    with refused("labels run from 0 to 2"):
        fine_prune(network, images, labels + labels)
    with refused("most_lost 2 is out of range"):
        FinePruning(2.0)
