"""EfficientNet-Lite0 on real photographs, and torchvision's classifiers beside torchvision itself."""

import importlib.util
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.mobilenetv2 import InvertedResidual as MobileUnit

from tradeoff_core.networks import Network, build, freeze
from tradeoff_core.networks.imagenet import InvertedResidual
from tradeoff_core.tools.efficientnet import FOLDER

SIDE, SHORTER = 224, 256


def photographs() -> tuple[Tensor, Tensor]:
    """The 20 labelled photographs that foolbox carries, resized and cropped as the weights want them."""
    folder = Path(importlib.util.find_spec("foolbox").origin).parent / "data"
    files = sorted(folder.glob("imagenet_*.jpg"))
    images = []
    for file in files:
        picture = Image.open(file).convert("RGB")
        scale = SHORTER / min(picture.size)
        picture = picture.resize([round(scale * side) for side in picture.size], Image.Resampling.BICUBIC)
        left, top = ((side - SIDE) // 2 for side in picture.size)
        images.append(np.asarray(picture.crop((left, top, left + SIDE, top + SIDE))))
    labels = torch.tensor([int(file.stem.rpartition("_")[2]) for file in files])
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255, labels


@pytest.fixture(scope="module")
def pretrained() -> Network:
    network = build("efficientnet-lite0", 1.0, seed=0, classes=1000)
    network.load_state_dict(
        {name: value.float() for name, value in load_file(FOLDER / "model.safetensors").items()}
    )
    return freeze(network)


def test_the_shipped_weights_know_what_is_in_photographs(pretrained):
    images, labels = photographs()
    logits = pretrained(images)
    assert len(labels) == 20
    assert (logits.argmax(1) == labels).sum() >= 17  # 18 where this was written
    assert (logits.topk(5).indices == labels[:, None]).any(1).sum() >= 18  # 19


def test_the_pixels_are_scaled_as_tensorflow_scales_them(pretrained):
    image = torch.tensor([0.0, 127 / 255, 1.0]).view(1, 3, 1, 1)
    assert pretrained.stages["stem"][0](image).flatten().tolist() == pytest.approx(
        [-127 / 128, 0, 1], abs=1e-6
    )


def test_efficientnet_lite0_has_the_published_number_of_weights_and_sizes(images_for):
    network = freeze(build("efficientnet-lite0", 1.0, seed=0, classes=1000))
    assert (
        sum(parameter.numel() for parameter in network.parameters()) == 4_652_008
    )  # published as 4.652 million
    images = images_for(network, 1)
    sizes = {"stem": 32 * 112**2, "stage1-unit1": 16 * 112**2, "stage4-unit3": 80 * 14**2}
    for layer, size in (sizes | {"stage7-unit1": 320 * 7**2, "penultimate": 1280}).items():
        assert network.features(images, layer).shape == (1, size)
    assert len(network.layers) == 1 + 16 + 1


def test_denoising_blocks_leave_the_pretrained_network_as_it_is_until_they_learn(pretrained):
    network = build("efficientnet-lite0-denoising", 1.0, seed=0, classes=1000)
    rest = network.load_state_dict(pretrained.state_dict(), strict=False)
    assert not rest.unexpected_keys
    assert {key.split(".")[1] for key in rest.missing_keys} == {
        *("denoise-stage2-unit2", "denoise-stage3-unit2", "denoise-stage5-unit3", "denoise-stage7-unit1"),
    }
    images = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert torch.equal(freeze(network)(images), pretrained(images))
    channels = {
        name: block.output.out_channels for name, block in network.stages.items() if "denoise" in name
    }
    assert list(channels.values()) == [24, 40, 112, 320]
    sides = [network.features(images, name).shape[1] // size for name, size in channels.items()]
    assert sides == [32**2, 16**2, 8**2, 4**2]


def test_a_unit_is_mobilenets_where_it_has_no_stride(unsettled):
    for inputs, outputs, expansion in ((8, 8, 6), (8, 12, 6), (8, 8, 1)):
        ours = unsettled(InvertedResidual(inputs, outputs, 3, 1, expansion)).eval()
        theirs = MobileUnit(inputs, outputs, 1, expansion, partial(nn.BatchNorm2d, eps=1e-3)).eval()
        theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
        x = torch.randn(2, 8, 9, 9, generator=torch.Generator().manual_seed(0))
        assert torch.allclose(ours(x), theirs(x), atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "counts"),
    [
        # a window at 2 o covers 2 o to 2 o + 2: the last one hangs over the edge by one
        (3, [3, 3, 3, 2]),
        # and 2 o - 1 to 2 o + 3 for five: the first hangs over by one, the last by two
        (5, [4, 5, 5, 3]),
    ],
)
def test_a_stride_pads_as_tensorflow_does(kernel, counts):
    unit = InvertedResidual(1, 1, kernel, 2, 1)
    pad, convolution = unit.residual[0], unit.residual[1]
    nn.init.ones_(convolution.weight)
    seen = convolution(pad(torch.ones(1, 1, 8, 8)))[0, 0]
    assert seen.tolist() == torch.outer(torch.tensor(counts), torch.tensor(counts)).tolist()


def normalised(images: Tensor) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images - mean.view(3, 1, 1)) / std.view(3, 1, 1)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "regnet_y_400mf", "vit_b_32"])
def test_a_classifier_of_torchvision_is_torchvisions(name, images_for, unsettled):
    network = freeze(unsettled(build(f"torchvision-{name}", 1.0, seed=3, classes=7)))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        theirs = unsettled(models.get_model(name, weights=None, num_classes=7)).eval()
    assert network.image_shape == (3, 224, 224)
    if name.startswith("vit"):  # it starts with a head of zeros
        for head in (network.head, theirs.heads.head):
            nn.init.eye_(head.weight)
    images = images_for(network, 1)
    seen = []
    head = [part for part in theirs.modules() if isinstance(part, nn.Linear)][-1]
    head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        expected = theirs(normalised(images))
    assert torch.allclose(network(images), expected, atol=1e-5 * expected.abs().max().item())
    assert torch.allclose(network.features(images), seen[0], atol=1e-5 * seen[0].abs().max().item())


