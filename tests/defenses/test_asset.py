"""On pictures of noise whose class is told by one half, and whose poison by a corner."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from tradeoff_core.datasets import ImageDataset
from tradeoff_core.defenses import asset
from tradeoff_core.defenses.asset import Offset, asset_scores
from tradeoff_core.networks import Network, build, freeze

SIDE = 6
OFFSET = Offset(epochs=12, batch_size=50, learning_rate=3e-3)


def pictures(count: int, seed: int) -> ImageDataset:
    """Noise, brighter in the upper half for class 0 and in the lower one for class 1."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = generator.integers(0, 80, (count, SIDE, SIDE, 1), dtype=np.uint8)
    images[labels == 0, : SIDE // 2] += 60
    images[labels == 1, SIDE // 2 :] += 60
    return ImageDataset("noise", images, labels, ("up", "down"))


@pytest.fixture(scope="module")
def suspicious() -> tuple[ImageDataset, np.ndarray]:
    """Of 400 pictures a tenth is of class 0 with a white corner, and labelled 1."""
    data = pictures(400, seed=1)
    poisoned = np.zeros(400, bool)
    poisoned[np.flatnonzero(data.labels == 0)[:40]] = True
    data.images[poisoned, :2, -2:] = 255
    return ImageDataset("noise", data.images, np.where(poisoned, 1, data.labels), data.classes), poisoned


@pytest.fixture(scope="module")
def network() -> Network:
    stage = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 16), nn.ReLU())
    return freeze(Network({"hidden": stage}, nn.Linear(16, 2), (1, SIDE, SIDE)))


@pytest.mark.parametrize("seed", [0, 1])
def test_what_the_base_set_does_not_offset_ends_with_a_high_loss(suspicious, network, seed):
    data, poisoned = suspicious
    scores = asset_scores(network, data, pictures(100, seed=2), OFFSET, seed)
    assert scores.shape == (400,)
    of_class = data.labels == 1
    assert roc_auc_score(poisoned[of_class], scores[of_class]) > 0.97
    clean = scores[~poisoned & of_class].mean()
    assert scores[poisoned].mean() > clean + 1
    assert (
        0.3 < clean < 5
    )  # neither learned, as without the step up (0.01), nor unlearned, as without the other (above 25)


def test_the_network_stays_and_only_its_architecture_is_taken(suspicious, network):
    data, base = suspicious[0], pictures(100, seed=2)
    before = [value.clone() for value in network.parameters()]
    scores = asset_scores(network, data, base, Offset())
    assert all(torch.equal(now, then) for now, then in zip(network.parameters(), before, strict=True))
    assert not any(value.requires_grad for value in network.parameters())
    other = freeze(Network(dict(network.stages.items()), nn.Linear(16, 2), (1, SIDE, SIDE)))
    assert np.array_equal(asset_scores(other, data, base, Offset()), scores)
    assert not np.array_equal(asset_scores(network, data, base, Offset(), seed=1), scores)


def test_every_weight_of_a_transformer_is_drawn_anew():
    network = freeze(build("mnist-vit", 0.1, seed=0))
    network.stages["patches"][-1].positions.fill_(9.0)
    network.stages["block1"].norm1.weight.fill_(9.0)
    drawn = asset._untrained(network, seed=1)
    assert drawn.stages["patches"][-1].positions.abs().max() <= 0.5
    assert drawn.stages["block1"].norm1.weight.eq(1).all()
    assert not drawn.stages["block4"].hidden.bias.any()
    assert network.stages["patches"][-1].positions.eq(9).all()


def test_sets_that_do_not_fit_and_rates_that_run_away_are_refused(suspicious, network, refused):
    data, base = suspicious[0], pictures(100, seed=2)
    small = ImageDataset("small", np.zeros((5, 2, 2, 1), np.uint8), np.zeros(5, int), base.classes)
    with refused(r"the base set has images of shape \(1, 2, 2\)"):
        asset_scores(network, data, small)
    with refused("learning_rate 0 is out of range"):
        Offset(learning_rate=0.0)
