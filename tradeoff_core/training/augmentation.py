"""Random crops and flips of training images. They come after poisoning: a shifted image carries a shifted trigger."""

from typing import TYPE_CHECKING, Annotated

from tradeoff_core.common.checked import Flag, Whole, checked, within

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@checked
class Augmentation:
    """Each image is moved by up to `padding` pixels, black coming in at the edge, and mirrored half of the time."""

    padding: Annotated[Whole, within("a whole number of pixels from 0", least=0)] = 2
    flip: Flag = True

    def apply(self, images: "Tensor", generator: "torch.Generator") -> "Tensor":
        """A changed copy of images (N, C, H, W), of the same shape."""
        import torch
        from torch.nn import functional as F

        from tradeoff_core.common.devices import place_of

        count, channels, height, width = images.shape
        place, here = place_of(generator), images.device
        moved = torch.randint(2 * self.padding + 1, (2, count, 1), generator=generator, device=place)
        down, right = moved.to(here)
        rows = torch.arange(height, device=here) + down  # (N, H)
        columns = torch.arange(width, device=here) + right  # (N, W)
        if self.flip:
            mirrored = (torch.rand(count, 1, generator=generator, device=place) < 0.5).to(here)
            columns = torch.where(mirrored, columns.flip(1), columns)
        padded = F.pad(images, [self.padding] * 4)
        changed: Tensor = padded[
            torch.arange(count, device=here)[:, None, None, None],
            torch.arange(channels, device=here)[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]
        return changed
