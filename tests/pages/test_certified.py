"""The certified region on the Perturbations page, from what the core finds to what the page says."""

import numpy as np
import pytest
import torch
from opening import everything_said, opened

from pages.components import cache, model_picker
from pages.components.words.regions import regions_in_words
from tradeoff_core import figures
from tradeoff_core.attacks.attack import Attack, Norm, fgsm
from tradeoff_core.attacks.gradient import perturb_at
from tradeoff_core.certification import regions
from tradeoff_core.certification.bounds import certified
from tradeoff_core.certification.regions import LARGEST, TRIED, Regions, find_regions
from tradeoff_core.figures.shared import MODEL_A, MODEL_B
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared
from tradeoff_core.networks import build, freeze
from tradeoff_core.networks.inference import predicted_classes

PGD = Attack(epsilon=0.4, steps=3)
STANDARD, HARDENED = "mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3"
BOUNDED = "mnist-5k-clean-label-ibp-0.4-mnist-ibp-small"
DENOISING = "mnist-5k-clean-label-standard-mnist-cnn-denoising"


@pytest.fixture(scope="module")
def some(digits):
    """20 digits, two a class."""
    return digits[0][::10], digits[1][::10]


@pytest.mark.parametrize("attack", [PGD, fgsm(0.4)], ids=str)
@pytest.mark.parametrize("name", ["standard_network", "hardened_network"])
def test_10_what_is_certified_is_never_broken(name, attack, some, request):
    network = request.getfixturevalue(name)
    found = find_regions(network, *some, attack)
    assert (found.certified <= found.broken).all()
    read = predicted_classes(network, some[0]) == some[1].numpy()
    assert np.array_equal(found.misread, ~read)
    assert (found.certified[~read] == 0).all()
    assert (
        found.certified[read] > 0
    ).mean() > 0.9  # the last may be nearer to another class than the bisection
    inside = torch.from_numpy(found.certified[read]).float()
    images, labels = some[0][torch.from_numpy(read)], some[1][torch.from_numpy(read)]
    assert certified(network, images, labels, inside).all()
    assert not certified(network, images, labels, inside + 2 * LARGEST / 2**12).any()


def test_10_a_network_trained_on_bounds_is_certified_far_and_broken_beyond(some):
    found = find_regions(zoo.load_network(zoo.find_model(BOUNDED)), *some, PGD)
    read = ~found.misread
    assert read.sum() >= 17
    assert np.median(found.certified[read]) > 0.3
    assert (found.certified <= found.broken).all()


def test_broken_is_the_smallest_epsilon_of_the_grid_where_the_pages_own_attack_succeeds(
    standard_network, some
):
    images, labels = some
    found = find_regions(standard_network, images, labels, PGD, seed=3)
    rows = perturb_at(standard_network, images, labels, PGD, TRIED, torch.Generator().manual_seed(3))
    for number, (label, broken) in enumerate(zip(labels.tolist(), found.broken, strict=True)):
        wrong = predicted_classes(standard_network, rows[:, number]) != label
        if found.misread[number]:
            continue
        assert broken == (TRIED[int(wrong.argmax())] if wrong.any() else np.inf)
    assert np.isfinite(found.broken).any()
    assert len(set(found.broken.tolist())) > 4


def test_what_no_attack_breaks_is_broken_nowhere(some):
    """Whatever the image, the answer is 3: no attack turns the threes, and there is nothing to prove of others."""
    network = freeze(build("mnist-cnn", 0.05, seed=0))
    network.head.weight.zero_()
    network.head.bias.copy_(torch.eye(10)[3])
    found = find_regions(network, *some, PGD)
    threes = some[1].numpy() == 3
    assert np.isinf(found.broken[threes]).all()
    assert (found.broken[~threes] == 0).all()
    assert found.certified[threes].min() == pytest.approx(LARGEST, abs=LARGEST / 2**11)


def test_other_attacks_and_networks_are_refused(standard_network, some, refused):
    images, labels = some[0][:2], some[1][:2]
    for attack in (Attack(Norm.L2, 2.0), Attack(epsilon=0.3, targeted=True)):
        with refused("interval bounds are for l-inf and any wrong class"):
            find_regions(standard_network, images, labels, attack)
    with refused("leave the patch out"):
        find_regions(standard_network, images, labels, Attack(patch=5))
    with refused("no interval bounds for a layer of kind Denoise"):
        find_regions(freeze(build("mnist-cnn-denoising", 0.1, seed=0)), images, labels, PGD)


def two(*found: Regions | None) -> list[tuple[Compared, Regions | None]]:
    """Two models, A and B, with their regions."""
    return [
        (Compared(letter, zoo.find_model(name)), regions)
        for letter, name, regions in zip("AB", (STANDARD, HARDENED), found, strict=True)
    ]


def known(*pairs: tuple[float, float]) -> Regions:
    return Regions(*(np.array(side) for side in zip(*pairs, strict=True)))


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            known((0.3689, 0.38), (0.4, 0.44)),
            "Up to ε = **0.36**, all 2 digits are certified on B; an attack breaks the first at **0.38**; between "
            "the two nobody knows. On average the bounds prove **94%** of the way to the attack.",
        ),
        (
            known((0.000368, 0.03), (0.002, 0.1)),
            "Up to ε = **0.00036**, less than one of a picture's 256 grey levels, all 2 digits are certified on B; "
            "an attack breaks the first at **0.03**; between the two nobody knows. On average the bounds prove "
            "**2%** of the way to the attack: next to nothing.",
        ),
        (
            known((0.1, np.inf), (0, 0)),
            "Up to ε = **0.1**, the 1 of 2 digits that B reads are certified on B; no attack tried breaks one, up "
            "to 0.5; between the two nobody knows. On average the bounds prove **20%** of the way to the attack.",
        ),
        (known((0, 0), (0, 0)), "B misreads all 2 digits as they are."),
        (None, "Nothing is proved of B: it has a layer without interval bounds."),
    ],
)
def test_the_regions_are_said_and_nothing_is_rounded_up(found, sentence):
    assert regions_in_words("B", found) == sentence


