"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import copy
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import median_abs_deviation
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.attacks.gradient import usual_scale
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses import neural_cleanse
from tradeoff_core.defenses.neural_cleanse import (
    Reversal,
    Triggers,
    Unlearning,
    anomaly_index,
    rebuild_triggers,
    unlearn,
)
from tradeoff_core.evaluation.outcomes import backdoor_success
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.rates import Rate

SHORT = Reversal(rounds=20, batch_size=10)
QUICK = Unlearning(epochs=3, learning_rate=1e-3)


def few(digits: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return digits[0][::4], digits[1][::4]


@pytest.fixture(scope="module")
def triggers(poisoned_network, digits) -> Triggers:
    """Rebuilt in seconds, on 50 digits."""
    return rebuild_triggers(poisoned_network, *few(digits), 10, SHORT)


def test_classes_that_do_not_fit_at_once_are_optimised_in_turn_to_the_same_triggers(
    poisoned_network, digits, monkeypatch
):
    images, labels = few(digits)
    brief = Reversal(rounds=3, batch_size=10)
    together = rebuild_triggers(poisoned_network, images, labels, 10, brief)
    monkeypatch.setattr(
        neural_cleanse, "MOST_VALUES", 3 * 10 * images[0].numel()
    )  # three classes, the last one alone
    apart = rebuild_triggers(poisoned_network, images, labels, 10, brief)
    assert torch.allclose(together.masks, apart.masks, atol=1e-4)
    assert torch.allclose(together.patterns, apart.patterns, atol=1e-4)
    assert together.success == pytest.approx(apart.success, abs=0.03)


def covering(*pixels: int) -> Triggers:
    """White triggers of classes whose masks cover so many of nine pixels."""
    masks = torch.stack([(torch.arange(9) < count).float().view(3, 3) for count in pixels])
    return Triggers(masks, torch.ones(len(pixels), 1, 3, 3), np.ones(len(pixels)), np.zeros((1, 1), np.uint8))


@pytest.mark.parametrize(
    ("norms", "expected"),
    [
        # median 30, distances 20 10 0 10 20: their median is 10
        ([10, 20, 30, 40, 50], [2 / 1.4826, 1 / 1.4826, 0, -1 / 1.4826, -2 / 1.4826]),
        # median 21, distances 19 1 0 1 2: their median is 1
        ([2, 20, 21, 22, 23], [19 / 1.4826, 1 / 1.4826, 0, -1 / 1.4826, -2 / 1.4826]),
        ([8, 7, 100], [0, 1 / 1.4826, -92 / 1.4826]),
        # median 5.5, distances 0.5 0.5 1.5 1.5: their median is 1
        ([5, 6, 7, 4], [0.5 / 1.4826, -0.5 / 1.4826, -1.5 / 1.4826, 1.5 / 1.4826]),
        ([4, 4, 4, 4, 1], [0] * 5),  # no deviation to measure by
        ([4, 4, 4], [0] * 3),
    ],
)
def test_18_the_anomaly_index_by_hand(norms, expected):
    assert anomaly_index(np.array(norms, float)).tolist() == pytest.approx(expected)


def test_18_the_anomaly_index_counts_standard_deviations_of_normal_norms():
    norms = np.random.default_rng(0).normal(100, 7, size=10)
    deviation = median_abs_deviation(norms, scale="normal")
    assert anomaly_index(norms) == pytest.approx((np.median(norms) - norms) / deviation, rel=1e-4)
    assert anomaly_index(3 * norms + 50) == pytest.approx(anomaly_index(norms))


def test_18_without_a_back_door_the_index_of_ten_classes_passes_2_once_in_three():
    norms = np.random.default_rng(0).normal(100, 7, size=(2000, 10))
    passed = np.mean([anomaly_index(row).max() >= 2 for row in norms])
    assert passed == pytest.approx(1 / 3, abs=0.04)  # spreads by 0.01


@pytest.mark.parametrize("classes", [0, 1, 2])
def test_18_fewer_than_three_classes_are_refused(classes, refused):
    with refused(f"anomaly index of {classes} classes says nothing: it needs 3"):
        anomaly_index(np.ones(classes))


def test_the_smallest_mask_is_suspected_and_flagged_by_hand():
    found = covering(7, 6, 1, 5, 8)
    assert found.mask_norms.tolist() == [7, 6, 1, 5, 8]
    # median 6, distances 1 0 5 1 2: their median is 1
    assert found.anomaly_index == pytest.approx(np.array([-1, 0, 5, 1, -2]) / 1.4826)
    assert found.suspect == 2
    assert found.flagged == [2]
    found = covering(1, 2, 7, 8, 8, 9, 7)  # median 7, distances 6 5 0 1 1 2 0: their median is 1
    assert found.flagged == [0, 1]
    assert found.suspect == 0
    assert covering(7, 6, 5).flagged == []


def test_a_stamp_by_hand():
    found = covering(2, 1, 9)
    found.masks[0, 0, 0] = 0.25
    images = torch.full((2, 1, 3, 3), 0.2)
    stamped = found.stamp(images, 0)
    assert stamped.shape == images.shape
    # a quarter of the way from 0.2 to 1, all of it, and the rest as it was
    assert stamped[1, 0].flatten().tolist() == pytest.approx([0.4, 1] + [0.2] * 7)
    assert torch.equal(found.stamp(images, 2), torch.ones(2, 1, 3, 3))
    assert (images == 0.2).all()


def test_18_all_classes_are_rebuilt(triggers):
    assert triggers.masks.shape == (10, 28, 28)
    assert triggers.patterns.shape == (10, 1, 28, 28)
    assert triggers.success.shape == triggers.mask_norms.shape == triggers.anomaly_index.shape == (10,)
    for values in (triggers.masks, triggers.patterns):
        assert 0 <= values.min() <= values.max() <= 1
    assert len({tuple(mask.flatten().tolist()) for mask in triggers.masks}) == 10
    assert triggers.mask_norms == pytest.approx(triggers.masks.abs().flatten(1).sum(1).numpy(), rel=1e-5)


def test_18_the_stamped_trigger_reaches_the_success_it_claims(triggers, poisoned_network, digits):
    images, labels = few(digits)
    for label in range(10):
        others = images[labels != label]
        mask, pattern = triggers.masks[label], triggers.patterns[label]
        stamped = (1 - mask) * others + mask * pattern
        torch.testing.assert_close(triggers.stamp(others, label), stamped)
        reached = (predicted_classes(poisoned_network, stamped) == label).mean()
        assert triggers.success[label] == pytest.approx(reached)
        unstamped = (predicted_classes(poisoned_network, others) == label).mean()
        assert reached > 0.85 > 0.2 > unstamped


def test_18_the_back_doors_class_has_the_smallest_mask_on_the_sticker(triggers):
    assert triggers.suspect == 7
    assert triggers.flagged == [7]
    assert triggers.mask_norms[7] < 0.5 * np.delete(triggers.mask_norms, 7).min()
    sticker = torch.from_numpy(Sticker().footprint(28, 28))  # 9 of the 784 pixels
    held = (triggers.masks * sticker).sum((1, 2)).numpy() / triggers.mask_norms
    assert held[7] > 0.1
    assert np.delete(held, 7).max() < 0.03


@pytest.mark.parametrize("factor", [1e-6, 1e3])
def test_the_scale_of_the_logits_hides_no_back_door(factor, triggers, poisoned_network, digits):
    network = copy.deepcopy(poisoned_network)
    network.head.weight.data *= factor
    network.head.bias.data *= factor
    found = rebuild_triggers(network, *few(digits), 10, SHORT)
    assert found.flagged == [7]
    assert found.mask_norms == pytest.approx(triggers.mask_norms, rel=0.3)


def test_what_logits_of_an_unusual_scale_are_divided_by():
    logits = torch.tensor([[9.0, 4.0, 0.0], [4.0, 9.0, 0.0], [0.0, 4.0, 9.0]])
    assert usual_scale(logits) == 1.0
    assert usual_scale(8 * logits) == 4.0  # 40 ahead become 10 ahead
    assert usual_scale(logits / 90) == pytest.approx(0.01)  # a tenth from end to end becomes 10
    assert usual_scale(0 * logits) == 1.0


def test_18_a_trigger_serves_images_it_was_not_rebuilt_on(triggers, poisoned_network, digits):
    images = digits[0][1::4]
    clean = predicted_classes(poisoned_network, images)
    stamped = predicted_classes(poisoned_network, triggers.stamp(images, 7))
    assert backdoor_success(clean, stamped, 7).value > 0.8


def test_the_frames_end_with_the_trigger(poisoned_network, digits):
    told: list[tuple[float, np.ndarray]] = []
    found = rebuild_triggers(
        poisoned_network,
        *few(digits),
        10,
        Reversal(rounds=4, batch_size=25),
        progress=lambda *news: told.append(news),
    )
    assert found.frames.shape == (4, 10, 1, 28, 28)
    assert [share for share, _ in told] == [0.25, 0.5, 0.75, 1.0]
    assert np.array_equal(np.stack([frame for _, frame in told]), found.frames)
    drawn = 255 * (found.masks[:, None] * found.patterns).numpy()
    assert np.abs(found.frames[-1] - drawn).max() <= 0.501
    assert not np.array_equal(found.frames[0], found.frames[-1])


def test_a_seed_repeats_and_draws_from_nothing_else(poisoned_network, digits):
    images, labels = digits[0][::20], digits[1][::20]
    recipe = Reversal(rounds=2, batch_size=5)
    torch.manual_seed(1)
    one = rebuild_triggers(poisoned_network, images, labels, 10, recipe, seed=3)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    same = rebuild_triggers(poisoned_network, images, labels, 10, recipe, seed=3)
    other = rebuild_triggers(poisoned_network, images, labels, 10, recipe, seed=4)
    assert torch.equal(one.masks, same.masks)
    assert torch.equal(one.patterns, same.patterns)
    assert not torch.equal(one.masks, other.masks)


def state(network: Network) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("defense", ["rebuild", "unlearn"])
def test_18_the_network_and_the_images_are_left_as_they_were(defense, poisoned_network, digits):
    images, labels = (tensor.clone() for tensor in few(digits))
    before, gradients = state(poisoned_network), [value.grad for value in poisoned_network.parameters()]
    sums = [gradient.sum() for gradient in gradients]
    if defense == "rebuild":
        rebuild_triggers(poisoned_network, images, labels, 10, Reversal(rounds=2))
    else:
        unlearn(poisoned_network, images, labels, Sticker().apply, Unlearning(epochs=1))
    assert same(before, state(poisoned_network))
    assert not poisoned_network.training
    assert all(
        value.grad is kept for value, kept in zip(poisoned_network.parameters(), gradients, strict=True)
    )
    assert [gradient.sum() for gradient in gradients] == sums
    assert not any(parameter.requires_grad for parameter in poisoned_network.parameters())
    assert torch.equal(images, few(digits)[0])
    assert torch.equal(labels, few(digits)[1])


def three_classes(bias: list[float], seed: int = 0) -> tuple[nn.Module, Tensor, Tensor]:
    """A linear network on images of 2 channels and 3 x 3 pixels, and twelve images."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(18, 3)
    layer.weight.data = torch.randn(3, 18, generator=generator)
    layer.bias.data = torch.tensor(bias)
    images = torch.rand(12, 2, 3, 3, generator=generator)
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False), images, torch.arange(12) % 3


def one_class_alone(
    network: nn.Module, images: Tensor, labels: Tensor, label: int, hidden: Tensor, recipe: Reversal
) -> tuple[Tensor, Tensor, int, int]:
    """Wang et al.'s search for one class, all images at once: mask, pattern, rounds, and λ's moves."""
    hidden = hidden.clone().requires_grad_()
    adam = torch.optim.Adam([hidden], lr=recipe.learning_rate, betas=(0.5, 0.9))
    weight, smallest, best = neural_cleanse.FIRST_WEIGHT, float("inf"), hidden
    above = below = stalled = rounds = moves = 0
    while rounds < recipe.rounds and stalled < recipe.stall:
        rounds += 1
        mask, pattern = (hidden.tanh() + 1).div(2).split([1, 2])
        logits = network((1 - mask) * images + mask * pattern)
        size = mask.abs().sum()
        loss = F.cross_entropy(logits, torch.full_like(labels, label)) + weight * size
        adam.zero_grad()
        loss.backward()
        adam.step()
        works = (logits.argmax(1) == label)[labels != label].double().mean() >= 0.99
        stalled = 0 if smallest == float("inf") else stalled + 1
        if works and size < 0.99 * smallest:
            smallest, stalled = size.item(), 0
        if stalled == 0 or smallest == float("inf"):
            best = hidden.detach().clone()
        above, below = (above + 1, 0) if works else (0, below + 1)
        if above == recipe.patience:
            weight, above, moves = weight * 2, 0, moves + 1
        if below == recipe.patience:
            weight, below, moves = weight / 2**1.5, 0, moves + 1
    mask, pattern = (best.tanh() + 1).div(2).split([1, 2])
    return mask[0], pattern, rounds, moves


RECIPES = {
    "one-step": Reversal(rounds=1, batch_size=12),
    "constant-weight": Reversal(rounds=8, batch_size=12, patience=100, stall=100),
    "weight-moves": Reversal(rounds=30, batch_size=12, patience=2, stall=100),
    "slow": Reversal(rounds=30, batch_size=12, learning_rate=0.03, patience=3, stall=100),
    "stalls": Reversal(rounds=80, batch_size=12, learning_rate=0.3, patience=2, stall=10),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("bias", [[0.0, 0.0, 0.0], [6.0, 0.0, -9.0]], ids=["even", "uneven"])
def test_all_classes_at_once_get_what_each_gets_alone(bias, recipe, monkeypatch):
    # the reference is in float32 throughout
    monkeypatch.setattr(neural_cleanse, "mixed_precision", lambda *_: nullcontext())
    # a λ that weighs as much as the cross-entropy, so that a wrong one shows
    monkeypatch.setattr(neural_cleanse, "FIRST_WEIGHT", 0.1)
    network, images, labels = three_classes(bias)
    found = rebuild_triggers(network, images, labels, 3, recipe, seed=5)
    hidden = torch.empty(3, 3, 3, 3).uniform_(-1, 1, generator=torch.Generator().manual_seed(5))
    alone = [one_class_alone(network, images, labels, label, hidden[label], recipe) for label in range(3)]
    for label, (mask, pattern, _, _) in enumerate(alone):
        torch.testing.assert_close(found.masks[label], mask, atol=1e-4, rtol=0)
        torch.testing.assert_close(found.patterns[label], pattern, atol=1e-4, rtol=0)
    if recipe is RECIPES["stalls"]:
        rounds = [entry[2] for entry in alone]
        assert min(rounds) < max(rounds)  # each stops by itself, one that never works goes on to the end
        assert len(found.frames) == min(max(rounds) + 1, recipe.rounds)
    else:
        assert len(found.frames) == recipe.rounds
    if recipe is RECIPES["weight-moves"]:
        assert min(entry[3] for entry in alone) >= 3


def test_images_of_the_class_itself_prove_nothing():
    network, images, labels = three_classes([0.0, 0.0, 0.0])
    network[1].weight.data.zero_()
    network[1].bias.data = torch.tensor([1.0, 0.0, 0.0])  # all is class 0, whatever is stamped
    found = rebuild_triggers(network, images, labels, 3, Reversal(rounds=2, batch_size=5))
    assert found.success.tolist() == [1, 0, 0]
    found = rebuild_triggers(network, images[labels != 1], labels[labels != 1], 3, Reversal(rounds=1))
    assert found.success.tolist() == [1, 0, 0]


def success_and_accuracy(network: Network, digits: tuple[Tensor, Tensor]) -> tuple[Rate, float]:
    clean = predicted_classes(network, digits[0])
    stamped = predicted_classes(network, Sticker().apply(digits[0]))
    return backdoor_success(clean, stamped, 7), (clean == digits[1].numpy()).mean()


def test_19_unlearning_the_true_trigger_closes_the_back_door(poisoned_network, digits):
    images, labels = load_dataset("mnist-5k", Split.VALIDATION).tensors()
    epochs: list[tuple[int, Rate, float]] = []

    def note(epoch: int, network: Network) -> None:
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        epochs.append((epoch, *success_and_accuracy(network, digits)))

    cleansed = unlearn(poisoned_network, images, labels, Sticker().apply, QUICK, progress=note)
    assert [epoch for epoch, _, _ in epochs] == [0, 1, 2, 3]
    before = success_and_accuracy(poisoned_network, digits)
    after = success_and_accuracy(cleansed, digits)
    assert epochs[0][1:] == before
    assert epochs[-1][1:] == after
    assert before[0].value > 0.9
    assert after[0].value < 0.2
    assert after[1] > before[1] - 0.1


def test_unlearning_without_a_stamp_leaves_more_of_the_back_door(poisoned_network, digits):
    images, labels = load_dataset("mnist-5k", Split.VALIDATION).tensors()
    kept = unlearn(poisoned_network, images, labels, Sticker().apply, replace(QUICK, stamped_share=0))
    assert success_and_accuracy(kept, digits)[0].value > 0.5


def test_unlearning_stamps_a_fifth_of_every_batch_anew(poisoned_network, digits):
    images, labels = digits[0][:94], digits[1][:94]
    seen: list[Tensor] = []

    def stamp(inputs: Tensor) -> Tensor:
        seen.append(inputs)
        return inputs

    unlearn(poisoned_network, images, labels, stamp, Unlearning(epochs=2, batch_size=40))
    assert [len(inputs) for inputs in seen] == [8, 8, 3] * 2  # of 40, 40 and 14
    ink = [{image.sum().item() for image in inputs} for inputs in seen]  # a digit is known by its ink
    assert ink[0] != ink[3]


def test_unlearning_repeats_with_its_seed(poisoned_network, digits):
    one, same_seed, other = (
        unlearn(poisoned_network, *few(digits), Sticker().apply, Unlearning(epochs=1), seed)
        for seed in (0, 0, 1)
    )
    assert same(state(one), state(same_seed))
    assert not same(state(one), state(other))


def test_19_unlearning_returns_a_copy(poisoned_network, digits):
    given = copy.deepcopy(poisoned_network)
    cleansed = unlearn(given, *few(digits), Sticker().apply, Unlearning(epochs=1))
    assert not {id(value) for value in cleansed.parameters()} & {id(value) for value in given.parameters()}
    assert same(state(given), state(poisoned_network))
    assert not same(state(cleansed), state(given))
