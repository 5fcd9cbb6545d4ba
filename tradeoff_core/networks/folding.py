"""Fold batch norm into the convolution before it: the same function in eval mode, in less time.

Where a batch norm follows a convolution directly, its scale and shift go into the convolution's weights. Elsewhere,
as at the beginning of a pre-activation unit, it stays.
"""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tradeoff_core.networks.base import Network, freeze


def fold(network: Network) -> Network:
    """A frozen copy in eval mode that gives the same features and logits; `network` stays as it is.

    Modules keep their names; the batch norms that were folded are identities.
    """
    folded = freeze(copy.deepcopy(network))
    for part in list(folded.modules()):
        for first, second in _in_a_row(part):
            convolution, norm = getattr(part, first), getattr(part, second)
            if (
                isinstance(convolution, nn.Conv2d)
                and isinstance(norm, nn.BatchNorm2d)
                and norm.running_mean
                is not None  # else it takes the batch's own statistics, in eval mode too
            ):
                setattr(part, first, fuse_conv_bn_eval(convolution, norm))
                setattr(part, second, nn.Identity())
    folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return freeze(folded)


def norm_after(network: Network, layer: nn.Module) -> nn.BatchNorm2d | None:
    """The batch norm that takes what a convolution of the network gives, where one directly follows it."""
    for part in network.modules():
        for first, second in _in_a_row(part):
            after = getattr(part, second)
            if getattr(part, first) is layer and isinstance(after, nn.BatchNorm2d):
                return after
    return None


def _in_a_row(module: nn.Module) -> list[tuple[str, str]]:
    """The children of a module of which the second one, and nothing else, takes what the first one gives.

    In a Sequential all neighbours do; a module with a forward of its own lists them in `folds`.
    """
    if type(module).forward is nn.Sequential.forward:
        return list(pairwise(module._modules))
    return list(getattr(module, "folds", ()))
