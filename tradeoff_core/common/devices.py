"""Where networks run: a GPU where there is one, else the CPU. One spec runs unchanged on any."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from tradeoff_core.common.errors import TradeoffError

MOST_ON_A_GPU = 12  # processes, each with a context of half a gigabyte
PRECISION = "TRADEOFF_PRECISION"
SMALL = 64  # pixels a side, up to which a GPU waits for its kernels' starts more than for their arithmetic


def best_device() -> torch.device:
    """CUDA, then Apple's MPS, then the CPU; TRADEOFF_DEVICE overrules. Raises TradeoffError if it names none."""
    asked = os.environ.get("TRADEOFF_DEVICE")
    if asked:
        try:
            torch.ones(1, device=asked).item()  # some hold shapes alone
        except (RuntimeError, AssertionError):  # what torch raises for an unknown and for an absent device
            raise TradeoffError(
                f"TRADEOFF_DEVICE '{asked}' is not a device of this machine: leave it out, or say cpu"
            ) from None
        return torch.device(asked)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def runs_at_once() -> int:
    """How many small trainings fill the device: on a GPU one a core, up to a dozen, since one leaves it idle; else 1."""
    if best_device().type != "cuda":
        return 1
    return max(1, min(MOST_ON_A_GPU, (os.cpu_count() or 2) - 1))


def device_of(network: nn.Module) -> torch.device:
    """Where a network's parameters are."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def has_mixed_precision(device: torch.device, image_shape: tuple[int, int, int]) -> bool:
    """Whether bfloat16 is faster there: for photographs (C, H, W) on a CPU that has it, for large ones on CUDA.

    On two cores with AVX-512 a step of both residual networks takes 0.55 of the time. Digits' networks are too small,
    and on CUDA those of small photographs too: its convolutions take TF32, without a cast of every weight in every pass.
    TRADEOFF_PRECISION overrules; raises TradeoffError if it names neither float32 nor bfloat16.
    """
    asked = os.environ.get(PRECISION)
    if asked:
        if asked not in ("float32", "bfloat16"):
            raise TradeoffError(f"{PRECISION} '{asked}' is unknown: choose float32 or bfloat16")
        return asked == "bfloat16"
    photographs = image_shape[0] > 1
    if device.type == "cpu":
        return photographs and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return device.type == "cuda" and photographs and max(image_shape[1:]) > SMALL


def mixed_precision(device: torch.device, image_shape: tuple[int, int, int]) -> AbstractContextManager[None]:
    """Convolutions in bfloat16 where that is faster."""
    if has_mixed_precision(device, image_shape):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


@contextmanager
def full_precision() -> Iterator[None]:
    """Float32 throughout, where a proof rests on it: a GPU's convolutions else round their inputs to ten bits."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def seeded(device: torch.device, seed: int) -> torch.Generator:
    """A generator for what happens on a device: of CUDA's own, so that no step waits for numbers of the CPU's."""
    place = device if device.type == "cuda" else "cpu"
    return torch.Generator(place).manual_seed(seed)


def place_of(generator: torch.Generator | None) -> torch.device:
    """Where a generator draws; None is torch's own on the CPU."""
    return generator.device if generator else torch.device("cpu")


def described(device: torch.device, image_shape: tuple[int, int, int]) -> str:
    """The device that a network was trained on, in a card's words."""
    precision = ", bfloat16" if has_mixed_precision(device, image_shape) else ""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device) + precision
    return f"{device.type.upper()}, {torch.get_num_threads()} of {os.cpu_count()} threads{precision}"
