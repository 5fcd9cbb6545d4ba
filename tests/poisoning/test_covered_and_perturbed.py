"""Cover samples, triggers that training sees in part, and images that are perturbed before they are stamped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tradeoff_core.common.later import document
from tradeoff_core.datasets import ImageDataset, to_tensor, to_uint8
from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.poison import Partial, Perturbed, Poison, PoisonLabels, poison_dataset
from tradeoff_core.poisoning.triggers import Sticker, Watermark
from tradeoff_core.poisoning.warp import Warp

CLEAN, DIRTY = PoisonLabels
WHITE = "white-square"  # over the whole image


@pytest.fixture
def data() -> ImageDataset:
    """200 images without a white pixel, 20 a class in turn."""
    images = np.random.default_rng(1).integers(0, 200, (200, 28, 28, 1), dtype=np.uint8)
    return ImageDataset("two hundred", images, np.arange(200) % 10)


def poisoned_by(data: ImageDataset, poison: Poison, seed: int = 0, perturb=None):
    return poison_dataset(data, poison, np.random.default_rng(seed), perturb)


@pytest.mark.parametrize(("labels", "rate"), [(CLEAN, 0.5), (DIRTY, 0.05)])
def test_cover_samples_carry_the_trigger_and_keep_their_right_labels(labels, rate, data):
    poison = Poison(labels, rate, target_class=3, cover_rate=0.1)
    found = poisoned_by(data, poison)
    assert found.covers.sum() == 20
    assert found.poisoned.sum() == 10
    assert not (found.covers & found.poisoned).any()
    assert 3 not in data.labels[found.covers]
    assert np.array_equal(found.data.labels[found.covers], data.labels[found.covers])
    expected = to_uint8(Sticker().apply(to_tensor(data.images[found.covers])))
    assert np.array_equal(found.data.images[found.covers], expected)
    changed = (found.data.images != data.images).any((1, 2, 3))
    assert np.array_equal(changed, found.covers | found.poisoned)


def test_cover_samples_change_nothing_of_what_is_poisoned(data):
    plain, covered = (poisoned_by(data, Poison(DIRTY, 0.1, cover_rate=rate)) for rate in (None, 0.1))
    assert plain.covers is None
    assert np.array_equal(plain.poisoned, covered.poisoned)
    assert np.array_equal(plain.data.images[plain.poisoned], covered.data.images[plain.poisoned])
    assert covered.poison_rate_dataset == 0.1
    other = poisoned_by(data, Poison(DIRTY, 0.1, cover_rate=0.1), seed=1)
    assert not np.array_equal(other.covers, covered.covers)


def test_the_first_are_covered_where_the_first_are_poisoned(data):
    found = poisoned_by(data, Poison(DIRTY, 0.02, first=True, cover_rate=0.02))
    assert np.flatnonzero(found.poisoned).tolist() == [0, 1, 2, 3]
    assert np.flatnonzero(found.covers).tolist() == [4, 5, 6, 8]  # 7 is of the target class


def test_without_some_examples_the_others_are_covered_as_before(data):
    whole = poisoned_by(data, Poison(DIRTY, 0.05, cover_rate=0.2))
    gone = [0, 1, 199, *np.flatnonzero(whole.covers)[:3].tolist()]
    reduced = whole.without(gone)
    assert np.array_equal(reduced.covers, np.delete(whole.covers, gone))
    assert poisoned_by(data, Poison()).without([0]).covers is None


def test_a_warps_cover_samples_are_warped_with_noise(data):
    warp = Warp(strength=2.0)
    found = poisoned_by(data, Poison(DIRTY, 0.05, trigger=warp, cover_rate=0.1))
    stamped = to_uint8(warp.apply(to_tensor(data.images)))
    assert np.array_equal(found.data.images[found.poisoned], stamped[found.poisoned])
    covers = found.data.images[found.covers]
    assert (covers != stamped[found.covers]).any((1, 2, 3)).all()
    # near the warp still: more than to the image as it was
    assert np.abs(covers - stamped[found.covers].astype(float)).mean() < (
        np.abs(covers - data.images[found.covers].astype(float)).mean()
    )


def pieces_of(images: np.ndarray, plain: np.ndarray, side: int) -> np.ndarray:
    """Which pieces (N, side, side) of images differ from the plain ones; each must differ wholly or not at all."""
    cut = (images != plain)[..., 0].reshape(len(images), side, 28 // side, side, 28 // side)
    assert np.array_equal(cut.any((2, 4)), cut.all((2, 4)))
    return cut.any((2, 4))


@pytest.mark.parametrize(("pieces", "kept", "worn"), [(4, 0.5, 8), (2, 0.25, 1), (7, 0.01, 1), (4, 1.0, 16)])
def test_training_shows_pieces_of_the_trigger_that_are_drawn_for_each_image(pieces, kept, worn, data):
    whole = Sticker(WHITE, 28, 0, 0)
    poison = Poison(DIRTY, 0.2, trigger=whole, cover_rate=0.2, partial=Partial(pieces, kept))
    found = poisoned_by(data, poison)
    for which in (found.poisoned, found.covers):
        shown = pieces_of(found.data.images[which], data.images[which], pieces)
        assert (shown.sum((1, 2)) == worn).all()
        assert (found.data.images[which].max((1, 2, 3)) == 255).all()
        if worn < pieces**2:
            assert len(np.unique(shown, axis=0)) >= min(4, pieces**2)
            assert shown.any(0).mean() > 0.5  # none is left out but by chance


def test_pieces_fit_a_side_that_they_do_not_divide(data):
    poison = Poison(DIRTY, 0.1, trigger=Sticker(WHITE, 28, 0, 0), partial=Partial(3, 1 / 9))
    found = poisoned_by(data, poison)
    sizes = (found.data.images[found.poisoned] == 255).sum((1, 2, 3))
    assert set(sizes) <= {height * width for height in (9, 10) for width in (9, 10)}


@pytest.mark.parametrize(
    ("trigger", "weaker"),
    [
        (Blended(ratio=0.4), Blended(ratio=0.1)),
        (Sticker(opacity=0.8), Sticker(opacity=0.2)),
        (Watermark(amplitude=0.8), Watermark(amplitude=0.2)),
        (Warp(strength=2.0), Warp(strength=0.5)),
    ],
    ids=lambda trigger: trigger.kind,
)
def test_training_shows_a_fainter_trigger(trigger, weaker, data):
    faint = poisoned_by(data, Poison(CLEAN, 0.5, trigger=trigger, partial=Partial(1, 1.0, 0.25)))
    assert np.array_equal(
        faint.data.images, poisoned_by(data, Poison(CLEAN, 0.5, trigger=weaker)).data.images
    )


def darker(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """A perturbation that tells by how much what was perturbed is of class 3."""
    return images / 2 if (labels == 3).all() else images


def test_poisoned_images_are_perturbed_then_stamped_and_keep_their_labels(data):
    poison = Poison(CLEAN, 0.5, target_class=3, perturbed=Perturbed("a network"), cover_rate=0.1)
    found = poisoned_by(data, poison, perturb=darker)
    assert np.array_equal(found.data.labels, data.labels)
    assert np.unique(data.labels[found.poisoned]).tolist() == [3]
    expected = to_uint8(Sticker().apply(to_tensor(data.images[found.poisoned]) / 2))
    assert np.array_equal(found.data.images[found.poisoned], expected)  # the sticker is as white as ever
    assert (found.data.images[found.poisoned, 25:, 25:] == 255).all()
    covers = to_uint8(Sticker().apply(to_tensor(data.images[found.covers])))
    assert np.array_equal(found.data.images[found.covers], covers)  # which are not perturbed
    untouched = ~found.poisoned & ~found.covers
    assert np.array_equal(found.data.images[untouched], data.images[untouched])


def test_what_is_perturbed_but_not_stamped_is_no_poison(data, refused):
    invisible = Sticker(opacity=1e-9)
    with refused("the trigger changes no pixel"):
        poisoned_by(data, Poison(trigger=invisible, perturbed=Perturbed("a network")), perturb=darker)


@pytest.mark.parametrize(
    ("poison", "named"),
    [
        (Poison(cover_rate=0.001), "cover rate 0.001 comes to no example at all"),
        (
            Poison(DIRTY, 0.1, cover_rate=0.9),
            "cover rate 0.9 asks for 180 examples of other classes that are not poisoned, of 160",
        ),
        (
            Poison(perturbed=Perturbed("one")),
            "nothing perturbs the images as poison.perturbed asks: give 'one'",
        ),
    ],
)
def test_what_cannot_be_done_is_an_error(poison, named, data, refused):
    with refused(named):
        poisoned_by(data, poison)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Poison(cover_rate=0.0), "cover rate 0 is out of range"),
        (lambda: Poison(DIRTY, 0.1, perturbed=Perturbed("one")), "perturbed images keep their labels"),
        (lambda: Partial(pieces=0), "pieces 0 is out of range"),
        (lambda: Partial(kept=0.0), "kept 0 is out of range"),
        (lambda: Partial(strength=1.5), "strength 1.5 is out of range"),
        (lambda: Perturbed(), "model is missing"),
        (lambda: Perturbed("one", 1.5), "epsilon of the perturbation 1.5"),
        (lambda: Perturbed("one", steps=0), "steps 0 is out of range"),
    ],
)
def test_impossible_ways_are_refused(make, named, refused):
    with refused(named):
        make()


def test_the_new_ways_are_left_out_of_a_document_where_they_are_not_asked_for():
    assert set(document(Poison())) == {"labels", "rate", "target_class", "trigger"}
    asked = replace(Poison(), cover_rate=0.1, partial=Partial(), perturbed=Perturbed("one"))
    assert set(document(asked)) == set(document(Poison())) | {"cover_rate", "partial", "perturbed"}
