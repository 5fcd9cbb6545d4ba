"""Networks: images in [0, 1] in, logits out; `features` is how anything else reads their inside."""

from collections.abc import Callable
from functools import partial

import torch

from tradeoff_core.errors import TradeoffError
from tradeoff_core.networks.base import ImageShape, Network, Normalise, Standardise, freeze
from tradeoff_core.networks.digits import Denoise, DenoisingMnistCNN, MnistCNN, SmallIbpCNN
from tradeoff_core.networks.folding import fold
from tradeoff_core.networks.imagenet import (
    PREFIX,
    EfficientNetLite0,
    TorchvisionNetwork,
    check_torchvision_name,
    torchvision_names,
)
from tradeoff_core.networks.residual import CifarResNet, ResNet18

__all__ = [
    "NETWORKS",
    "PREFIX",
    "CifarResNet",
    "Denoise",
    "DenoisingMnistCNN",
    "EfficientNetLite0",
    "ImageShape",
    "MnistCNN",
    "Network",
    "Normalise",
    "ResNet18",
    "SmallIbpCNN",
    "Standardise",
    "TorchvisionNetwork",
    "build",
    "check_name",
    "fold",
    "freeze",
    "torchvision_names",
]

NETWORKS: dict[str, Callable[[float, int], Network]] = {
    "mnist-cnn": MnistCNN,
    "mnist-cnn-denoising": DenoisingMnistCNN,
    "mnist-ibp-small": SmallIbpCNN,
    "cifar-resnet": CifarResNet,
    "resnet-18": ResNet18,
    "efficientnet-lite0": EfficientNetLite0,
}


def check_name(name: str) -> None:
    """Raise TradeoffError for what is neither in the registry nor `torchvision-` and a classifier's name there."""
    if name.startswith(PREFIX):
        check_torchvision_name(name.removeprefix(PREFIX))
    elif name not in NETWORKS:
        raise TradeoffError(
            f"unknown network '{name}': choose one of {', '.join(NETWORKS)}, or {PREFIX}NAME with a name of torchvision"
        )


def build(name: str, width: float, seed: int, classes: int = 10) -> Network:
    """A freshly initialised network of the registry or of torchvision, the same for the same seed.

    Raises TradeoffError for an unknown name, and for a width or a number of classes that cannot be.
    """
    check_name(name)
    if classes < 2:
        raise TradeoffError(f"{classes} classes are too few to tell apart: at least 2")
    builder = NETWORKS.get(name) or partial(TorchvisionNetwork, name.removeprefix(PREFIX))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = builder(width, classes)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    return network
