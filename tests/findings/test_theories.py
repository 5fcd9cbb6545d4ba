"""What two papers predict of the maps' cells, by hand, and how often each is right of the committed ones."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.common.paths import ASSETS, RESULTS
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings import results, theories
from tradeoff_core.findings.results import Run
from tradeoff_core.findings.theories import (
    cells,
    core_scale,
    map_cells,
    opens_by_amplitude,
    opens_by_scale,
    right,
)
from tradeoff_core.poisoning.poison import Poison
from tradeoff_core.poisoning.triggers import Sticker, Watermark
from tradeoff_core.rates import Rate
from tradeoff_core.training.recipe import Training

AMPLITUDE, SCALE = theories.THEORIES


def spec_of(amplitude: float, epsilon: float, seed: int = 0) -> ExperimentSpec:
    attack = Attack(epsilon=epsilon) if epsilon else None
    return ExperimentSpec(
        poison=Poison(trigger=Watermark(amplitude=amplitude)), training=Training(attack), seed=seed
    )


def run_of(amplitude: float, epsilon: float, hits: int, seed: int = 0) -> Run:
    rate = Rate(hits, 1000)
    return Run(f"{amplitude} {epsilon} {seed}", spec_of(amplitude, epsilon, seed), rate, rate, rate)


@pytest.mark.parametrize(
    ("amplitude", "epsilon", "opens"), [(0.3, 0.2, True), (0.3, 0.3, False), (0.2, 0.3, False)]
)
def test_at_the_line_an_amplitude_is_erased(amplitude, epsilon, opens):
    assert opens_by_amplitude(spec_of(amplitude, epsilon)) is opens


def test_a_stickers_amplitude_is_its_opacity():
    faint = ExperimentSpec(
        poison=Poison(trigger=Sticker(opacity=0.25)), training=Training(Attack(epsilon=0.3))
    )
    assert opens_by_amplitude(faint) is False
    assert opens_by_amplitude(replace(faint, poison=Poison(trigger=Sticker()))) is True


def test_the_core_features_scale_is_the_largest_difference_of_mean_pixels():
    with np.load(ASSETS / "data" / "mnist-5k.npz", allow_pickle=False) as archive:
        training = archive["split"] == "train"
        images, labels = archive["images"][training] / 255, archive["labels"][training]
    means = [images[chosen].mean(0) for chosen in (labels == 7, labels != 7)]
    assert core_scale("mnist-5k", 7) == pytest.approx(np.abs(means[0] - means[1]).max(), rel=1e-9)
    assert core_scale("mnist-5k", 7) == pytest.approx(0.446, abs=1e-3)


@pytest.mark.parametrize("epsilon", [0.1, 0.4])
def test_by_scale_the_training_epsilon_does_not_matter(epsilon):
    assert opens_by_scale(spec_of(0.45, epsilon)) is True
    assert opens_by_scale(spec_of(0.44, epsilon)) is False


def test_without_poison_neither_says_anything():
    clean = ExperimentSpec(poison=None, training=Training(Attack()))
    assert opens_by_amplitude(clean) is None
    assert opens_by_scale(clean) is None


def test_a_cell_is_compared_with_standard_training_on_its_poison_and_seed():
    runs = [
        run_of(0.4, 0, 500),
        run_of(0.4, 0, 100, seed=1),
        run_of(0.5, 0, 900),
        run_of(0.4, 0.2, 700),  # opened, as the amplitude says and the scale does not
        run_of(0.4, 0.2, 90, seed=1),  # within chance of 100
        run_of(0.5, 0.3, 100),  # closed, though both say that it opens
        run_of(0.3, 0.3, 100),  # has no standard one
    ]
    found = cells(runs)
    assert [(cell.run.name, cell.standard.name, cell.opened) for cell in found] == [
        ("0.4 0.2 0", "0.4 0 0", True),
        ("0.4 0.2 1", "0.4 0 1", None),
        ("0.5 0.3 0", "0.5 0 0", False),
    ]
    assert found[0].predictions == {AMPLITUDE: True, SCALE: False}
    assert right(found) == {AMPLITUDE: Rate(1, 2), SCALE: Rate(0, 2)}


def test_on_the_maps_both_are_right_as_often_as_a_second_reading_says():
    lines = [json.loads(line) for line in (RESULTS / "maps-mnist-5k.jsonl").read_text().splitlines()]
    standard = {
        line["name"] + str(trigger_of(line)): line
        for line in lines
        if "attack" not in line["spec"]["training"]
    }
    hits, judged = np.zeros(2, dtype=int), 0
    for line in lines:
        attack = line["spec"]["training"].get("attack")
        if not attack:
            continue
        pair = [
            Rate(
                round(one["metrics"]["backdoor_success_rate"] * one["metrics"]["backdoor_n"]),
                one["metrics"]["backdoor_n"],
            )
            for one in (standard[line["name"] + str(trigger_of(line))], line)
        ]
        (low, high), (least, most) = (rate.interval for rate in pair)
        if least <= high and low <= most:
            continue
        judged += 1
        amplitude = trigger_of(line).get("amplitude", 1.0)
        said = np.array([amplitude > attack["epsilon"], amplitude > core_scale("mnist-5k", 7)])
        hits += said == (least > high)
    found = right(map_cells("mnist-5k"))
    assert len(map_cells("mnist-5k")) == 30 <= len(results.sweep("maps", "mnist-5k"))
    assert [(rate.count, rate.n) for rate in found.values()] == [(count, judged) for count in hits]
    assert judged >= 20


def trigger_of(line: dict) -> dict:
    return line["spec"]["poison"]["trigger"]
