"""The numbers in the names are those of the checks that a tool of this kind must survive."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from tradeoff_core.attacks.attack import Attack, Norm, fgsm
from tradeoff_core.datasets import to_uint8
from tradeoff_core.evaluation.outcomes import (
    Among,
    Outcomes,
    evaluate,
    fooled_at,
    fooled_by,
    shares_by_class,
    success_by_position,
)
from tradeoff_core.models import zoo
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import BATCH, batch_size, predict, predicted_classes
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.rates import Rate

DIGITS = [name for name in zoo.model_ids() if name.startswith("mnist")]
ELSEWHERE = Sticker("x", row=2, column=2)  # not the sticker of any poison here


# those of conftest, trained for seconds
SECONDS = ["standard_network", "hardened_network", "poisoned_network"]
# a model of the zoo for each architecture
KINDS = {zoo.find_model(name).spec.network: name for name in DIGITS}


@pytest.fixture(params=[*SECONDS, *KINDS.values()])
def any_network(request: pytest.FixtureRequest) -> Network:
    return _network(request)


@pytest.fixture(params=[*SECONDS, *DIGITS])
def every_network(request: pytest.FixtureRequest) -> Network:
    return _network(request)


def _network(request: pytest.FixtureRequest) -> Network:
    if request.param in DIGITS:
        return zoo.load_network(zoo.find_model(request.param))
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [  # Wilson 1927; the bounds as Newcombe (1998) and R's prop.test without correction give them
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_the_published_ones(count, n, low, high):
    assert Rate(count, n).interval == pytest.approx((low, high), abs=5e-5)


def test_rates_of_nothing_are_no_number():
    assert math.isnan(Rate(0, 0).value)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_a_rate_says_its_n():
    assert Rate(5, 10).value == 0.5
    assert str(Rate(5, 10)) == "50.0% (5 of 10; 95% interval 23.7% to 76.3%)"


# target class 7; predicted clean as it: #1 and #2, labelled as it: #0 and #1
OUTCOMES = Outcomes(
    labels=np.array([7, 7, 3, 4, 5, 6]),
    clean=np.array([1, 7, 7, 4, 5, 0]),
    triggered=np.array([7, 2, 7, 7, 5, 7]),
    fooled=np.array([True, False, True, False, True, True]),
)


def test_metrics_by_hand():
    assert OUTCOMES.clean_accuracy() == Rate(3, 6)
    assert OUTCOMES.adversarial_accuracy() == Rate(2, 6)
    # among #0, #3, #4, #5 all but #4 turn to 7; among #2 to #5 all but #4 are 7 once triggered
    assert OUTCOMES.backdoor_success_rate(7) == Rate(3, 4)
    assert OUTCOMES.backdoor_success_rate(7, Among.LABEL) == Rate(3, 4)
    # for class 5, nothing turns to it: among those not predicted, or not labelled, as 5
    assert OUTCOMES.backdoor_success_rate(5) == Rate(0, 5)


def test_backdoor_success_among_predictions_and_labels_differ():
    outcomes = replace(OUTCOMES, triggered=np.array([7, 7, 3, 4, 5, 6]))
    assert outcomes.backdoor_success_rate(7) == Rate(1, 4)  # #0 of #0, #3, #4, #5
    assert outcomes.backdoor_success_rate(7, Among.LABEL) == Rate(0, 4)  # none of #2 to #5


def test_backdoor_success_is_no_number_where_all_are_predicted_as_the_target():
    outcomes = replace(OUTCOMES, clean=np.full(6, 7))
    assert outcomes.backdoor_success_rate(7) == Rate(0, 0)


def test_recall_by_hand():
    assert OUTCOMES.recall(7) == Rate(1, 2)  # #0 is taken for a 1, #1 for what it is
    assert OUTCOMES.recall(3) == Rate(0, 1)
    assert OUTCOMES.recall(5) == Rate(1, 1)
    assert OUTCOMES.recall(9) == Rate(0, 0)  # there is none


def test_predictions_of_many_batches_are_those_of_one(standard_network, digits):
    images = digits[0].repeat(2, 1, 1, 1)[: BATCH + 3]
    probabilities = predict(standard_network, images)
    assert torch.allclose(probabilities.sum(1), torch.ones(BATCH + 3))
    with torch.no_grad():
        assert torch.allclose(probabilities, standard_network(images).softmax(1), atol=1e-6)
    assert np.array_equal(predicted_classes(standard_network, images), probabilities.argmax(1).numpy())


def test_large_images_are_measured_fewer_at_once():
    sizes = {28: BATCH, 32: BATCH, 64: BATCH, 128: 62, 224: 20, 8000: 1}
    for side, size in sizes.items():
        assert batch_size(torch.empty(1, 3, side, side, device="meta")) == size
    assert batch_size(np.empty((7, 224, 224, 3), np.uint8)) == 20
    seen: list[int] = []

    class Brightest(nn.Module):
        """Class 1 for a white image, 0 for a black one."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(len(images))
            white = images.amax((1, 2, 3))
            return torch.stack([0.5 - white, white - 0.5], 1)

    white = np.arange(45) % 3 == 0
    images = np.zeros((45, 224, 224, 3), np.uint8) + (255 * white).astype(np.uint8)[:, None, None, None]
    assert np.array_equal(predicted_classes(Brightest(), images), white)
    labels = torch.from_numpy(white).long()
    told: list[float] = []
    assert not fooled_by(
        Brightest(), images, labels, Attack(epsilon=0.1, steps=1), progress=told.append
    ).any()
    assert max(seen) == 20
    assert told == pytest.approx([1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("norm", list(Norm))
def test_1_adversarial_accuracy_at_epsilon_0_is_clean_accuracy(norm, targeted, any_network, digits):
    nothing = Attack(norm, 0.0, steps=2, targeted=targeted)
    outcomes = evaluate(any_network, digits[0][::4], digits[1][::4], Sticker(), nothing)
    assert outcomes.adversarial_accuracy() == outcomes.clean_accuracy()
    assert np.array_equal(~outcomes.fooled, outcomes.clean == outcomes.labels)
    assert 0.7 < outcomes.clean_accuracy().value <= 1


@pytest.mark.parametrize("attack", [fgsm(0.1), Attack(epsilon=0.1, steps=3, targeted=True)], ids=str)
def test_5_no_attack_helps_the_network(attack, standard_network, digits):
    outcomes = evaluate(standard_network, *digits, Sticker(), attack)
    assert outcomes.fooled[outcomes.clean != outcomes.labels].all()
    assert outcomes.adversarial_accuracy().count < outcomes.clean_accuracy().count


def test_a_targeted_attack_aims_at_the_next_class():
    # logits are the ten pixels, so raising pixel k by more than its gap to the largest reaches class k
    class TenPixels(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)

    images = torch.zeros(3, 1, 2, 5)
    images.view(3, 10)[[0, 1, 2], [9, 4, 4]] = 0.5
    images[1, 0, 1, 0] = 0.1  # pixel 5, the aim of class 4, is nearer
    labels = torch.tensor([9, 4, 4])
    attack = Attack(epsilon=0.22, steps=1, step_size=0.22, random_start=False, targeted=True)
    # down by 0.22 from 0.5 is 0.28; up by 0.22 is 0.22 from 0 and 0.32 from 0.1
    assert fooled_by(TenPixels(), images, labels, attack).tolist() == [False, True, False]
    wider = attack.at(0.26), replace(attack, epsilon=0.26, step_size=0.26)
    assert fooled_by(TenPixels(), images, labels, wider[0]).tolist() == [
        False,
        True,
        False,
    ]  # its step is 0.22
    assert fooled_by(TenPixels(), images, labels, wider[1]).tolist() == [True, True, True]


def test_all_can_aim_at_one_class():
    class TwoPixels(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)

    # a lead of 0.1, of 0.3, none, and one image that is there already though its label is another
    images = torch.tensor([[0.5, 0.4], [0.5, 0.2], [0.2, 0.5], [0.2, 0.5]]).view(4, 1, 1, 2)
    attack = Attack(epsilon=0.1, steps=1, random_start=False, targeted=True)
    labels = torch.tensor([0, 0, 1, 0])
    assert fooled_by(TwoPixels(), images, labels, attack, aim=1).tolist() == [True, False, True, True]
    rows = fooled_at(TwoPixels(), images, labels, attack, [0.0, 0.1, 0.2], aim=1)
    assert rows.tolist() == [[False, False, True, True], [True, False, True, True], [True] * 4]


@pytest.mark.parametrize("norm", list(Norm))
def test_3_more_epsilon_never_fools_fewer(norm, any_network, digits):
    images, labels = digits[0][::8], digits[1][::8]
    epsilons = [0.0, 0.05, 0.1, 0.2, 0.3] if norm is Norm.LINF else [0.0, 0.5, 1.0, 2.0, 4.0]
    rows = fooled_at(any_network, images, labels, Attack(norm, steps=3), epsilons)
    assert rows.shape == (5, 25)
    assert (rows[1:] >= rows[:-1]).all()
    assert np.array_equal(rows[0], predicted_classes(any_network, images) != labels.numpy())
    assert rows[-1].sum() > rows[0].sum() + 2


def test_3_accumulating_counts_at_least_what_each_epsilon_alone_finds(standard_network, digits):
    epsilons = [0.05, 0.1, 0.15]
    rows = fooled_at(standard_network, *digits, Attack(steps=3), epsilons)
    alone = fooled_by(standard_network, *digits, Attack(epsilon=0.05, steps=3))
    assert np.array_equal(rows[0], alone)
    for row, epsilon in zip(rows, epsilons, strict=True):
        found = fooled_by(standard_network, *digits, Attack(epsilon=epsilon, steps=3))
        assert row.sum() >= found.sum() - 1  # the random starts of those still standing differ


def test_3_more_steps_never_fool_fewer(any_network, digits):
    images, labels = digits[0][::4], digits[1][::4]
    attack = Attack(epsilon=0.12, steps=1, step_size=0.02)
    found = [fooled_by(any_network, images, labels, replace(attack, steps=steps)) for steps in (1, 3, 7)]
    for fewer, more in pairwise(found):
        assert (more >= fewer).all()


def test_3_more_restarts_never_fool_fewer(any_network, digits):
    images, labels = digits[0][::4], digits[1][::4]
    attack = Attack(epsilon=0.12, steps=2)
    once, thrice = (
        fooled_by(any_network, images, labels, replace(attack, restarts=restarts)) for restarts in (1, 3)
    )
    assert (thrice >= once).all()


def test_4_epsilon_1_fools_every_network_on_every_example(every_network, digits):
    """Else its gradients are masked, and no number measured with them can be trusted."""
    images, labels = digits[0][::4], digits[1][::4]
    assert fooled_by(every_network, images, labels, Attack(epsilon=1.0, steps=20)).all()


def test_14_without_poison_the_sticker_does_no_more_than_any_other(standard_network, digits):
    for sticker in (Sticker(), ELSEWHERE):
        outcomes = evaluate(standard_network, *digits, sticker, Attack(epsilon=0))
        assert outcomes.backdoor_success_rate(7).value < 0.03
        assert outcomes.backdoor_success_rate(7, Among.LABEL).value < 0.05


def test_14_a_wrong_sticker_gives_the_base_rate_of_the_target(poisoned_network, standard_network, digits):
    def success(network: Network, sticker: Sticker) -> Rate:
        return evaluate(network, *digits, sticker, Attack(epsilon=0)).backdoor_success_rate(7)

    assert success(poisoned_network, Sticker()).value > 0.9
    wrong, base = success(poisoned_network, ELSEWHERE), success(standard_network, ELSEWHERE)
    assert wrong.interval[0] <= base.interval[1]
    assert wrong.value < 0.05


@pytest.mark.parametrize("name", DIGITS)
def test_14_in_the_zoo_a_wrong_sticker_opens_no_back_door(name, digits):
    model = zoo.find_model(name)
    network = zoo.load_network(model)
    wrong = evaluate(network, *digits, ELSEWHERE, Attack(epsilon=0)).backdoor_success_rate(
        model.spec.target_class
    )
    assert wrong.value < 0.1
    if model.spec.poison is None:
        assert model.backdoor_success_rate.value < 0.1


def test_success_by_position_by_hand():
    class SeesTwoPixels(nn.Module):
        """Class 1 where the pixel at row 1, column 2 is white, class 0 elsewhere."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.full_like(images[:, 0, 1, 2], 0.9), images[:, 0, 1, 2]], 1)

    images = torch.zeros(3, 1, 4, 5)
    images[2, 0, 1, 2] = 1  # already predicted as the target
    told: list[float] = []
    success, n = success_by_position(SeesTwoPixels(), images, Sticker(size=2), 1, progress=told.append)
    assert n == 2
    assert success.tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]  # the corners that cover the pixel
    assert told[-1] == 1
    coarse, _ = success_by_position(SeesTwoPixels(), images, Sticker(size=2), 1, stride=2)
    assert coarse[::2, ::2].tolist() == [[0, 1], [0, 0]]
    assert np.isnan(coarse).sum() == 12 - 4


def test_shares_by_class_by_hand():
    shares = shares_by_class(np.array([0, 0, 0, 0, 2]), np.array([0, 0, 1, 2, 1]), 3)
    assert shares.tolist() == [[0.5, 0.25, 0.25], [0, 0, 0], [0, 1, 0]]


def test_outcomes_do_not_depend_on_what_ran_before(standard_network, digits):
    attack = Attack(epsilon=0.12, steps=3)
    torch.manual_seed(1)
    one = fooled_by(standard_network, *digits, attack, seed=3)
    torch.manual_seed(2)
    assert np.array_equal(fooled_by(standard_network, *digits, attack, seed=3), one)


def test_every_batch_and_every_seed_has_its_own_draws():
    class FollowsTheStart(nn.Module):
        """Class 1 where the one pixel is above a half, with a gradient of 0: only the start decides."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            pixels = images.flatten(1)
            return torch.cat([torch.zeros_like(pixels), pixels.detach() - 0.5], 1) + 0 * pixels

    images, labels = torch.full((2 * BATCH, 1, 1, 1), 0.5), torch.zeros(2 * BATCH).long()
    runs = [
        fooled_by(FollowsTheStart(), images, labels, Attack(epsilon=0.1, steps=1), seed) for seed in (0, 1)
    ]
    draws = {tuple(half) for run in runs for half in np.split(run, 2)}
    assert len(draws) == 4
    assert all(100 < sum(draw) < 150 for draw in draws)


def test_progress_ends_at_one(standard_network, digits):
    told: list[float] = []
    images, labels = digits[0].repeat(2, 1, 1, 1), digits[1].repeat(2)
    fooled_by(standard_network, images, labels, fgsm(0.1), progress=told.append)
    assert told == [0.5, 1.0]
    told.clear()
    fooled_at(standard_network, *digits, fgsm(0.1), [0.0, 0.1, 0.2, 1.0], progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_nothing_to_attack_is_refused(standard_network, digits, refused):
    with refused("no image to attack"):
        fooled_by(standard_network, digits[0][:0], digits[1][:0], Attack())


def test_stored_images_are_measured_as_their_tensors(standard_network, digits):
    images, labels = digits
    attack = Attack(epsilon=0.05, steps=2)
    one, other = (
        evaluate(standard_network, given, labels, Sticker(), attack) for given in (images, to_uint8(images))
    )
    for field in ("labels", "clean", "triggered", "fooled"):
        assert np.array_equal(getattr(one, field), getattr(other, field))
    assert torch.equal(predict(standard_network, images), predict(standard_network, to_uint8(images)))
