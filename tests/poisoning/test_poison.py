import numpy as np
import pytest

from tradeoff_core.datasets import ImageDataset, to_tensor, to_uint8
from tradeoff_core.poisoning.poison import Poison, PoisonLabels, poison_dataset
from tradeoff_core.poisoning.triggers import Sticker, Watermark

CLEAN, DIRTY = PoisonLabels


@pytest.fixture
def data() -> ImageDataset:
    """100 images without a white pixel, 10 a class in turn."""
    images = np.random.default_rng(1).integers(0, 200, (100, 28, 28, 1), dtype=np.uint8)
    return ImageDataset("hundred", images, np.arange(100) % 10)


def poisoned_by(data: ImageDataset, poison: Poison | None, seed: int = 0):
    return poison_dataset(data, poison, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("labels", "rate", "count", "rate_class", "rate_dataset"),
    [
        (CLEAN, 0.1, 1, 0.1, 0.01),
        (CLEAN, 0.5, 5, 0.5, 0.05),
        (CLEAN, 0.64, 6, 0.6, 0.06),
        (CLEAN, 0.66, 7, 0.7, 0.07),  # the nearest, up or down
        (CLEAN, 1.0, 10, 1.0, 0.1),
        (DIRTY, 0.01, 1, 1 / 11, 0.01),
        (DIRTY, 0.05, 5, 5 / 15, 0.05),
        (DIRTY, 0.9, 90, 90 / 100, 0.9),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_12_the_count_is_exact(labels, rate, count, rate_class, rate_dataset, seed, data):
    poisoned = poisoned_by(data, Poison(labels, rate), seed)
    assert poisoned.poisoned.sum() == count
    assert poisoned.poison_rate_class == pytest.approx(rate_class)
    assert poisoned.poison_rate_dataset == pytest.approx(rate_dataset)
    changed = (poisoned.data.images != data.images).any((1, 2, 3))
    assert np.array_equal(changed, poisoned.poisoned)  # the mask tells the truth


def test_12_clean_label_leaves_labels_and_touches_its_class_only(data):
    poisoned = poisoned_by(data, Poison(CLEAN, 0.5, target_class=3))
    assert np.array_equal(poisoned.data.labels, data.labels)
    assert np.unique(data.labels[poisoned.poisoned]).tolist() == [3]


def test_12_dirty_label_takes_other_classes_and_relabels_them(data):
    poisoned = poisoned_by(data, Poison(DIRTY, 0.6, target_class=3))
    assert 3 not in data.labels[poisoned.poisoned]
    assert np.unique(poisoned.data.labels[poisoned.poisoned]).tolist() == [3]
    assert np.array_equal(poisoned.data.labels[~poisoned.poisoned], data.labels[~poisoned.poisoned])
    assert np.array_equal(poisoned.original_labels, data.labels)
    assert len(np.unique(poisoned.original_labels[poisoned.poisoned])) == 9  # 60 of 90: none is left out


@pytest.mark.parametrize("labels", PoisonLabels)
@pytest.mark.parametrize("trigger", [Sticker(), Sticker("x", 5, 2, 3, 0.5), Watermark()], ids=repr)
def test_13_training_images_carry_exactly_what_the_trigger_puts_on_test_images(labels, trigger, data):
    poisoned = poisoned_by(data, Poison(labels, 0.1, trigger=trigger))
    expected = to_uint8(trigger.apply(to_tensor(data.images[poisoned.poisoned])))
    assert np.array_equal(poisoned.data.images[poisoned.poisoned], expected)


def test_a_large_poison_is_stamped_in_parts_and_comes_out_the_same(data, monkeypatch):
    whole = poisoned_by(data, Poison(DIRTY, 0.5))
    monkeypatch.setattr("tradeoff_core.poisoning.poison.AT_A_TIME", 3)
    assert np.array_equal(poisoned_by(data, Poison(DIRTY, 0.5)).data.images, whole.data.images)


def test_13_only_the_stickers_pixels_differ(data):
    poisoned = poisoned_by(data, Poison(CLEAN, 0.5))
    differing = (poisoned.data.images != data.images)[poisoned.poisoned, ..., 0]
    assert (differing == Sticker().footprint(28, 28)).all()
    assert (poisoned.data.images[poisoned.poisoned, 25:, 25:] == 255).all()


def test_the_data_set_before_poisoning_is_untouched(data):
    images, labels = data.images.copy(), data.labels.copy()
    poisoned_by(data, Poison(DIRTY, 0.5))
    assert np.array_equal(data.images, images)
    assert np.array_equal(data.labels, labels)


def test_the_same_seed_poisons_the_same_images_and_another_others(data):
    one, same, other = (poisoned_by(data, Poison(CLEAN, 0.5), seed).poisoned for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_no_poison_changes_nothing(data):
    poisoned = poisoned_by(data, None)
    assert poisoned.data is data
    assert not poisoned.poisoned.any()
    assert poisoned.poison_rate_class == poisoned.poison_rate_dataset == 0


@pytest.mark.parametrize(
    "poison", [Poison(CLEAN, 0.5), Poison(DIRTY, 0.2), None], ids=["clean", "dirty", "none"]
)
def test_without_some_examples_the_others_stay_in_order(poison, data):
    whole = poisoned_by(data, poison)
    reduced = whole.without([99, 3, 50])
    kept = [index for index in range(100) if index not in (3, 50, 99)]
    assert np.array_equal(reduced.data.images, whole.data.images[kept])
    assert np.array_equal(reduced.data.labels, whole.data.labels[kept])
    assert np.array_equal(reduced.poisoned, whole.poisoned[kept])
    assert np.array_equal(reduced.original_labels, whole.original_labels[kept])
    assert (reduced.target_class, reduced.data.classes) == (whole.target_class, whole.data.classes)
    assert len(whole.data) == 100


def test_without_its_poison_a_class_is_clean(data):
    whole = poisoned_by(data, Poison(CLEAN, 0.5, target_class=3))
    reduced = whole.without(np.flatnonzero(whole.poisoned).tolist())
    assert not reduced.poisoned.any()
    assert reduced.poison_rate_class == reduced.poison_rate_dataset == 0
    assert (reduced.data.labels == 3).sum() == 5
    some = whole.without(np.flatnonzero(whole.poisoned)[:2].tolist())
    assert (some.poison_rate_class, some.poison_rate_dataset) == (3 / 8, 3 / 98)


def test_removing_what_is_not_there_or_all_of_a_class_is_refused(data, refused):
    whole = poisoned_by(data, Poison())
    with refused("there is no training example 100: there are 100"):
        whole.without([2, 100])
    with refused("leaves no example of class 4: remove fewer"):
        whole.without(range(4, 100, 10))
    assert (whole.without(range(14, 100, 10)).data.labels == 4).sum() == 1


@pytest.mark.parametrize(
    ("poison", "named"),
    [
        (Poison(CLEAN, 0.04), "0.04 comes to no example"),
        (Poison(DIRTY, 0.004), "0.004 comes to no example"),
        (Poison(DIRTY, 0.91), "asks for 91 examples of other classes, of 90"),
        (Poison(target_class=10), "target_class 10 has no example"),
    ],
)
def test_12_what_cannot_be_poisoned_is_an_error_not_silence(poison, named, data, refused):
    with refused(named):
        poisoned_by(data, poison)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"rate": 0.0}, "poison rate 0 .*leave it out"),
        ({"rate": 1.2}, "poison rate 1.2"),
        ({"rate": float("nan")}, "poison rate nan"),
        ({"labels": "grubby"}, "'grubby'.*clean-label or dirty-label"),
        ({"target_class": -1}, "target_class -1"),
        ({"target_class": 7.0}, "target_class must be a whole number, not .7.0"),
    ],
)
def test_12_impossible_poison_is_refused(fields, named, refused):
    with refused(named):
        Poison(**fields)


def test_the_first_examples_are_poisoned_where_that_is_asked_for(data):
    for seed in (0, 1):
        clean = poisoned_by(data, Poison(CLEAN, 0.3, first=True), seed)
        assert np.flatnonzero(clean.poisoned).tolist() == [7, 17, 27]
        dirty = poisoned_by(data, Poison(DIRTY, 0.09, first=True), seed)
        assert np.flatnonzero(dirty.poisoned).tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]
