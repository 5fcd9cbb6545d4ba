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


def mixed_precision(device: torch.device, image_shape: tuple[int, int, int]) -> AbstractContextManager[None]:
    """Convolutions in bfloat16 where that is faster: on CUDA, and for photographs (C, H, W) on a CPU that has it.

    On two cores with AVX-512 a step of both residual networks takes 0.55 of the time. Digits' networks are too small.
    """
    has_bfloat16 = (
        device.type == "cpu" and image_shape[0] > 1 and torch.cpu.get_capabilities().get("avx512_bf16")
    )
    return (
        torch.autocast(device.type, torch.bfloat16)
        if device.type == "cuda" or has_bfloat16
        else nullcontext()
    )


def described(device: torch.device) -> str:
    """The device in a card's words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} threads"
    return f"{device.type.upper()}, {threads}"
