"""What a recipe says of every epoch and step: many steps late, and the learning rate in pieces."""

from dataclasses import replace

import pytest

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.training.recipe import Schedule, Training

TEN_STEPS = Training(Attack(epsilon=0.3, steps=10, step_size=0.05), epochs=9, single_step_until=2 / 3)


def test_many_steps_are_taken_in_the_last_third_only():
    attacks = [TEN_STEPS.attack_in(epoch) for epoch in range(9)]
    assert [attack.steps for attack in attacks] == [1] * 6 + [10] * 3
    assert attacks[0].step == pytest.approx(0.375)
    assert attacks[0].random_start
    assert attacks[-1] == TEN_STEPS.attack
    assert TEN_STEPS.name == "pgd-0.3"


def test_the_single_step_ramps_up_too():
    ramped = replace(TEN_STEPS, ramp_epochs=3)
    attacks = [ramped.attack_in(epoch) for epoch in (0, 1, 2)]
    assert [attack.epsilon for attack in attacks] == pytest.approx([0.1, 0.2, 0.3])
    assert [attack.step for attack in attacks] == pytest.approx([0.125, 0.25, 0.375])


def test_no_step_is_longer_than_from_black_to_white():
    whole = replace(TEN_STEPS, attack=Attack(epsilon=1.0, steps=1))
    assert whole.attack_in(0).step == 1.0  # not 1.25
    ramped = replace(whole, single_step_until=None, ramp_epochs=2)
    assert [(attack.epsilon, attack.step) for attack in map(ramped.attack_in, (0, 1))] == [
        (0.5, 1.0),
        (1.0, 2.5),
    ]


def test_the_learning_rate_falls_in_the_pieces_of_the_papers_code():
    training = Training(learning_rate=0.1, schedule=Schedule.PIECEWISE)
    steps = (0, 399, 400, 39_999, 40_000, 59_999, 60_000, 99_999)
    rates = [training.learning_rate_at(step / 100_000) for step in steps]
    assert rates == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_the_two_forms_of_the_regulariser_have_names_of_their_own():
    assert Training(lipschitz=1e-4).name == "standard-lipschitz"
    assert Training(lipschitz_squared=1e-4).name == "standard-lipschitz-squared"
    assert Training(lipschitz_squared=1e-4).title == "standard with squared cross-Lipschitz"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"lipschitz": 1e-4, "lipschitz_squared": 1e-4}, "two forms of one regulariser"),
        ({"lipschitz_squared": 0.0}, "lipschitz_squared 0 is out of range"),
        ({"single_step_until": 0.5}, "single_step_until 0.5 is out of range"),
        ({"single_step_until": 1.5, "attack": Attack()}, "single_step_until 1.5 is out of range"),
        ({"schedule": "cosine"}, "constant or one-cycle or piecewise"),
    ],
)
def test_what_cannot_be_is_refused(fields, named, refused):
    with refused(named):
        Training(**fields)
