"""Networks: images in [0, 1] in, logits out; `features` is how anything else reads their inside."""

from typing import TYPE_CHECKING

from tradeoff_core.common.doors import door

if TYPE_CHECKING:
    from tradeoff_core.networks.base import ImageShape, Network, Normalise, Standardise, freeze
    from tradeoff_core.networks.digits import (
        Denoise,
        DenoisingMnistCNN,
        MnistCNN,
        PublishedDenoisingMnistCNN,
        SmallIbpCNN,
    )
    from tradeoff_core.networks.folding import fold
    from tradeoff_core.networks.imagenet import (
        DenoisingEfficientNetLite0,
        EfficientNetLite0,
        TorchvisionNetwork,
        torchvision_names,
    )
    from tradeoff_core.networks.registry import NETWORKS, PREFIX, build, check_name, denoises
    from tradeoff_core.networks.residual import (
        CifarResNet,
        MediumIbpCNN,
        PublishedDenoisingCifarResNet,
        ResNet18,
    )
    from tradeoff_core.networks.transformer import CifarViT, MnistViT, VisionTransformer

__all__ = [
    "NETWORKS",
    "PREFIX",
    "CifarResNet",
    "CifarViT",
    "Denoise",
    "DenoisingEfficientNetLite0",
    "DenoisingMnistCNN",
    "EfficientNetLite0",
    "ImageShape",
    "MediumIbpCNN",
    "MnistCNN",
    "MnistViT",
    "Network",
    "Normalise",
    "PublishedDenoisingCifarResNet",
    "PublishedDenoisingMnistCNN",
    "ResNet18",
    "SmallIbpCNN",
    "Standardise",
    "TorchvisionNetwork",
    "VisionTransformer",
    "build",
    "check_name",
    "denoises",
    "fold",
    "freeze",
    "torchvision_names",
]

__getattr__ = door(
    __name__,
    residual=["CifarResNet", "MediumIbpCNN", "PublishedDenoisingCifarResNet", "ResNet18"],
    digits=["Denoise", "DenoisingMnistCNN", "MnistCNN", "PublishedDenoisingMnistCNN", "SmallIbpCNN"],
    imagenet=["DenoisingEfficientNetLite0", "EfficientNetLite0", "TorchvisionNetwork", "torchvision_names"],
    transformer=["CifarViT", "MnistViT", "VisionTransformer"],
    base=["ImageShape", "Network", "Normalise", "Standardise", "freeze"],
    registry=["NETWORKS", "PREFIX", "build", "check_name", "denoises"],
    folding=["fold"],
)
