"""Figures of the explanation, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest

from pages.components.words import methods
from tradeoff_core import figures
from tradeoff_core.experiments.presets import PRESETS, training_at
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.explanations.attribution import Method
from tradeoff_core.explanations.feature_plane import GROUPS
from tradeoff_core.explanations.sticker_share import FADES
from tradeoff_core.findings.results import Cause
from tradeoff_core.poisoning.poison import Poison, PoisonLabels
from tradeoff_core.rates import Mean, Rate

GRADIENT = Method.INPUT_GRADIENT


def a_cause(name: str, share: float, success: int, spec: ExperimentSpec | None = None, **more) -> Cause:
    fading = {
        "share": list(FADES),
        "margin": [20 * fade - 10 for fade in FADES],
        "quartiles": [[20 * fade - 12 for fade in FADES], [20 * fade - 8 for fade in FADES]],
        "predicted": [fade for fade in FADES],
    }
    landing = np.array([10, 0, 0, 0, 0, 0, 0, 30, 0, 0])
    return replace(
        Cause(
            name,
            name,
            spec or ExperimentSpec(),
            Rate(success, 100),
            900,
            0.0115,
            {GRADIENT: (Mean(0.01, 0.001, 900), Mean(share, 0.02, 900))},
            fading,
            "PGD-40",
            landing,
            {"clean, poisoned": 0.2},
        ),
        **more,
    )


def at(epsilon: float) -> ExperimentSpec:
    return ExperimentSpec(training=training_at(epsilon))


def test_the_bars_are_the_means_with_their_intervals_beside_what_is_covered():
    figure = figures.share_bars([("A, x", a_cause("a", 0.1, 20)), ("B, y", a_cause("b", 0.6, 90))], GRADIENT)
    first, second, covered = figure.data
    assert list(first.y) == pytest.approx([1, 10])
    assert list(second.y) == pytest.approx([1, 60])
    assert list(second.error_y.array) == pytest.approx([0.1, 2])
    assert set(covered.y) == {1.15}
    assert "900 images, 95% interval 58.0%–62.0%" in second.hovertext[1]


def test_the_curve_is_sorted_by_training_epsilon():
    figure = figures.share_by_epsilon(
        [a_cause("b", 0.6, 90, at(0.3)), a_cause("a", 0.1, 20, at(0))], GRADIENT
    )
    assert list(figure.data[0].x) == [0, 0.3]
    assert list(figure.data[0].y) == pytest.approx([10, 60])
    assert list(figure.data[1].y) == pytest.approx([20, 90])


def test_every_network_is_a_point_of_its_kind_that_names_its_model():
    causes = {
        "standard": a_cause("a", 0.1, 20, at(0)),
        "defended": a_cause("b", 0.6, 90, at(0.3)),
        "lipschitz": a_cause("c", 0.1, 20, PRESETS["lipschitz"]),
        "denoising": a_cause("d", 0.1, 20, PRESETS["denoising"]),
        "dirty": a_cause("e", 0.2, 99, ExperimentSpec(poison=Poison(PoisonLabels.DIRTY, 0.05))),
        "none": a_cause("f", 0.01, 0, ExperimentSpec(poison=None)),
    }
    figure = figures.share_against_success(list(causes.items()), GRADIENT, {"A": "a", "B": "b"})
    points = {trace.name: list(trace.customdata) for trace in figure.data}
    assert points == {
        "standard training, clean-label": ["a"],
        "trained with a defense, clean-label": ["b", "c", "d"],
        "dirty-label": ["e"],
        "no poison": ["f"],
    }
    assert [(note.text, note.x, note.y) for note in figure.layout.annotations] == [
        ("<b>A</b>", pytest.approx(10), 20),
        ("<b>B</b>", pytest.approx(60), 90),
    ]


def test_the_fading_sticker_and_the_landing_show_what_they_are_given():
    named = [("A, x", a_cause("a", 0.1, 20))]
    band, line = figures.fading_in(named, "7").data
    assert list(line.y) == [20 * fade - 10 for fade in FADES]
    assert len(band.y) == 2 * len(FADES)
    bars = figures.landing(named, [str(label) for label in range(10)], 7).data[0]
    assert list(bars.y) == pytest.approx([25, 0, 0, 0, 0, 0, 0, 75, 0, 0])
    assert [label for label, width in enumerate(bars.marker.line.width) if width] == [7]


def test_every_image_is_one_point_of_its_group():
    points = np.random.default_rng(0).normal(size=(10, 3))
    group = np.repeat(np.arange(5), 2)
    for dimensions, kind in ((2, "scatter"), (3, "scatter3d")):
        figure = figures.feature_plane(points[:, :dimensions], group, "component")
        assert [trace.name for trace in figure.data] == list(GROUPS)
        assert {trace.type for trace in figure.data} == {kind}
        assert sorted(np.concatenate([trace.customdata for trace in figure.data])) == list(range(10))


def test_the_reading_says_what_the_correlation_says_and_no_more():
    rising = [a_cause(str(n), n / 10, 10 * n, at(0.1)) for n in range(1, 8)]
    text = methods.reading(rising, GRADIENT)
    assert "the rank correlation is **+1.00**" in text
    assert "7 networks" in text
    assert "fits the explanation" in text
    falling = [a_cause(str(n), n / 10, 90 - 10 * n, at(0.1)) for n in range(1, 8)]
    assert "speaks against the explanation" in methods.reading(falling, GRADIENT)
    mixed = [a_cause(str(n), n / 10, success, at(0.1)) for n, success in enumerate([50, 20, 80, 30, 60, 40])]
    assert "**not** supported" in methods.reading(mixed, GRADIENT)
    assert "too few" in methods.reading(rising[:3], GRADIENT)
    dirty = a_cause("d", 0.24, 100, ExperimentSpec(poison=Poison(PoisonLabels.DIRTY, 0.05)))
    assert "backdoor success 100% at a share of 24%" in methods.reading([*rising, dirty], GRADIENT)


def test_the_landing_is_compared_with_chance_and_with_the_network_without_poison():
    poisoned = a_cause("a", 0.1, 20)
    control = a_cause(
        "c",
        0.1,
        0,
        replace(poisoned.spec, poison=None),
        landing=np.array([90, 0, 0, 0, 0, 0, 0, 10, 0, 0]),
    )
    text = methods.drawn_to([("A", poisoned)], "7", {"a": poisoned, "c": control})
    assert "A: of 40 fooled images **75%** end as 7 (framed), and 10% without the poison" in text
    assert "it would be 11%" in text


def test_the_crossing_is_the_first_fade_at_which_half_are_read_as_the_target():
    text = methods.crossing([("A", a_cause("a", 0.1, 20))], "7")
    assert "changes that lead by **+20.0**" in text
    assert "half of the images are read as 7 once 50% of it is there" in text
