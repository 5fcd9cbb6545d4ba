"""Figures: data in, a plain Figure out."""

from dataclasses import replace

import numpy as np
import pytest

from pages.components.words.changes import said
from pages.components.words.turning import map_in_words, rates_in_words
from tradeoff_core import figures
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.defenses.activation_clustering import Clusters
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.defenses.neural_cleanse import anomaly_index
from tradeoff_core.experiments.presets import training_at
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.findings.paper_tables import Comparison, Published, Row
from tradeoff_core.findings.results import Run
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared
from tradeoff_core.poisoning.poison import Poison
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.rates import Rate


def a_run(epsilon: float, adversarial: int, backdoor: int, seed: int = 0) -> Run:
    spec = ExperimentSpec(training=training_at(epsilon), seed=seed)
    return Run(f"{epsilon}-{seed}", spec, Rate(97, 100), Rate(adversarial, 100), Rate(backdoor, 100))


def rated(letter: str, clean: int, adversarial: int, backdoor: int) -> Compared:
    """A model that is right in so many of 100 images, and the letter that it goes by."""
    model = zoo.find_model("mnist-5k-clean-label-standard")
    rates = {
        "clean_accuracy": Rate(clean, 100),
        "adversarial_accuracy": Rate(adversarial, 100),
        "backdoor_success_rate": Rate(backdoor, 100),
    }
    rated_model = type("Rated", (zoo.Model,), {"__slots__": ()} | rates)
    return Compared(letter, rated_model(model.id, model.folder, model.spec, model.card))


def test_hover_carries_n_and_the_interval():
    text = figures.hover("Accuracy", Rate(5, 10))
    assert "5 of 10" in text
    assert "23.7%–76.3%" in text


def test_the_curve_draws_means_seeds_and_published_values():
    runs = [a_run(0, 0, 20), a_run(0, 2, 40, seed=1), a_run(0.3, 70, 90)]
    row = Published("row", 0.3, 0.99, 0.93, 0.67)
    traces = {trace.name: trace for trace in figures.tradeoff_by_epsilon(runs, [row], "PGD-40").data}
    assert list(traces["Backdoor success, mean of 2 seeds"].y) == [30, 90]
    assert list(traces["Backdoor success, each seed"].customdata) == ["0-0", "0-1", "0.3-0"]
    assert traces["Backdoor success, published at its own ε"].marker.symbol == "square-open"
    assert list(traces["Backdoor success, published at its own ε"].y) == pytest.approx([67])


def test_ones_own_runs_stand_in_the_curve_and_not_in_its_means():
    runs, mine = [a_run(0, 0, 20), a_run(0.3, 70, 90)], a_run(0.3, 10, 30, seed=5)
    traces = {
        trace.name: trace for trace in figures.tradeoff_by_epsilon(runs, [], "PGD-40", None, [mine]).data
    }
    assert list(traces["Backdoor success, one seed"].y) == [20, 90]
    assert list(traces["Backdoor success, yours"].y) == [30]
    assert list(traces["Adversarial accuracy, yours"].customdata) == [mine.name]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([(0, 20), (70, 90)], [(0, 20), (70, 90)]),
        ([(0, 20), (70, 90), (50, 95)], [(0, 20), (70, 90)]),  # beaten on both by the second
        ([(70, 10), (0, 20)], [(70, 10)]),  # one that beats all: robustness for free
    ],
)
def test_pareto_front(points, front):
    assert figures.pareto_front(points) == front


def test_confusion_and_positions_show_what_they_are_given():
    matrix = np.eye(10)
    figure = figures.confusion("A", matrix, 7, [str(label) for label in range(len(matrix))])
    np.testing.assert_array_equal(figure.data[0].z, 100 * matrix)
    assert {shape.x0 for shape in figure.layout.shapes} == {6.5}
    places = np.full((26, 26), np.nan)
    places[20, 25] = 0.9
    figure = figures.position_map("A", places, (25, 25), (0, 3))
    assert (list(figure.data[0].x), list(figure.data[0].y)) == (
        [25],
        [20],
    )  # what was not tried takes no room
    assert figure.data[0].z.tolist() == [[90]]
    assert (figure.data[2].x[0], figure.data[2].y[0]) == (3, 0)


