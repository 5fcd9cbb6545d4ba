"""What runs in a browser: the digits' networks, their attacks and triggers, in JavaScript that needs nothing else."""

from pathlib import Path
from typing import TypedDict

from torch import nn

from tradeoff_core.networks import Network

POOLING = 2  # the only one that it knows
DIGIT = (1, 28, 28)


class Stage(TypedDict):
    """A convolution or a linear layer, what follows it, and the names of its weights in the file."""

    stride: int
    padding: int
    pool: bool
    relu: bool
    weight: str
    bias: str


def script(name: str, kind: str = "js") -> str:
    """The text of one of this room's scripts, or of its markup (html) or style (css)."""
    return Path(__file__).with_name(f"{name}.{kind}").read_text(encoding="utf-8")


def chain(network: Network) -> list[Stage] | None:
    """The network as a browser runs it, layer by layer, or None where it has parts that are not known there."""
    if network.image_shape != DIGIT:
        return None
    stages: list[Stage] = []
    for name, part in network.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            stride, padding = _sliding(part) if isinstance(part, nn.Conv2d) else (1, 0)
            if stride == 0 or part.bias is None:
                return None
            weight, bias = f"{name}.weight", f"{name}.bias"
            stages.append(
                Stage(stride=stride, padding=padding, pool=False, relu=False, weight=weight, bias=bias)
            )
        elif isinstance(part, nn.MaxPool2d) and part.kernel_size == part.stride == POOLING:
            stages[-1]["pool"] = True
        elif isinstance(part, nn.ReLU):
            stages[-1]["relu"] = True
        elif type(part) not in (type(network), nn.Sequential, nn.ModuleDict, nn.Flatten):
            return None
    return stages


def _sliding(convolution: nn.Conv2d) -> tuple[int, int]:
    """Stride and padding of a square convolution in one group; 0 and 0 of any other."""
    (high, wide), (down, across) = convolution.kernel_size, convolution.stride
    plain = (
        convolution.groups == 1 and set(convolution.dilation) == {1} and convolution.padding_mode == "zeros"
    )
    padding = convolution.padding
    if not plain or high != wide or down != across or isinstance(padding, str) or padding[0] != padding[1]:
        return 0, 0
    return down, padding[0]