def test_the_figure_draws_solid_to_the_certified_and_hatched_to_the_broken():
    a, b = known((0.01, 0.1), (0, 0)), known((0.2, 0.31), (0.3, np.inf))
    figure = figures.certified_regions(two(a, b), ["4", "9"])
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["A: certified"].x) == [0.01, 0]
    assert list(traces["A: nobody knows"].x) == [0.1, 0]
    assert list(traces["B: certified"].x) == [0.2, 0.3]
    assert list(traces["B: nobody knows"].x) == [0.31, 0.5]  # to the end of the axis
    assert list(traces["A: an attack breaks it"].x) == [0.1, 0]
    assert (list(traces["B: an attack breaks it"].x), list(traces["B: an attack breaks it"].y)) == (
        [0.31],
        ["4"],
    )
    for letter, colour in (("A", MODEL_A), ("B", MODEL_B)):
        assert traces[f"{letter}: certified"].marker.color == colour
        assert traces[f"{letter}: nobody knows"].marker.pattern.shape == "/"  # not by colour alone
        assert traces[f"{letter}: certified"].marker.pattern.shape is None
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [
        (0.1, 0.5),
        (0, 0.5),
        (0.31, 0.5),
        (0.5, 0.5),
    ]
    assert "an attack breaks it at 0.31" in traces["B: certified"].hovertext[0]
    assert "no attack up to 0.5" in traces["B: certified"].hovertext[1]
    assert "B: certified,0.2,4," in figures.as_csv(figure)


def test_the_axis_ends_near_the_last_cross():
    small = known((0.002, 0.03), (0.004, 0.14))
    figure = figures.certified_regions(two(small, None), ["1", "2"])
    assert 0.14 < figure.layout.xaxis.range[1] <= 0.21
    wide = figures.certified_regions(two(small, known((0.4, 0.5), (0.1, 0.2))), ["1", "2"])
    assert wide.layout.xaxis.range[1] == pytest.approx(0.505)


def test_a_model_without_bounds_has_no_panel_and_the_other_keeps_its_colour():
    figure = figures.certified_regions(two(None, known((0.1, 0.2))), ["1"])
    assert {trace.name[0] for trace in figure.data} == {"B"}
    assert figure.data[0].marker.color == MODEL_B


def page(a: str = STANDARD, b: str = HARDENED, **query: str):
    """The page as its address opens it, with the attack of fewest steps that is no FGSM."""
    described = {letter: model_picker.describe(zoo.find_model(name)) for letter, name in (("A", a), ("B", b))}
    return opened("perturbations", **described, **{"steps": "5", "certified": "true"} | query)


def expected(letter: str, name: str) -> str:
    """What the page ought to say of a model, worked out with the core alone."""
    model = zoo.find_model(name)
    images, labels = cache.sample(model, cache.first_of_each_class(model))
    found = find_regions(zoo.load_network(model), images, labels, Attack(epsilon=0.4, steps=5))
    return regions_in_words(letter, found)


def test_nothing_is_certified_unless_asked():
    app = opened("perturbations")
    assert app.toggle(key="certified").value is False
    assert "certified on" not in everything_said(app)


def test_20_the_page_says_what_the_core_finds():
    app = page(b=BOUNDED)
    assert not app.exception
    assert app.toggle(key="certified").value is True  # as the address has it
    said = everything_said(app)
    assert expected("A", STANDARD) in said
    assert expected("B", BOUNDED) in said
    assert "next to nothing" in expected("A", STANDARD)
    assert "next to nothing" not in expected("B", BOUNDED)


@pytest.mark.parametrize("query", [{"norm": "l2 (all pixels together)"}, {"target": "3"}])
def test_for_other_attacks_one_sentence_says_what_the_bounds_are_for(query):
    app = page(**query)
    assert not app.exception
    said = everything_said(app)
    assert said.count("Interval bounds are for l∞ and any wrong class") == 1
    assert "certified on" not in said


def test_a_network_without_bounds_gets_one_sentence():
    app = page(b=DENOISING)
    assert not app.exception
    said = everything_said(app)
    assert regions_in_words("B", None) in said
    assert expected("A", STANDARD) in said
    both = everything_said(page(a=DENOISING, b=DENOISING))
    assert regions_in_words("A", None) in both
    assert regions_in_words("B", None) in both


def test_how_it_works_cites_interval_bounds():
    assert "https://arxiv.org/abs/1810.12715" in everything_said(opened("perturbations"))


def test_regions_are_kept_for_the_same_weights_digits_and_attack(monkeypatch):
    calls: list[Attack] = []

    def watched(network, images, labels, attack, seed):
        calls.append(attack)
        return regions.find_regions(network, images[:1], labels[:1], attack, seed)

    monkeypatch.setattr(cache, "find_regions", watched)
    cache.regions.clear()
    model, other = zoo.find_model(STANDARD), zoo.find_model(BOUNDED)
    keys = [(model, (0,), PGD), (model, (1,), PGD), (model, (0,), fgsm(0.4)), (other, (0,), PGD)]
    for key in [*keys, *keys]:
        cache.regions(*key)
    assert len(calls) == len(keys)
    cache.regions.clear()