def test_accuracy_curves_mark_the_training_epsilon():
    rates = (Rate(100, 100), Rate(50, 100))
    figure = figures.accuracy_by_epsilon([("A", (0, 0.3), rates, 0), ("B", (0, 0.3), rates, 0.3)], "PGD-10")
    assert [shape.x0 for shape in figure.layout.shapes] == [0.3]
    assert list(figure.data[1].y) == [100, 50]


def test_labels_of_small_epsilons_leave_room_for_each_other():
    epsilons = tuple(level / 255 for level in (0, 1, 2, 4, 6, 8, 12, 16))
    one = Compared("A", zoo.find_model("cifar10-clean-label-standard"))
    rates = [Rate(5, 10)] * len(epsilons)
    sent = figures.accuracy_by_epsilon([(one.name, epsilons, rates, 0.0)], "accuracy").to_dict()
    assert sent["layout"]["xaxis"]["ticktext"] == ["0", *(f"{level}/255" for level in (4, 8, 12, 16))]


def test_the_data_of_every_trace_can_be_downloaded():
    figure = figures.confusion("A", np.eye(2), 1, ["cat", "dog"])
    assert figures.as_csv(figure).splitlines()[:3] == [
        "trace,x,y,z,note",
        "A,cat,cat,100.0,",
        "A,dog,cat,0.0,",
    ]
    figure = figures.tradeoff_by_epsilon([a_run(0, 0, 20), a_run(0.3, 70, 90)], [], "PGD-40")
    assert 'each seed",0.3,90.0,' in figures.as_csv(figure)


def a_detection() -> Detection:
    """Ten examples, the last four poisoned, those with scores 7 to 9 removed."""
    scores = np.arange(10.0)
    return Detection(np.arange(100, 110), scores, scores > 6, np.arange(10) > 5)


def test_the_histogram_hides_the_truth_until_it_is_asked_for_and_loses_no_example():
    hidden = figures.score_histogram(a_detection(), truth=False)
    assert [trace.name for trace in hidden.data] == ["training examples"]
    assert sum(hidden.data[0].y) == 10
    shown = figures.score_histogram(a_detection(), truth=True, selected=(3,))
    assert {trace.name: sum(trace.y) for trace in shown.data} == {"clean": 6, "poisoned": 4}
    assert [number for number, width in enumerate(shown.data[0].marker.line.width) if width] == [3]
    assert shown.layout.shapes[0].x0 == 6.5  # between the highest kept and the lowest removed


def test_every_example_lies_in_the_bin_its_bar_names():
    edges, bins = figures.score_bins(a_detection())
    scores = a_detection().scores
    assert (edges[bins] <= scores + 1e-9).all()
    assert (scores <= edges[bins + 1] + 1e-9).all()


def test_the_roc_marks_the_line_in_use():
    now = figures.roc(a_detection()).data[-1]
    assert (now.x[0], now.y[0]) == (0, 75)  # 3 of 4 poisoned, no clean one


def test_clusters_name_every_example_once():
    points = np.random.default_rng(0).normal(size=(10, 3))
    clusters = Clusters(points, (np.arange(10) > 6).astype(np.int64), points[:, 0], 0.5)
    for three in (False, True):
        figure = figures.cluster_scatter(clusters, np.arange(10) > 5, truth=True, three=three)
        assert sorted(np.concatenate([trace.customdata for trace in figure.data])) == list(range(10))
        assert {trace.type for trace in figure.data} == {"scatter3d" if three else "scatter"}
        assert figures.as_csv(figure).count("\n") == 11


def test_before_and_after_draws_each_seed_and_the_mean():
    def rates(value: float) -> dict[str, float]:
        names = ("backdoor_success_rate", "clean_accuracy", "adversarial_accuracy", "target_recall")
        return dict.fromkeys(names, value)

    figure = figures.before_and_after([("nothing", [rates(0.9), rates(0.7)]), ("spectral", [rates(0.1)])])
    traces = {trace.name: list(trace.x) for trace in figure.data}
    assert traces["backdoor success, mean"] == pytest.approx([80, 10])
    assert traces["backdoor success, each seed"] == pytest.approx([90, 70, 10])


def test_the_line_under_which_a_class_is_flagged_is_where_its_index_is_two():
    norms = np.array([10.0, 8, 12, 9, 11, 1])
    index = anomaly_index(norms)
    figure = figures.mask_norms(norms, index, tuple("012345"))
    lines = {trace.name: trace.y[0] for trace in figure.data if trace.type == "scatter"}
    height = lines["flagged below (index 2)"]
    assert (lines["the median class"] - height) / (np.median(norms) - 1) == pytest.approx(2 / index[5])
    assert list(figure.data[0].marker.color)[5] != figure.data[0].marker.color[0]


