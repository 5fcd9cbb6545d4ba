"""Where networks run: a GPU where there is one, else the CPU. One spec runs unchanged on any."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from tradeoff_core.errors import TradeoffError


def best_device() -> torch.device:
    """CUDA, then Apple's MPS, then the CPU; TRADEOFF_DEVICE overrules. Raises TradeoffError if it names none."""
    asked = os.environ.get("TRADEOFF_DEVICE")
    if asked:
        try:
            torch.empty(0, device=asked)
        except (RuntimeError, AssertionError):  # what torch raises for an unknown and for an absent device
            raise TradeoffError(
                f"TRADEOFF_DEVICE '{asked}' is not a device of this machine: leave it out, or say cpu"
            ) from None
        return torch.device(asked)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """Where a network's parameters are."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def has_mixed_precision(device: torch.device, image_shape: tuple[int, int, int]) -> bool:
    """Whether bfloat16 is faster there: on CUDA, and for photographs (C, H, W) on a CPU that has it.

    On two cores with AVX-512 a step of both residual networks takes 0.55 of the time. Digits' networks are too small.
    """
    if device.type == "cpu":
        return image_shape[0] > 1 and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return device.type == "cuda"


def mixed_precision(device: torch.device, image_shape: tuple[int, int, int]) -> AbstractContextManager[None]:
    """Convolutions in bfloat16 where that is faster."""
    if has_mixed_precision(device, image_shape):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def described(device: torch.device, image_shape: tuple[int, int, int]) -> str:
    """The device that a network was trained on, in a card's words."""
    precision = ", bfloat16" if has_mixed_precision(device, image_shape) else ""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device) + precision
    return f"{device.type.upper()}, {torch.get_num_threads()} of {os.cpu_count()} threads{precision}"