def test_auxiliary_heads_are_left_out():
    network = build("torchvision-googlenet", 1.0, seed=0, classes=5)
    assert network(torch.rand(2, 3, 224, 224)).shape == (
        2,
        5,
    )  # in training mode torchvision would give three


def test_nothing_in_a_classifier_of_torchvision_works_in_place_or_leaves_a_hook():
    network = build("torchvision-resnet18", 1.0, seed=0)
    network.features(torch.rand(2, 3, 64, 64))
    for part in network.modules():
        assert not getattr(part, "inplace", False)
        assert not any((part._forward_hooks, part._forward_pre_hooks, part._backward_hooks))


def test_two_threads_can_read_one_network_at_the_same_time():
    network = freeze(build("torchvision-resnet18", 1.0, seed=0))
    generator = torch.Generator().manual_seed(0)
    batches = [torch.rand(2, 3, 64, 64, generator=generator) for _ in range(2)]
    expected = [(network.features(batch), network(batch)) for batch in batches]
    wrong = []

    def read(number: int) -> None:
        for _ in range(8):
            features, logits = network.features(batches[number]), network(batches[number])
            if not (torch.equal(features, expected[number][0]) and torch.equal(logits, expected[number][1])):
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_unknown_classifiers_are_refused(refused):
    with refused("unknown network 'torchvision-resnet51'.*resnet50"):
        build("torchvision-resnet51", 1.0, seed=0)
    with refused("unknown network 'torchvision-': torchvision has no such classifier, but has resnet50"):
        build("torchvision-", 1.0, seed=0)
    with refused("unknown network 'torchvision-fasterrcnn_resnet50_fpn'"):
        build("torchvision-fasterrcnn_resnet50_fpn", 1.0, seed=0)
    with refused("squeezenet1_0 has no linear layer"):
        build("torchvision-squeezenet1_0", 1.0, seed=0)
    with refused("width 0.5"):
        build("torchvision-resnet18", 0.5, seed=0)
