"""The vision transformer beside torch's own attention and torchvision's encoder, and its patches by hand."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vision_transformer import Encoder

from tradeoff_core.networks import VisionTransformer, build, freeze
from tradeoff_core.networks.transformer import Block, Patches, SelfAttention

NETWORKS = ("mnist-vit", "cifar-vit")


@pytest.fixture(params=NETWORKS)
def network(request) -> VisionTransformer:
    """One whose every parameter is its own, as after training."""
    made, generator = build(request.param, 0.25, seed=0), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in made.parameters():
            value += 0.2 * torch.randn(value.shape, generator=generator)
    return freeze(made)


def into(theirs: nn.MultiheadAttention, ours: SelfAttention) -> None:
    """Give torch's attention our weights."""
    asked = (ours.queries, ours.keys, ours.values)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in asked])
    theirs.in_proj_bias.data = torch.cat([part.bias for part in asked])
    theirs.out_proj.load_state_dict(ours.output.state_dict())


def encoder_of(network: VisionTransformer) -> Encoder:
    """torchvision's encoder with the network's weights."""
    patches = network.stages["patches"][-1]
    places, dimension = patches.positions.shape
    theirs = Encoder(places, 4, 4, dimension, 2 * dimension, 0.0, 0.0, partial(nn.LayerNorm, eps=1e-5))
    theirs.pos_embedding.data = patches.positions.data[None]
    theirs.ln.load_state_dict(network.stages["penultimate"][0].state_dict())
    for number, block in enumerate(theirs.layers, start=1):
        ours = network.stages[f"block{number}"]
        into(block.self_attention, ours.attention)
        for part, of_ours in (
            (block.ln_1, ours.norm1),
            (block.ln_2, ours.norm2),
            (block.mlp[0], ours.hidden),
            (block.mlp[3], ours.output),
        ):
            part.load_state_dict(of_ours.state_dict())
    return theirs.eval()


def test_between_patches_and_head_it_is_torchvisions_encoder(network, images_for):
    images, patches = images_for(network), network.stages["patches"]
    tokens = patches(images) - patches[-1].positions  # theirs adds them itself
    features = encoder_of(network)(tokens).mean(dim=1)
    torch.testing.assert_close(network.features(images), features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(images), network.head(features), rtol=1e-4, atol=1e-4)


def test_attention_is_torchs_with_the_same_weights():
    torch.manual_seed(0)
    ours, theirs = SelfAttention(12), nn.MultiheadAttention(12, 4, batch_first=True)
    into(theirs, ours)
    tokens = torch.randn(2, 5, 12)
    expected, weights = theirs(tokens, tokens, tokens, average_attn_weights=False)
    torch.testing.assert_close(ours(tokens), expected)
    torch.testing.assert_close(ours.weights(tokens), weights)
    asked = [part(tokens).view(2, 5, 4, 3).transpose(1, 2) for part in (ours.queries, ours.keys, ours.values)]
    fused = F.scaled_dot_product_attention(*asked).transpose(1, 2).reshape(2, 5, 12)
    torch.testing.assert_close(ours(tokens), ours.output(fused))


def test_the_attention_that_is_read_is_that_of_every_block_on_what_it_is_given(network, images_for):
    images = images_for(network)
    read = network.attention(images)
    assert read.shape[:3] == (3, 4, 4)
    for number, before in enumerate(("patches", "block1", "block2", "block3")):
        block = network.stages[f"block{number + 1}"]
        tokens = network.features(images, before).view(3, read.shape[-1], -1)
        torch.testing.assert_close(read[:, number], block.attention.weights(block.norm1(tokens)))


def test_patches_are_what_a_convolution_with_their_stride_takes(network, images_for):
    stage, images = network.stages["patches"], images_for(network)
    normalised, patches = stage[:-1](images), stage[-1]
    kernel = patches.embedding.weight.unflatten(1, (network.image_shape[0], 4, 4))
    convolved = F.conv2d(normalised, kernel, patches.embedding.bias, stride=4)  # (N, D, rows, columns)
    torch.testing.assert_close(stage(images), convolved.flatten(2).transpose(1, 2) + patches.positions)


