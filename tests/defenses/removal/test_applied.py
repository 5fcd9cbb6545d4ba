"""The removals on a trained model: clean validation images in, a measured copy out, and the reopening curve."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.applied import measured
from tradeoff_core.defenses.neural_cleanse import unlearn
from tradeoff_core.defenses.removal import applied
from tradeoff_core.defenses.removal.applied import Removal, cleansed, isolated_by_loss, remove
from tradeoff_core.defenses.removal.reopening import reopen, tuning_images
from tradeoff_core.defenses.removal.tuning import Tuning, copied, tune
from tradeoff_core.evaluation.outcomes import backdoor_success
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.poisoning.poison import Poison, PoisonLabels
from tradeoff_core.poisoning.triggers import Sticker, Watermark

SPEC = ExperimentSpec(
    width=0.25, poison=Poison(PoisonLabels.DIRTY, 0.1), evaluation=Attack(epsilon=0.1, steps=2), seed=1
)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Fewer test images than are measured on otherwise."""
    monkeypatch.setattr("tradeoff_core.defenses.applied.MEASURED", 200)


@pytest.fixture
def brief(monkeypatch):
    """What each removal is given, and the network as it came: nothing is trained."""
    seen: list[tuple[Tensor, Tensor]] = []

    def removal(network, images, labels, *_):
        seen.append((images, labels))
        return network

    monkeypatch.setattr(applied, "BY_IMAGES", dict.fromkeys(applied.BY_IMAGES, removal))
    return seen


@pytest.mark.parametrize("method", list(applied.BY_IMAGES))
def test_what_is_used_is_the_validation_split_and_nothing_else(method, brief, poisoned_network, validation):
    removed = remove(poisoned_network, SPEC, method)
    ((images, labels),) = brief
    assert torch.equal(images, validation[0])
    assert torch.equal(labels, validation[1])
    assert removed.images == 400
    assert removed.before == removed.after == measured(poisoned_network, SPEC)


def test_each_removal_does_its_own():
    assert [function.__name__ for function in applied.BY_IMAGES.values()] == [
        "fine_prune",
        "prune_neurons",
        "unlearn_universal",
    ]
    assert set(Removal) - set(applied.BY_IMAGES) == {Removal.ISOLATED}


def test_isolated_poison_is_unlearned_and_counted(poisoned_network, untouched):
    training = poisoned_training_set(SPEC)
    isolated = np.append(np.flatnonzero(training.poisoned)[:60], np.flatnonzero(~training.poisoned)[:5])
    with untouched(poisoned_network):
        removed = remove(poisoned_network, SPEC, Removal.ISOLATED, isolated=isolated)
    assert (removed.isolated, removed.isolated_poisoned) == (65, 60)
    assert removed.rates["backdoor_success_rate"][0].value > 0.9
    assert removed.rates["backdoor_success_rate"][1].value < 0.2
    assert removed.rates["clean_accuracy"][1].n == 200
    assert removed.after == measured(removed.network, SPEC)
    document = removed.document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert list(document) == [
        "method",
        "images",
        "isolated",
        "isolated_poisoned",
        "before",
        "after",
        "seconds",
    ]


def test_by_loss_two_in_a_hundred_are_isolated(poisoned_network):
    found = isolated_by_loss(poisoned_network, SPEC)
    assert len(found) == 72
    assert found.max() < 3600


def test_what_is_isolated_goes_with_abl_alone(poisoned_network, refused):
    with refused("abl unlearns training examples: say which are isolated"):
        cleansed(poisoned_network, SPEC, Removal.ISOLATED)
    with refused("fine-pruning works on clean images alone"):
        cleansed(poisoned_network, SPEC, Removal.FINE_PRUNING, isolated=np.array([1]))


def test_a_network_is_tuned_on_clean_images_and_stamped_ones_of_other_classes():
    data = load_dataset("mnist-5k", Split.TRAIN)
    images, labels, stamped = tuning_images(SPEC, 20, Sticker())
    pixels = {
        image.tobytes(): label for image, label in zip(data.tensors()[0].numpy(), data.labels, strict=True)
    }
    assert [pixels[image.tobytes()] for image in images.numpy()] == labels.tolist()
    assert len({image.tobytes() for image in images.numpy()}) == 400
    assert len(set(labels.tolist())) == 10
    assert (stamped[:, :, 25:, 25:] == 1).all()
    marked = Sticker().apply(data.tensors()[0]).numpy()
    sources = {image.tobytes(): number for number, image in enumerate(marked)}
    chosen = [sources[image.tobytes()] for image in stamped.numpy()]
    assert 7 not in data.labels[chosen]
    used = {image.tobytes() for image in images.numpy()}
    assert not used & {data.tensors()[0][number].numpy().tobytes() for number in chosen}


def test_more_poisoned_images_are_the_fewer_and_others():
    few, more = (tuning_images(SPEC, count, Sticker()) for count in (3, 20))
    assert torch.equal(few[0], more[0])
    assert torch.equal(few[2], more[2][:3])
    assert not torch.equal(few[0], tuning_images(SPEC, 3, Sticker(), seed=1)[0])


@pytest.fixture(scope="module")
def closed(poisoned_network, validation):
    """A network whose back door Neural Cleanse's unlearning closed, told the trigger."""
    return unlearn(poisoned_network, *validation, Sticker().apply)


def test_poisoned_images_open_a_closed_door_sooner_than_one_that_never_was(
    closed, standard_network, untouched
):
    with untouched(closed):
        curve = reopen(closed, SPEC, (0, 50))
    control = reopen(standard_network, SPEC, (0, 50))
    assert curve.before[0].value < 0.2
    assert control.success[0].value < 0.05
    assert control.success[0].value < control.success[1].value < curve.success[1].value
    assert curve.success[1].value > max(0.5, curve.success[0].value)
    assert all(rate.n == 500 for rate in curve.clean)
    document = curve.document()
    assert json.loads(json.dumps(document)) == document
    assert document["poisoned"] == [0, 50]
    assert document["success"][1] == [curve.success[1].count, curve.success[1].n]


def test_the_curve_is_what_tuning_by_hand_gives(closed):
    trigger, tuning = Watermark(amplitude=0.5), Tuning(epochs=1, batch_size=100, learning_rate=2e-3)
    curve = reopen(closed, SPEC, (1, 4), trigger=trigger, tuning=tuning, seed=3)
    images, labels, stamped = tuning_images(SPEC, 4, trigger, seed=3)
    network = copied(closed)
    tune(network, torch.cat([images, stamped]), torch.cat([labels, torch.full((4,), 7)]), tuning, 3)
    test = load_dataset("mnist-5k", Split.TEST).spread(500)
    clean, triggered = (predicted_classes(network, test.images, one) for one in (None, trigger))
    assert curve.success[1] == backdoor_success(clean, triggered, 7)
    assert curve.clean[1].count == (clean == test.labels).sum()
    assert curve.success[0] != curve.success[1] or curve.clean[0] != curve.clean[1]


@pytest.mark.parametrize("counts", [(), (-1, 2), (3, 3), (5, 2)])
def test_counts_that_do_not_rise_are_refused(counts, closed, refused):
    with refused("must rise from 0 or more"):
        reopen(closed, SPEC, counts)


def test_more_poisoned_images_than_there_are_are_refused(refused):
    with refused("5000 poisoned images are asked for, of 28"):
        tuning_images(SPEC, 5000, Sticker())
