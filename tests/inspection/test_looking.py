"""What a network looks at, and what covering it does, worked out by hand."""

import numpy as np
import torch
from torch import nn

from tradeoff_core.inspection.looking import cover, look, patch_side, strongest
from tradeoff_core.networks import freeze
from tradeoff_core.networks.base import Network


def test_the_strongest_patch_of_a_map():
    sizes = torch.zeros(2, 5, 6)
    sizes[0, 2:4, 3:5] = 1.0
    sizes[0, 0, 0] = 1.0
    share, row, column = strongest(sizes, 2)
    assert (share.tolist(), row[0].item(), column[0].item()) == ([0.800000011920929, 0.0], 2, 3)


def test_a_patch_is_covered_in_the_median_colour():
    image = torch.arange(25.0).reshape(1, 1, 5, 5) / 25
    covered = cover(image, torch.tensor([1]), torch.tensor([2]), 3)
    assert (covered[0, 0, 1:4, 2:5] == 12 / 25).all()
    covered[0, 0, 1:4, 2:5] = image[0, 0, 1:4, 2:5]
    assert torch.equal(covered, image)


def test_a_patch_is_as_large_a_share_of_larger_images():
    assert [patch_side(side, side) for side in (4, 28, 32, 64, 224)] == [3, 3, 3, 6, 21]


def test_covering_the_sticker_takes_the_answer_back():
    """A network that reads class 1 where its upper left corner is bright, else class 0."""
    head = nn.Linear(64, 2, bias=True)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[1].reshape(8, 8)[:3, :3] = 2.0
        head.bias.copy_(torch.tensor([3.0, 0.0]))
    network = freeze(Network({"last": nn.Flatten()}, head, (1, 8, 8)))
    images = np.zeros((2, 8, 8, 1), dtype=np.uint8)
    images[1, :3, :3] = 255
    found = look(network, images, 1)
    assert (found.side, found.row.tolist(), found.column.tolist()) == (3, [0, 0], [0, 0])
    np.testing.assert_allclose(found.share, 1)
    assert found.predicted.tolist() == [0, 0]
    np.testing.assert_allclose(found.confidence, 1 / (1 + np.exp(3)), rtol=1e-5)
