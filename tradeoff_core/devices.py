"""Where networks run: a GPU where there is one, else the CPU. One spec runs unchanged on any."""

import os

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


def described(device: torch.device) -> str:
    """The device in a card's words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} threads"
    return f"{device.type.upper()}, {threads}"