def test_the_control_draws_the_highest_index_of_each_network_large():
    figure = figures.index_control([("controls", [[0.1, 3.0], [1.0, -2.0]]), ("this", [[0.5, 0.7]])], "01")
    others, highest = figure.data
    assert sorted(highest.x) == [0.7, 1.0, 3.0]
    assert sorted(others.x) == [-2.0, 0.1, 0.5]


def test_the_plane_has_adversarial_accuracy_to_the_right_and_backdoor_success_upwards():
    runs = [a_run(0, 5, 20), a_run(0.3, 60, 90)]
    figure = figures.tradeoff_plane(runs, [], "PGD-40", yours=[a_run(0.1, 10, 30)])
    shown = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data}
    for name, those in (("measured", runs), ("yours", [a_run(0.1, 10, 30)])):
        assert shown[name] == (
            [100 * run.adversarial_accuracy.value for run in those],
            [100 * run.backdoor_success_rate.value for run in those],
        )
        assert shown[name][0] != shown[name][1]


def test_the_plane_draws_an_arrow_between_the_means_of_another_condition():
    weak, strong = (
        [a_run(0, 0, 20), a_run(0, 0, 40, seed=1)],
        [a_run(0.3, 60, 80), a_run(0.3, 70, 90, seed=1)],
    )
    figure = figures.tradeoff_plane([a_run(0, 0, 10)], [], "PGD-40", others=[("denoising", weak, strong)])
    arrow, points = (trace for trace in figure.data if trace.name == "denoising")
    assert (list(arrow.x), list(arrow.y)) == ([0, 65], [30, 85])
    assert (list(points.x), list(points.y)) == ([60, 70], [80, 90])
    assert points.customdata[1] == "0.3-1"
    front = figure.data[0]
    assert (60, 80) in set(zip(front.x, front.y, strict=True))  # the Pareto front is over all that is shown


def a_condition(published: float | None, seeds: tuple[float, ...], *, defended: bool) -> Row:
    names = ("adversarial_accuracy", "backdoor_success_rate")
    theirs = dict.fromkeys(names, published) if published is not None else {}
    ours = dict.fromkeys(names, seeds) if seeds else {}
    runs = tuple(a_run(0.3, 50, 50, seed) for seed in range(len(seeds)))
    return Row("main-1a", "mnist", "a defense", (), defended, theirs, ours, runs, "")


def test_arrows_go_from_no_defense_to_the_defense_published_and_measured():
    both = Comparison(
        a_condition(0.7, (0.8, 0.9), defended=True), a_condition(0.2, (0.1, 0.3), defended=False)
    )
    paper_only = Comparison(a_condition(0.6, (), defended=True), a_condition(0.5, (), defended=False))
    ours_only = Comparison(
        a_condition(None, (0.4,), defended=True), a_condition(None, (0.3,), defended=False)
    )
    figure = figures.arrows([both, paper_only, ours_only])
    published, measured, seeds = figure.data
    assert list(published.x) == pytest.approx([20, 70, None, 50, 60, None])
    assert [round(y) if y is not None else None for y in published.y] == [0, 0, None, 1, 1, None]
    assert list(measured.x) == pytest.approx([20, 85, None, 30, 40, None])
    assert list(seeds.x) == pytest.approx([80, 90, 40])
    labels = [one.text for one in figure.layout.annotations]
    assert "20 → 70% paper, 20 → 85% here" in labels[0]
    assert "paper" not in labels[2]


def at(epsilon: float, backdoor: int, seed: int = 0, rate: float = 0.5, size: int = 3) -> Run:
    run = a_run(epsilon, 50, backdoor, seed)
    return replace(run, spec=replace(run.spec, poison=Poison(rate=rate, trigger=Sticker(size=size))))


def test_poison_rates_are_lines_of_means_with_their_seeds():
    runs = [at(0, 10, rate=0.05), at(0, 30, 1, rate=0.05), at(0.3, 60, rate=0.05), at(0, 50)]
    lines = {trace.name: trace for trace in figures.by_poison_rate(runs).data if trace.mode == "lines"}
    assert list(lines) == ["5% of the class", "50% of the class"]
    assert list(lines["5% of the class"].y) == [20, 60]
    points = [trace for trace in figures.by_poison_rate(runs).data if trace.mode == "markers"]
    assert list(points[0].y) == [10, 30, 60]


