"""ABL's unlearning: its loss by hand, what it isolates, and that it forgets what is isolated and nothing else."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.datasets import ImageDataset, Split, load_dataset
from tradeoff_core.defenses.removal.ascent import Ascent, ascent_loss, least_loss, unlearn_isolated
from tradeoff_core.networks import Network
from tradeoff_core.poisoning.poison import Poison, PoisonedDataset, PoisonLabels, poison_dataset


@pytest.fixture(scope="module")
def training() -> PoisonedDataset:
    """What `poisoned_network` was trained on."""
    data = load_dataset("mnist-5k", Split.TRAIN).take(slice(None, None, 2))
    return poison_dataset(data, Poison(PoisonLabels.DIRTY, rate=0.1), np.random.default_rng(1))


def test_the_loss_goes_down_on_clean_images_and_up_on_isolated_ones_until_they_are_forgotten():
    clean = torch.tensor([[0.0, 0.0], [0.0, np.log(3)]], requires_grad=True)
    isolated = torch.tensor([[0.0, np.log(3)], [0.0, np.log(99)]], requires_grad=True)
    loss = ascent_loss(clean, torch.tensor([0, 1]), isolated, torch.tensor([1, 0]), enough=2.0)
    # clean: ln 2 and ln 4/3; isolated: ln 4/3, and ln 100 = 4.6, which counts as 2
    expected = (np.log(2) + np.log(4 / 3)) / 2 - (np.log(4 / 3) + 2) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    down, up = torch.autograd.grad(loss, [clean, isolated])
    assert down[0, 0] < 0  # a step down raises the label's logit
    assert up[0, 1] > 0  # and lowers an isolated one's
    assert not up[1].any()


def test_the_surest_are_isolated(poisoned_network, training):
    found = least_loss(poisoned_network, training.data, 0.02)
    images, labels = training.data.tensors()
    losses = F.cross_entropy(poisoned_network(images).double(), labels, reduction="none").detach()
    assert len(found) == 36 == len(set(found.tolist()))
    rest = np.setdiff1d(np.arange(len(images)), found)
    assert losses[found].max() <= losses[rest].min() + 1e-9
    assert (losses[found].diff() >= -1e-9).all()


@pytest.mark.parametrize("share", [0.0, 1.0, 1e-9, -0.5, float("nan")])
def test_a_share_of_none_or_all_is_refused(share, poisoned_network, training, refused):
    with refused("choose one that isolates some"):
        least_loss(poisoned_network, training.data, share)


def test_what_is_isolated_is_forgotten_and_the_rest_is_not(
    poisoned_network, training, validation, digits, door, untouched
):
    poisoned, clean = (np.flatnonzero(kind) for kind in (training.poisoned, ~training.poisoned))
    ascent = Ascent(epochs=3)
    with untouched(poisoned_network, *validation):
        cleansed = unlearn_isolated(poisoned_network, *validation, training.data, poisoned[:40], ascent)
        missed = unlearn_isolated(poisoned_network, *validation, training.data, clean[::40], ascent)
    (before, accuracy), (after, kept) = door(poisoned_network, digits), door(cleansed, digits)
    assert before > 0.9
    assert after < 0.2
    assert kept > accuracy - 0.1
    assert door(missed, digits)[0] > 0.5
    assert not cleansed.training


def test_isolated_examples_are_taken_with_the_labels_that_they_were_trained_with(
    poisoned_network, training, validation
):
    """Their own labels would teach what the network knows, and open the door no less."""
    poisoned = np.flatnonzero(training.poisoned)[:40]
    assert (training.data.labels[poisoned] == 7).all()
    asked: list[Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        module = "tradeoff_core.defenses.removal.ascent.ascent_loss"
        patch.setattr(module, lambda *parts: (asked.append(parts[3]), ascent_loss(*parts))[1])
        unlearn_isolated(poisoned_network, *validation, training.data, poisoned, Ascent(epochs=1))
    assert len(asked) == 10
    assert all((given == 7).all() and len(given) == 40 for given in asked)


def test_an_index_counts_once_and_a_seed_repeats(poisoned_network, training, digits):
    def weights(isolated: list[int], seed: int = 0) -> Tensor:
        network = unlearn_isolated(
            poisoned_network, *digits, training.data, np.array(isolated), Ascent(epochs=1), seed
        )
        return network.head.weight

    assert torch.equal(weights([5, 9]), weights([9, 5, 5]))
    assert not torch.equal(weights([5, 9]), weights([5, 9], seed=1))


def test_it_works_on_every_kind_of_network(any_network, untouched):
    network, images, labels = any_network
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    training = ImageDataset("few", pixels, labels.numpy())
    with untouched(network, images, labels):
        cleansed: Network = unlearn_isolated(
            network, images, labels, training, np.array([3]), Ascent(epochs=2)
        )
    assert all(value.isfinite().all() for value in cleansed.state_dict().values())
    norms = [name for name in network.state_dict() if name.endswith("running_mean")]
    assert all(torch.equal(cleansed.state_dict()[name], network.state_dict()[name]) for name in norms)


@pytest.mark.parametrize(
    ("isolated", "said"),
    [
        ([], "no training example is isolated"),
        ([0, 1800], "no training example 1800 to isolate: there are 1,800"),
        ([-1, 3], "no training example -1"),
    ],
)
def test_what_cannot_be_isolated_is_refused(isolated, said, poisoned_network, training, digits, refused):
    with refused(said):
        unlearn_isolated(poisoned_network, *digits, training.data, np.array(isolated, dtype=np.int64))
