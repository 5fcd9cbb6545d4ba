"""Which values float16 can hold: half the bytes, where nothing is lost."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LOST = 1e-3  # of a tensor's length, at most: float16 rounds by 5e-4, but knows nothing below 6e-8 and above 65,504


def in_half(values: "Tensor") -> "Tensor":
    """The values in float16 where they survive that, else in float32."""
    import torch

    single = values.float()
    half = single.half()
    # by the largest value: squares of small ones would vanish
    largest = single.abs().max() if single.numel() else single.new_zeros(())
    if not largest or not half.isfinite().all():
        return single if largest else half
    off, length = (torch.linalg.vector_norm(part / largest) for part in (half.float() - single, single))
    return half if off <= LOST * length else single
