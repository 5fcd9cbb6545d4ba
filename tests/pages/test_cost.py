"""What the Train page says that a training costs, which a process of its own measures."""

import pytest
from opening import everything_said, opened

from pages.components import training
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import changed, spec_from_dict, spec_to_dict

QUICKER = ("width=0.05", "training.attack.steps=1", "evaluation.steps=1")
SPEC = spec_from_dict(changed(spec_to_dict(PRESETS["fast"]), [*QUICKER, "training.epochs=4"]))


def test_the_page_says_what_the_command_measures_for_the_epochs_that_are_asked_for():
    cost = training.cost_of(SPEC)
    seconds, megabytes = cost.seconds(4), cost.megabytes
    assert 0 < seconds < 600
    assert 100 < megabytes < 20_000
    app = opened("train", **{"epochs-fast": "4"})
    app.text_area(key="more-fast").set_value("\n".join(QUICKER)).run()
    assert not app.exception
    assert f"**About {training.duration(seconds)}** for 4 epochs and the measuring" in everything_said(app)
    assert f"about {megabytes / 1000:.1f} GB of memory" in everything_said(app)


def test_twice_the_epochs_cost_twice_as_much_besides_the_measuring(monkeypatch):
    found = {"epoch_seconds": 10.0, "measuring_seconds": 20.0, "megabytes": 500.0}
    monkeypatch.setattr(training, "cost", lambda _: found)
    cost = training.cost_of(SPEC)
    assert (cost.seconds(SPEC.epochs), cost.megabytes) == (4 * 10.0 + 20.0, 500.0)


def test_what_is_left_is_what_was_expected_until_the_epochs_say_better():
    def after(*seconds: float) -> str:
        done = [{"epoch": at, "epochs": 4, "seconds": one} for at, one in enumerate(seconds, start=1)]
        return training.time_left(done, 4, (10.0, 20.0))

    assert after() == "about 60 seconds left"
    assert after(10.0) == "about 50 seconds left"
    assert after(20.0) == "about 2 minutes left"  # three epochs and the measuring, all half as fast
    assert after(5.0, 5.0, 5.0) == "about 15 seconds left"
    assert after(5.0, 5.0, 5.0, 5.0) == "now it is measured, about 10 seconds"
    assert training.time_left([], 4, None) == "the first epoch is under way"


def test_what_the_command_refuses_is_one_sentence():
    with pytest.raises(TradeoffError, match=r"^unknown data ?set 'no-such-set'"):
        training.cost('{"dataset": "no-such-set"}')


def test_what_would_take_for_ever_is_ended_and_one_sentence(monkeypatch, refused):
    monkeypatch.setattr(training, "MOST_SECONDS", 0.1)
    with refused("take more than 0.1 seconds on this machine: make it smaller"):
        training.cost('{"width": 0.05}')


def test_nothing_is_asked_for_without_end(refused):
    for setting in ("evaluation.steps", "training.epochs", "training.batch_size", "evaluation.restarts"):
        with refused("from 1 to 1,000,000"):
            spec_from_dict(changed(spec_to_dict(SPEC), [f"{setting}=1000000000"]))


def test_estimates_are_made_one_at_a_time_and_nobody_waits_without_end(monkeypatch, refused):
    monkeypatch.setattr(training, "MOST_SECONDS", 0.1)
    with training.ONE_AT_A_TIME, refused("another training is being timed on this machine"):
        training.cost('{"width": 0.06}')
    with refused("take more than 0.1 seconds"):  # whose turn is given back
        training.cost('{"width": 0.06}')
    assert not training.ONE_AT_A_TIME.locked()


def test_no_network_is_endlessly_wide(refused):
    with refused("above 0 and at most 4"):
        spec_from_dict(changed(spec_to_dict(SPEC), ["width=1000"]))
