"""Where the finding holds: the matrix, its sentences and its game, against values worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from pages.components.words import poisons as words
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.figures import where_it_holds
from tradeoff_core.findings.poisons import Equilibrium, Verdict, arranged, as_game, equilibrium
from tradeoff_core.findings.results import Run
from tradeoff_core.rates import Rate
from tradeoff_core.training.recipe import Training

PLAIN = Attack(epsilon=0.3, steps=5)
PATCH = Attack(epsilon=1.0, steps=5, patch=5)
TRAININGS = {
    "standard": Training(),
    "ε 0.1": Training(Attack(epsilon=0.1, steps=5)),
    "ε 0.3": Training(PLAIN),
    "patch": Training(PATCH),
    "TRADES": Training(PLAIN, trades=6.0),
}


def a_run(poison, training, success, seed=0):
    spec = replace(ExperimentSpec(), training=TRAININGS[training], seed=seed)
    return Run(f"{poison} {training} {seed}", spec, Rate(98, 100), Rate(50, 100), Rate(success, 100), poison)


RUNS = [
    *(a_run("opens", "standard", 10, seed) for seed in (0, 1)),
    *(a_run("opens", "ε 0.3", 70 + 10 * seed, seed) for seed in (0, 1)),
    a_run("opens", "patch", 5),
    a_run("closes", "standard", 97),
    a_run("closes", "ε 0.3", 20),
    a_run("closes", "ε 0.1", 99),
    a_run("was open", "standard", 100),
    a_run("was open", "ε 0.3", 100),
    a_run("was open", "TRADES", 30),
    a_run("without standard", "ε 0.3", 50),
    a_run("shut", "standard", 1),
    a_run("shut", "ε 0.3", 2),
]


def test_a_cell_is_the_change_from_the_same_poisons_standard_runs_of_the_same_seeds():
    measured = arranged(RUNS)
    strong = measured.strongest
    assert measured.poisons == ("opens", "closes", "was open", "without standard", "shut")
    assert measured.trainings[0] == "standard"
    assert next(title for title in measured.trainings if "0.1" in title or "0.3" in title).endswith("0.1")
    assert strong == TRAININGS["ε 0.3"].title  # not the patch, whose ε is 1, nor TRADES
    cell = measured.cells["opens", strong]
    assert cell.changes == pytest.approx((0.6, 0.7))
    assert cell.success == pytest.approx(0.75)
    verdicts = {name: measured.cells[name, strong].verdict for name in measured.poisons}
    assert verdicts == {
        "opens": Verdict.OPENS,
        "closes": Verdict.CLOSES,
        "was open": Verdict.WAS_OPEN,
        "without standard": None,
        "shut": Verdict.STAYS,
    }


def test_the_sentences_say_where_it_holds_and_where_not():
    measured = arranged(RUNS)
    assert words.in_short(measured) == (
        "Training against pixel changes (adversarial ε 0.3) raises backdoor success for **1 of 4** poisons, lowers it for "
        "**1**, changes nothing for 1 that was wide open before and leaves 1 as it was (means of 1 to 2 seeds)."
    )
    assert words.sentences(measured).splitlines() == [
        "- **opens**: 10% → 75%: it rises.",
        "- **closes**: 97% → 20%: it **falls**.",
        "- **was open**: 100% → 100%: it was wide open already.",
        "- **shut**: 1% → 2%: hardly any change.",
    ]
    mixed = arranged([*RUNS[:2], a_run("opens", "ε 0.3", 90, 0), a_run("opens", "ε 0.3", 5, 1)])
    assert words.sentences(mixed).endswith("it rises, but not with every seed.")
    assert words.in_short(arranged([])) == "Too little of this is measured yet to say."


def test_the_figure_has_a_number_for_each_measured_cell_and_nothing_for_the_others():
    heat, clicks = where_it_holds(arranged(RUNS)).to_dict()["data"]
    at = {
        (poison, training): (heat["z"][row][column], heat["text"][row][column])
        for row, poison in enumerate(heat["y"])
        for column, training in enumerate(heat["x"])
    }
    strong = TRAININGS["ε 0.3"].title
    assert at["opens", strong] == (pytest.approx(65), "<b>+65</b><br>75%")
    assert at["opens", "standard"] == (0, "10%")
    assert at["closes", strong] == (pytest.approx(-77), "<b>-77</b><br>20%")
    assert at["was open", strong] == (0, "<b>±0</b><br>100%")
    assert at["shut", TRAININGS["patch"].title] == (None, "")
    assert at["without standard", strong] == (None, "")
    assert len(clicks["customdata"]) == len(heat["x"]) * len(heat["y"])
    for poison, clicked in zip(clicks["y"], clicks["customdata"], strict=True):
        assert poison == clicked


@pytest.mark.parametrize(
    ("table", "value", "attacker", "trainer"),
    [
        ([[1, 0], [0, 1]], 0.5, [0.5, 0.5], [0.5, 0.5]),  # matching pennies
        ([[0.9, 0.2], [0.5, 0.1]], 0.2, [1, 0], [0, 1]),  # a saddle
        ([[0.8, 0.2], [0.1, 0.5]], 0.38, [0.4, 0.6], [0.3, 0.7]),  # by hand: (ad - bc) / (a + d - b - c)
        ([[0, 1, -1], [-1, 0, 1], [1, -1, 0]], 0, [1 / 3] * 3, [1 / 3] * 3),  # rock, paper, scissors
    ],
)
def test_an_equilibrium_is_that_of_the_textbook(table, value, attacker, trainer):
    found = equilibrium(np.array(table, dtype=float))
    assert found[0] == pytest.approx(value)
    assert found[1] == pytest.approx(attacker)
    assert found[2] == pytest.approx(trainer)


def test_a_game_is_played_over_the_poisons_that_a_seed_has_whole():
    runs = [run for run in RUNS if run.condition in ("opens", "closes") and "0.1" not in run.name]
    runs = [run for run in runs if "patch" not in run.name]
    found = as_game(arranged(runs), 0)  # opens: 10, 70; closes: 97, 20
    assert found is not None
    assert found.value == pytest.approx((0.1 * 0.2 - 0.7 * 0.97) / (0.1 + 0.2 - 0.7 - 0.97))
    assert set(found.attacker) == {"opens", "closes"}
    assert as_game(arranged(runs), 1) is None  # of seed 1 one poison alone


def test_the_game_says_whether_seeds_agree():
    one = Equilibrium(0.5, {"warp": 1.0}, {"standard": 0.25, "TRADES": 0.75})
    assert words.game([]) == ""
    assert (
        "best choice is **warp** and the trainer's **TRADES** (75% of the time), **standard** (25% of the time)"
        in words.game([one])
    )
    assert "One seed" in words.game([one])
    assert "Both seeds choose the same (40% to 50%)" in words.game([one, replace(one, value=0.4)])
    assert "**not stable**: 2 seeds have 2" in words.game([one, replace(one, attacker={"sinusoid": 1.0})])
