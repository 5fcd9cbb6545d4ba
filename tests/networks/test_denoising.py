"""Denoising blocks as in the code of Weng et al., beside a plain softmax; and who has blocks."""

import pytest
import torch
from torch import nn

from tradeoff_core.networks import NETWORKS, Denoise, build, denoises


@pytest.fixture
def block() -> Denoise:
    torch.manual_seed(0)
    return Denoise(8, as_published=True)


def test_it_divides_by_the_root_of_the_embedded_channels(block):
    x = 3 * torch.rand(2, 8, 3, 5)
    for embedding in (block.queries, block.keys):
        nn.init.normal_(embedding.weight)
    with torch.no_grad():
        queries, keys = block.queries(x).flatten(2), block.keys(x).flatten(2)
        averaged = torch.zeros(2, 8, 15)
        for image in range(2):
            for place in range(15):
                products = (queries[image, :, place, None] * keys[image]).sum(0) / 4**0.5
                averaged[image, :, place] = (products.softmax(0) * x[image].flatten(1)).sum(1)
        expected = x + block.norm(block.output(averaged.view_as(x)))
        block.norm.reset_running_stats()
        assert torch.allclose(block(x), expected, atol=1e-5)


def test_embeddings_start_small_and_the_batch_norm_shifts_but_does_not_scale():
    torch.manual_seed(0)
    block = Denoise(64, as_published=True)
    for embedding in (block.queries, block.keys):
        assert embedding.weight.std().item() == pytest.approx(0.01, rel=0.1)
        assert not embedding.bias.any()
    assert {name for name, _ in block.norm.named_parameters()} == {"bias"}
    assert set(block.norm.state_dict()) == {"bias", "running_mean", "running_var", "num_batches_tracked"}
    out = block.norm(5 + 3 * torch.randn(500, 64, 2, 2))
    assert out.mean().item() == pytest.approx(0, abs=1e-5)
    assert out.std().item() == pytest.approx(1, abs=1e-3)  # whatever is learned


def test_the_block_of_before_is_unlike_it():
    torch.manual_seed(0)
    block = Denoise(64)
    assert block.queries.weight.std().item() > 0.05
    assert {name for name, _ in block.norm.named_parameters()} == {"weight", "bias"}


def test_cifar_10s_network_has_a_block_after_each_stage_with_its_channels():
    network = build("cifar-resnet-denoising-published", 1.0, seed=0)
    assert [name for name in network.layers if "denoise" in name] == [
        "stage1-denoise",
        "stage2-denoise",
        "stage3-denoise",
    ]
    names = list(network.layers)
    assert names[names.index("stage2-denoise") - 1] == "stage2-unit5"
    assert [network.stages[f"stage{n}-denoise"].output.out_channels for n in (1, 2, 3)] == [16, 32, 64]


def test_the_plain_part_of_a_network_with_blocks_starts_as_the_plain_one():
    plain, denoising = (build(name, 0.5, 3) for name in ("cifar-resnet", "cifar-resnet-denoising-published"))
    assert all(torch.equal(value, denoising.state_dict()[name]) for name, value in plain.state_dict().items())


def test_the_registry_says_who_denoises():
    with_blocks = {
        name for name in NETWORKS if any(isinstance(part, Denoise) for part in build(name, 0.1, 0).modules())
    }
    assert with_blocks == {name for name in NETWORKS if denoises(name)}
    assert not denoises("torchvision-resnet18")
