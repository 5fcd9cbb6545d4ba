"""What every network is: a chain of named stages from [0, 1] images on, and a linear head."""

import torch
from torch import Tensor, nn

from tradeoff_core.common.errors import TradeoffError

ImageShape = tuple[int, int, int]  # (C, H, W)
DIGIT: ImageShape = (1, 28, 28)


class Network(nn.Module):
    """A chain of named stages and a linear head on the last of them.

    `image_shape` (C, H, W) is what it was made for; one that pools globally takes other sizes too.
    """

    def __init__(
        self, stages: dict[str, nn.Module], head: nn.Linear, image_shape: ImageShape = DIGIT
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.head = head
        self.image_shape = image_shape

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return self.head.out_features

    @property
    def layers(self) -> tuple[str, ...]:
        """What `features` can be asked for, from input to output."""
        return tuple(self.stages)

    def features(self, images: Tensor, layer: str = "penultimate") -> Tensor:
        """Activations after `layer`, flattened: (N, C, H, W) in [0, 1] -> (N, D).

        Raises TradeoffError for a layer that this network does not have.
        """
        if layer not in self.stages:
            raise TradeoffError(f"no layer '{layer}': this network has {', '.join(self.layers)}")
        activations = images
        try:
            for name, stage in self.stages.items():
                activations = stage(activations)
                if name == layer:
                    break
        except RuntimeError as error:
            raise self._of(images, error) from None
        return activations.flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, C, H, W) in [0, 1]; float32 in mixed precision too."""
        features = self.features(images, self.layers[-1])
        try:
            logits: Tensor = self.head(features)
        except RuntimeError as error:
            raise self._of(images, error) from None
        return logits.float() if logits.dtype is torch.bfloat16 else logits

    def _of(self, images: Tensor, error: RuntimeError) -> Exception:
        """The error, or what is wrong with the images if that is why it was raised."""
        weight = self.head.weight
        wanted = self.image_shape, weight.dtype, weight.device.type
        given = tuple(images.shape[1:]), images.dtype, images.device.type
        if wanted == given:
            return error
        (ours, kind, place), (theirs, other_kind, other_place) = wanted, given
        named = [f"{' x '.join(map(str, ours))} (C, H, W)", f"{' x '.join(map(str, theirs))}"]
        if kind != other_kind:
            named = [
                f"{one} of {str(of).removeprefix('torch.')}"
                for one, of in zip(named, (kind, other_kind), strict=True)
            ]
        if place != other_place:
            named = [f"{one} on {of}" for one, of in zip(named, (place, other_place), strict=True)]
        return TradeoffError(f"the network takes images of {named[0]}, not {named[1]}")


class Normalise(nn.Module):
    """(x - mean) / std of every channel.

    The constants are no buffers: they would be rounded with the weights when those are stored in float16.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> the same shape."""
        mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    def extra_repr(self) -> str:
        """What the printed network shows of it."""
        return f"mean={self.mean}, std={self.std}"


class Standardise(nn.Module):
    """Every image by itself to mean 0 and variance 1, as tf.image.per_image_standardization does."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (x - mean) / max(std, 1 / sqrt(C H W)), of the same shape."""
        if len(images) == 0:  # as the poisoned ones of a training set without poison
            return images
        variance, mean = torch.var_mean(images, dim=(1, 2, 3), correction=0, keepdim=True)
        # clamped before the root, not after: the gradient of a flat image is then 0 and not NaN
        return (images - mean) * variance.clamp(min=1 / images[0].numel()).rsqrt()


def scaled(width: float, *sizes: int) -> list[int]:
    """Layer sizes at a width. Raises TradeoffError for a width that cannot be."""
    if not 0 < width <= 4:
        raise TradeoffError(f"width {width:g} is out of range: choose above 0 and at most 4")
    return [max(1, round(width * size)) for size in sizes]


class NotFinite(TradeoffError):
    """A network gives NaN or infinite values, of which nothing can be said."""


def finite(outputs: Tensor, what: str = "outputs") -> Tensor:
    """What a network gives, if every value is finite. Raises NotFinite, which says what is not."""
    require_finite(outputs.isfinite().all(), what)
    return outputs


def require_finite(sound: Tensor, what: str = "outputs") -> None:
    """Raise NotFinite unless `sound`, a truth value that may lie on a GPU."""
    if not sound:
        raise NotFinite(
            f"the network's {what} are not finite (NaN or infinite), so nothing can be measured: its weights are "
            "damaged, or do not fit these images"
        )


def freeze(network: Network) -> Network:
    """The network in eval mode with its parameters frozen, safe to share among readers."""
    return network.eval().requires_grad_(False)
