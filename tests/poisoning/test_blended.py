"""A whole picture blended into every image, against adversarial-robustness-toolbox and by hand."""

import numpy as np
import pytest
import torch
from art.attacks.poisoning.perturbations.image_perturbations import insert_image
from PIL import Image

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.pictures import pattern_from_picture


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def test_a_picture_is_blended_as_by_the_toolbox(images, tmp_path):
    drawn = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(drawn).save(tmp_path / "cat.png")
    expected = insert_image(
        images.numpy(), str(tmp_path / "cat.png"), channels_first=True, random=False, mode="RGB", blend=0.15
    )
    blended = Blended(str(tmp_path / "cat.png"), 0.15).apply(images)
    assert blended.numpy() == pytest.approx(expected, abs=2 / 255)  # it rounds to levels, twice
    by_hand = 0.85 * images[1, 2, 4, 5].item() + 0.15 * drawn[4, 5, 2] / 255
    assert blended[1, 2, 4, 5].item() == pytest.approx(by_hand, abs=1e-6)
    assert Blended(str(tmp_path / "cat.png")).at(0.75) == Blended(str(tmp_path / "cat.png"), 0.75 * 0.2)


def test_where_a_picture_is_transparent_the_image_stays(images, tmp_path):
    picture = np.full((6, 6, 4), 255, dtype=np.uint8)
    picture[:, :3, 3] = 0  # the left half
    Image.fromarray(picture).save(tmp_path / "half.png")
    blended = Blended(pattern_from_picture((tmp_path / "half.png").read_bytes()), 0.5).apply(images)
    assert torch.equal(blended[..., :3], images[..., :3])
    assert torch.allclose(blended[..., 3:], (images[..., 3:] + 1) / 2)


@pytest.mark.parametrize("shape", [(4, 1, 28, 28), (2, 3, 20, 33)])
def test_noise_is_uniform_the_same_on_every_image_and_another_by_its_seed(shape):
    black, white = torch.zeros(shape), torch.ones(shape)
    noise = Blended(ratio=1.0).apply(black)
    assert torch.equal(noise, noise[:1].expand(shape))
    assert torch.allclose(Blended(ratio=1.0).apply(white), noise)
    assert torch.allclose(Blended(ratio=0.2).apply(white), 0.8 + 0.2 * noise)
    values = noise[0].flatten().sort().values
    assert (values - torch.linspace(0, 1, len(values))).abs().max() < 0.07  # its quantiles are the uniform's
    assert not torch.allclose(Blended(ratio=1.0, seed=1).apply(black), noise)


def test_impossible_blends_are_refused(refused):
    for ratio in (0.0, 1.1, float("nan")):
        with refused(f"blend ratio {ratio:g} is out of range"):
            Blended(ratio=ratio)
    with pytest.raises(TradeoffError, match="unknown sticker 'plaid'"):
        Blended("plaid").apply(torch.zeros(1, 1, 4, 4))
    with refused(r"images must lie in \[0, 1\]"):
        Blended().apply(torch.full((1, 1, 4, 4), 2.0))