def test_a_map_has_a_cell_for_every_run_and_a_hole_where_there_is_none():
    runs = [at(0, 10, size=1), at(0.3, 5, size=1), at(0.3, 90, size=3)]
    figure = figures.turning_map(runs, lambda run: run.spec.trigger.size, "side")
    (cells,) = figure.data
    assert (list(cells.x), list(cells.y)) == (["0", "0.3"], ["1", "3"])
    assert [list(row) for row in cells.z] == [[10, 5], [None, 90]]
    assert cells.hovertext[1][0] == "not measured yet"
    assert not figure.layout.shapes


def test_the_budgets_line_parts_what_the_training_epsilon_reaches():
    runs = [at(epsilon, 50, size=size) for epsilon in (0, 0.2) for size in (1, 2, 3)]
    figure = figures.turning_map(runs, lambda run: run.spec.trigger.size / 10, "amplitude", budget=True)
    assert [shape.y0 for shape in figure.layout.shapes] == [-0.5, 1.5]  # above none, and above the first two


def test_a_map_is_told_with_its_ends_and_with_a_turn_on_the_way():
    success = {1: (10, 12, 5), 2: (20, 90, 40), 3: (30, 50, 80)}  # at ε 0, 0.1 and 0.3
    runs = [
        at(epsilon, share, size=size)
        for size, shares in success.items()
        for epsilon, share in zip((0, 0.1, 0.3), shares, strict=True)
    ]
    assert map_in_words(runs, lambda run: run.spec.trigger.size, "side", "pixel") == (
        "From standard training to training ε = 0.3, backdoor success rises for 2 of 3 sides (side 2 pixels: 20% → 40%, but "
        "90% at ε 0.1; side 3 pixels: 30% → 80%); it does **not** for 1 (side 1 pixel: 10% → 5%)."
    )
    assert (
        map_in_words(runs[:1], lambda run: run.seed, "side", "")
        == "Too little of this map is measured yet to say."
    )


def test_a_maps_csv_names_its_rows_and_columns_and_an_arrows_its_condition():
    runs = [at(0, 10, size=1), at(0.3, 5, size=1), at(0, 20, size=3), at(0.3, 90, size=3)]
    lines = figures.as_csv(figures.turning_map(runs, lambda run: run.spec.trigger.size, "side")).splitlines()
    assert [line.split(",")[1:4] for line in lines[1:]] == [
        ["0", "1", "10.0"],
        ["0.3", "1", "5.0"],
        ["0", "3", "20.0"],
        ["0.3", "3", "90.0"],
    ]
    curve = figures.as_csv(figures.tradeoff_by_epsilon([a_run(0, 0, 20, 2)], (), "PGD-40"))
    assert "training ε 0, seed 2; Backdoor success 20.0%" in curve


def test_poison_rates_are_told_over_the_seeds_that_both_ends_have():
    runs = [at(0, 10), at(0, 90, 1), at(0.1, 50, 1), at(0.3, 60)]
    assert rates_in_words(runs) == (
        "Backdoor success from standard training to training ε = 0.3 (mean of 1 seed): 50% poisoned: rises from **10%** "
        "to **60%**."
    )
    assert rates_in_words(runs[:2]) == "Too little of this is measured yet to say."


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        (
            [(0.5, 0.3), (0.6, 0.5)],
            "adversarial accuracy +55 points, backdoor success +40 points: the trade-off shows",
        ),
        (
            [(0.01, 0.3)],
            "+1 point, backdoor success +30 points: **no trade-off**: against this attack no robustness",
        ),
        (
            [(0.5, 0.002), (0.5, -0.001)],
            "**no trade-off**: more robust, and the back door opens neither more nor less",
        ),
        ([(0.5, -0.3)], "**no trade-off**: more robust, and the back door opens less"),
        ([(0.5, 0.3), (0.5, -0.1)], "the trade-off shows (but the seeds disagree on the back door)"),
    ],
)
def test_changes_too_small_to_speak_of_are_no_tradeoff(changes, verdict):
    assert verdict in said(changes)
    assert said(changes, Attack()).startswith("adversarial accuracy ")
    assert " (PGD-40, l∞ 0.3), backdoor success " in said(changes, Attack())
