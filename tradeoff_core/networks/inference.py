"""Reading a network in batches: probabilities, classes and features of many images.

Images come as float32 (N, C, H, W) in [0, 1], or as stored, uint8 (N, H, W, C): a large set is then never held
as floats.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradeoff_core.common.devices import device_of
from tradeoff_core.datasets import checked_images, to_tensor
from tradeoff_core.networks.base import Network, finite
from tradeoff_core.poisoning.triggers import Trigger

BATCH = 250

BATCH_VALUES = BATCH * 3 * 64 * 64  # of images at once: an attack on 20 of 224 x 224 takes 1 to 3 GB

Images = Tensor | NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


def batch_size(images: Images) -> int:
    """How many of these images are measured at once: BATCH, but fewer of those above 64 x 64 in colour."""
    return max(1, min(BATCH, BATCH_VALUES // max(1, prod(images.shape[1:]))))


def in_batches(images: Images) -> Iterator[Tensor]:
    """The images as a network takes them, float32 (n, C, H, W) in [0, 1], at most `batch_size` at once.

    Raises TradeoffError for tensors that are no such images.
    """
    size = batch_size(images)
    for start in range(0, max(len(images), 1), size):
        batch = images[start : start + size]
        yield checked_images(batch) if isinstance(batch, Tensor) else to_tensor(batch)


def predict(network: nn.Module, images: Images) -> Tensor:
    """Probabilities (N, classes) of images. Raises NotFinite."""
    return logits_of(network, images).softmax(1)


def logits_of(network: nn.Module, images: Images) -> Tensor:
    """Logits (N, classes) of images. Raises NotFinite."""
    device = device_of(network)
    with torch.inference_mode():
        return torch.cat([finite(network(batch.to(device))).cpu() for batch in in_batches(images)])


def predicted_classes(
    network: nn.Module, images: Images, trigger: Trigger | None = None
) -> NDArray[np.int64]:
    """The most probable class (N,) of each image, stamped if there is a trigger. Raises NotFinite."""
    device = device_of(network)
    with torch.inference_mode():
        stamped = (batch if trigger is None else trigger.apply(batch) for batch in in_batches(images))
        return torch.cat([finite(network(batch.to(device))).argmax(1).cpu() for batch in stamped]).numpy()


def features_of(
    network: Network, images: Images, layer: str, trigger: Trigger | None = None
) -> NDArray[np.float32]:
    """What a network makes of images at a layer (N, D), stamped if there is a trigger. Raises NotFinite."""
    device = device_of(network)
    with torch.inference_mode():
        stamped = (batch if trigger is None else trigger.apply(batch) for batch in in_batches(images))
        read = [finite(network.features(batch.to(device), layer), "features").cpu() for batch in stamped]
        features: NDArray[np.float32] = torch.cat(read).numpy()
    return features
