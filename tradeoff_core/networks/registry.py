"""The networks by their names. A name is known without torch: what builds a network is imported when it does."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from tradeoff_core.common.errors import TradeoffError

if TYPE_CHECKING:
    from tradeoff_core.networks.base import Network

PREFIX = "torchvision-"
DENOISING, TRANSFORMER = "denoising", "a transformer"


@dataclass(frozen=True, slots=True)
class Entry:
    """A network of the registry: the file and the class that build it, and what is special in it, in words."""

    file: str
    built_by: str
    special: str = ""


NETWORKS = {
    "mnist-cnn": Entry("digits", "MnistCNN"),
    "mnist-cnn-denoising": Entry("digits", "DenoisingMnistCNN", DENOISING),
    "mnist-cnn-denoising-published": Entry("digits", "PublishedDenoisingMnistCNN", DENOISING),
    "mnist-ibp-small": Entry("digits", "SmallIbpCNN"),
    "mnist-vit": Entry("transformer", "MnistViT", TRANSFORMER),
    "cifar-resnet": Entry("residual", "CifarResNet"),
    "cifar-resnet-denoising-published": Entry("residual", "PublishedDenoisingCifarResNet", DENOISING),
    "cifar-ibp-medium": Entry("residual", "MediumIbpCNN"),
    "cifar-vit": Entry("transformer", "CifarViT", TRANSFORMER),
    "resnet-18": Entry("residual", "ResNet18"),
    "efficientnet-lite0": Entry("imagenet", "EfficientNetLite0"),
    "efficientnet-lite0-denoising": Entry("imagenet", "DenoisingEfficientNetLite0", DENOISING),
}
OF_THE_AUTHORS = {  # as their TensorFlow code computes them: only what is imported has these names
    "authors-cifar-resnet": Entry("authors", "AuthorsCifarResNet"),
    "authors-resnet-18": Entry("authors", "AuthorsResNet18"),
    "authors-resnet-50": Entry("authors", "AuthorsResNet50"),
}


def check_name(name: str) -> None:
    """Raise TradeoffError for what is neither in the registry nor `torchvision-` and a classifier's name there."""
    if name.startswith(PREFIX):
        from tradeoff_core.networks.imagenet import check_torchvision_name

        check_torchvision_name(name.removeprefix(PREFIX))
    elif name not in NETWORKS | OF_THE_AUTHORS:
        raise TradeoffError(
            f"unknown network '{name}': choose one of {', '.join(NETWORKS)}, or {PREFIX}NAME with a name of torchvision"
        )


def denoises(name: str) -> bool:
    """Whether a network has denoising blocks."""
    return special(name) == DENOISING


def special(name: str) -> str:
    """What makes a network another kind than most, in words; nothing for most."""
    return NETWORKS[name].special if name in NETWORKS else ""


def build(name: str, width: float, seed: int, classes: int = 10) -> "Network":
    """A freshly initialised network of the registry or of torchvision, the same for the same seed.

    Raises TradeoffError for an unknown name, and for a width or a number of classes that cannot be.
    """
    import torch

    check_name(name)
    if classes < 2:
        raise TradeoffError(f"{classes} classes are too few to tell apart: at least 2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _initialised(name, width, classes)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    return network


def _initialised(name: str, width: float, classes: int) -> "Network":
    if name.startswith(PREFIX):
        from tradeoff_core.networks.imagenet import TorchvisionNetwork

        return TorchvisionNetwork(name.removeprefix(PREFIX), width, classes)
    entry = (NETWORKS | OF_THE_AUTHORS)[name]
    network: Network = getattr(import_module(f"tradeoff_core.networks.{entry.file}"), entry.built_by)(
        width, classes
    )
    return network
