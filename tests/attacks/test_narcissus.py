"""The optimised trigger, against the best one of a linear network, and on digits."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tradeoff_core.attacks.narcissus import narcissus
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import Split, load_dataset, to_tensor
from tradeoff_core.models import zoo
from tradeoff_core.networks.inference import predict, predicted_classes
from tradeoff_core.poisoning.perturbation import Perturbation
from tradeoff_core.poisoning.pictures import draw
from tradeoff_core.tools import narcissus as tool


@pytest.fixture(scope="module")
def standard() -> nn.Module:
    return zoo.load_network(zoo.find_model("mnist-5k-no-poison-standard"))


def linear(weights: list[list[float]]) -> nn.Module:
    layer = nn.Linear(len(weights[0]), len(weights), bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


def test_of_a_linear_network_it_is_epsilon_by_the_sign_of_the_weights():
    network = linear([[0.0, 0.0, 0.0, 0.0], [1.0, -2.0, 0.5, -1.0]])
    images = torch.tensor([0.5, 0.5, 1.0, 0.0]).view(1, 1, 2, 2).repeat(3, 1, 1, 1)
    found = narcissus(network, images, 0, 0.1, rounds=40).flatten()
    assert found.tolist() == pytest.approx([-0.1, 0.1, -0.1, 0.1])
    found = narcissus(network, images, 1, 0.1, rounds=40).flatten()
    assert found[:2].tolist() == pytest.approx([0.1, -0.1])
    # at the third pixel every image is white already and at the fourth black: only the first steps' momentum goes on
    assert found[2:].abs().max() < 0.09


def test_it_lowers_the_loss_of_its_class_and_draws_other_digits_there(standard):
    data = load_dataset("mnist-5k", Split.TRAIN)
    sevens = to_tensor(data.images[data.labels == 7][:50])
    before = [parameter.clone() for parameter in standard.parameters()]
    pattern = narcissus(standard, sevens, 7, 0.2, rounds=40)
    assert pattern.shape == (1, 28, 28)
    assert pattern.abs().max() == pytest.approx(0.2)
    assert all(torch.equal(a, b) for a, b in zip(before, standard.parameters(), strict=True))
    sure, surer = (
        predict(standard, images)[:, 7].log().mean() for images in (sevens, (sevens + pattern).clamp(0, 1))
    )
    assert surer > sure / 2  # both below 0
    others = to_tensor(data.images[data.labels != 7][::20])
    read = predicted_classes(standard, (others + pattern).clamp(0, 1)) == 7
    shuffled = pattern.flatten()[torch.randperm(784, generator=torch.Generator().manual_seed(0))]
    random = predicted_classes(standard, (others + shuffled.view(1, 28, 28)).clamp(0, 1)) == 7
    assert read.mean() > random.mean() + 0.08
    again = narcissus(standard, sevens, 7, 0.2, rounds=40)
    assert torch.equal(again, pattern)


@pytest.mark.parametrize("first", [True, False])
def test_more_images_than_a_batch_count_alike(first):
    network = linear([[0.0], [1.0]])
    parts = [torch.full((250, 1, 1, 1), 0.5), torch.full((250, 1, 1, 1), 1.0)]  # white ones cannot move
    images = torch.cat(parts if first else parts[::-1])
    assert narcissus(network, images, 1, 0.1, rounds=40).item() == pytest.approx(0.1)


def test_what_cannot_be_optimised_is_refused(standard, refused):
    digits = torch.rand(2, 1, 28, 28)
    with refused("not on 0 images"):
        narcissus(standard, digits[:0], 7)
    with refused("with epsilon 1.5"):
        narcissus(standard, digits, 7, 1.5)
    with refused("in 0 rounds"):
        narcissus(standard, digits, 7, rounds=0)
    with pytest.raises(TradeoffError, match="labels run from 10 to 10"):
        narcissus(standard, digits, 10)


def test_the_tool_writes_a_picture_that_a_trigger_refers_to(tmp_path, capsys):
    model = "mnist-5k-no-poison-standard"
    arguments = [model, "--epsilon", "0.2", "--rounds", "2", "--out", str(tmp_path / "seven.png")]
    assert tool.main(arguments) == 0
    printed = capsys.readouterr().out.strip()
    by_uri, by_path = (Perturbation(pattern, 0.2) for pattern in (printed, str(tmp_path / "seven.png")))
    images = torch.full((1, 1, 28, 28), 0.5)
    assert torch.equal(by_uri.apply(images), by_path.apply(images))
    assert draw(printed, 28).shape == (28, 28, 4)
    # two steps of Adam move by its rate each
    assert (by_uri.apply(images) - 0.5).abs().max().item() == pytest.approx(0.02, abs=0.002)
    assert replace(by_uri, amplitude=0.1) == by_uri.at(0.5)
    assert tool.main(["nothing", "--out", str(tmp_path / "other.png")]) == 2
    assert "unknown model 'nothing'" in capsys.readouterr().err