@pytest.mark.parametrize(
    ("row", "column", "token"), [(0, 0, 0), (3, 4, 1), (4, 3, 7), (9, 18, 18), (27, 27, 48)]
)
def test_a_pixel_moves_the_token_of_its_own_patch_alone(row, column, token):
    patches = Patches((1, 28, 28), 8)
    black = torch.zeros(1, 1, 28, 28)
    lit = black.clone()
    lit[..., row, column] = 1
    moved = (patches(lit) - patches(black)).abs().sum(dim=2)[0]
    assert moved.nonzero().flatten().tolist() == [token]
    within = patches.embedding.weight[:, 4 * (row % 4) + column % 4]
    torch.testing.assert_close(patches(lit)[0, token] - patches(black)[0, token], within)


def shuffled(images: Tensor) -> Tensor:
    """The images with their patches in another order."""
    columns = F.unfold(images, 4, stride=4)
    order = torch.randperm(columns.shape[2], generator=torch.Generator().manual_seed(0))
    return F.fold(columns[:, :, order], images.shape[2:], 4, stride=4)


def test_the_order_of_patches_matters_and_by_their_positions_alone(network, images_for):
    images = images_for(network)
    assert (network(shuffled(images)) - network(images)).abs().max() > 0.05
    network.stages["patches"][-1].positions.zero_()
    torch.testing.assert_close(network(shuffled(images)), network(images), rtol=1e-4, atol=1e-4)


def test_the_head_reads_every_token_alike():
    network = freeze(build("mnist-vit", 0.25, seed=0))
    tokens = torch.randn(2, 49, 32, generator=torch.Generator().manual_seed(0))
    norm = network.stages["penultimate"][0]
    expected = sum(norm(tokens[:, place]) for place in range(49)) / 49
    torch.testing.assert_close(network.stages["penultimate"](tokens), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_has_half_a_million_weights_and_its_width_scales_the_heads(name):
    def weights(width: float) -> int:
        return sum(value.numel() for value in build(name, width, seed=0).parameters())

    assert 500_000 < weights(1.0) < 550_000
    assert 3.5 < weights(2.0) / weights(1.0) < 4
    assert build(name, 0.5, seed=0).head.in_features == 64
    assert build(name, 0.01, seed=0).head.in_features == 4  # one for each head


def test_images_of_another_shape_are_refused_though_they_have_as_many_pixels_or_patches(refused):
    network = freeze(build("mnist-vit", 0.1, seed=0))
    for shape in ((1, 56, 14), (1, 14, 56), (1, 4, 4), (1, 29, 29), (3, 28, 28)):
        with refused(
            rf"the network takes images of 1 x 28 x 28 \(C, H, W\), not {' x '.join(map(str, shape))}"
        ):
            network(torch.rand(2, *shape))


def test_it_starts_from_waves_of_positions_and_without_biases():
    network = build("mnist-vit", 1.0, seed=0)
    patches = network.stages["patches"][-1]
    place = patches.positions.view(7, 7, 4, 32)  # of the row its sine and cosine, of the column the same
    assert place[2, 5, :, 0].tolist() == pytest.approx(
        [0.5 * wave for wave in (math.sin(2), math.cos(2), math.sin(5), math.cos(5))], abs=1e-6
    )
    assert place[2, 5, 0, 16].item() == pytest.approx(0.5 * math.sin(2 / 10), abs=1e-6)
    assert patches.positions.requires_grad
    # uniform within the root of 6 / (inputs + outputs): of 16 and 128
    assert patches.embedding.weight.abs().max().item() == pytest.approx((6 / 144) ** 0.5, rel=0.01)
    assert not patches.embedding.bias.any()
    blocks = [part for part in network.modules() if isinstance(part, Block)]
    assert len(blocks) == 4
    assert len({block.hidden.weight.sum().item() for block in blocks}) == 4
