"""The networks for digits."""

import pytest
import torch
from torch import nn

from tradeoff_core.networks import Denoise, build


@pytest.fixture
def noise() -> torch.Tensor:
    return torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_layers_have_the_sizes_worked_out_by_hand(noise):
    network = build("mnist-cnn", 0.5, seed=0)
    sizes = {layer: tuple(network.features(noise, layer).shape) for layer in network.layers}
    # 16 channels of 14 x 14, 32 of 7 x 7, 512 hidden units
    assert sizes == {"conv1": (5, 3136), "conv2": (5, 1568), "penultimate": (5, 512)}


def test_the_papers_network_has_its_number_of_weights():
    weights = sum(parameter.numel() for parameter in build("mnist-cnn", 1.0, seed=0).parameters())
    # (25 + 1) * 32, then (25 * 32 + 1) * 64, then (49 * 64 + 1) * 1024, then (1024 + 1) * 10
    assert weights == 832 + 51_264 + 3_212_288 + 10_250


def test_a_denoising_block_starts_as_the_identity_and_averages_over_places():
    block = Denoise(4).eval()
    x = torch.rand(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(block(x), x)
    # with attention that is the same everywhere, each place gets the mean over all places
    for part in (block.queries, block.keys):
        nn.init.zeros_(part.weight)
        nn.init.zeros_(part.bias)
    nn.init.dirac_(block.output.weight)
    nn.init.zeros_(block.output.bias)
    nn.init.ones_(block.norm.weight)
    expected = x + x.mean(dim=(2, 3), keepdim=True) / (1 + block.norm.eps) ** 0.5
    assert torch.allclose(block(x), expected, atol=1e-6)


def test_attention_is_the_softmax_of_the_embedded_dot_product():
    block = Denoise(2).eval()
    x = torch.rand(1, 2, 2, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        queries, keys = block.queries(x)[0].flatten(), block.keys(x)[0].flatten()  # one channel, four places
        expected = torch.zeros(2, 4)
        for i in range(4):
            weights = torch.softmax(queries[i] * keys, dim=0)
            for j in range(4):
                expected[:, i] += weights[j] * x[0].flatten(1)[:, j]
        nn.init.dirac_(block.output.weight)
        nn.init.zeros_(block.output.bias)
        nn.init.ones_(block.norm.weight)
        averaged = (block(x) - x)[0].flatten(1) * (1 + block.norm.eps) ** 0.5
    assert torch.allclose(averaged, expected, atol=1e-6)


def test_a_fresh_denoising_network_is_the_plain_one_until_its_blocks_learn(noise):
    plain, denoising = (build(name, 0.25, seed=0).eval() for name in ("mnist-cnn", "mnist-cnn-denoising"))
    assert denoising.layers == ("conv1", "denoise1", "conv2", "denoise2", "penultimate")
    assert torch.allclose(plain(noise), denoising(noise), atol=1e-6)
