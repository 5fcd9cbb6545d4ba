"""Saliency: how much every pixel speaks for a class, by the methods of captum, and how much of it a sticker gets.

Of a transformer also attention rollout, which asks for no class (Abnar and Zuidema, ACL 2020, arXiv 2005.00928).

A method that would be silently wrong for a network is refused: DeepLift and guided backpropagation replace the gradient
of the activations that they know, and take that of all others as it is. Methods that hook into a network do so in a
copy of it, so that a shared one stays as it is.
"""

import copy
import warnings
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import checked_images, checked_labels
from tradeoff_core.networks import Denoise, Network, Normalise, Standardise, VisionTransformer
from tradeoff_core.networks.base import finite
from tradeoff_core.networks.imagenet import InvertedResidual
from tradeoff_core.networks.residual import BasicUnit, PreActivationUnit, ZeroPadShortcut
from tradeoff_core.networks.transformer import PATCH

warnings.filterwarnings(
    "ignore", "Setting (forward|backward)", module="captum"
)  # into copies, where they may stay

STEPS, MOST_STEPS = 50, 800  # of integrated gradients; doubled until the parts sum to the whole
WHOLE = 0.01  # of the difference of logits may be missing from that sum
LARGE = 64  # images with a longer side get no more than the first 50 steps: it would take minutes
SAMPLES, NOISE = 20, 0.15  # noisy copies of SmoothGrad, and the standard deviation of their noise
PATCHES = 7  # patches of occlusion along a side; they overlap by half
AT_ONCE = 64  # images that occlusion evaluates together


class Method(StrEnum):
    """How attributions are computed."""

    INPUT_GRADIENT = "input-gradient"
    INPUT_X_GRADIENT = "input-x-gradient"
    INTEGRATED_GRADIENTS = "integrated-gradients"
    SMOOTHGRAD = "smoothgrad"
    DEEPLIFT = "deeplift"
    GRAD_CAM = "grad-cam"
    GUIDED_GRAD_CAM = "guided-grad-cam"
    OCCLUSION = "occlusion"
    ATTENTION_ROLLOUT = "attention-rollout"


# what does not bend a straight line, alone or as a sum of paths; DeepLift is right for these and for what it rewrites
_STRAIGHT = (
    nn.Conv2d,
    nn.Linear,
    nn.BatchNorm2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.Flatten,
    nn.Identity,
    nn.ZeroPad2d,
    nn.Sequential,
    nn.ModuleDict,
    Normalise,
    ZeroPadShortcut,
    PreActivationUnit,
    BasicUnit,
    InvertedResidual,
)
_KNOWN = {
    Method.DEEPLIFT: (*_STRAIGHT, nn.ReLU, nn.LeakyReLU, nn.MaxPool2d),
    # guided backpropagation is about rectifiers: the plain gradient of what is none of them is meant
    Method.GUIDED_GRAD_CAM: (*_STRAIGHT, nn.ReLU, nn.MaxPool2d, Standardise, Denoise),
}


class _PairwiseMax(nn.Module):
    """Max-pooling of 2 x 2 by max(a, b) = a + relu(b - a).

    captum's own rule for max-pooling loses up to a fifth of the logit where image and baseline are equal, as on the
    black ground of digits. Its rule for ReLU, which is exact there, takes its place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_columns, self.of_rows = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H // 2, W // 2)."""
        height, width = (side // 2 * 2 for side in x.shape[2:])
        left, right = x[..., :height, 0:width:2], x[..., :height, 1:width:2]
        columns = left + self.of_columns(right - left)
        upper, lower = columns[..., 0::2, :], columns[..., 1::2, :]
        larger: Tensor = upper + self.of_rows(lower - upper)
        return larger


def _pools_otherwise(part: nn.Module) -> bool:
    return isinstance(part, nn.MaxPool2d) and (part.kernel_size, part.stride, part.padding) != (2, 2, 0)


def why_unsupported(network: Network, method: Method) -> str | None:
    """What keeps a method from being right for a network, as a sentence; None if nothing does."""
    known = _KNOWN.get(method)
    if known:
        for part in network.modules():
            chain = part is network and type(part).forward is Network.forward
            if not (chain or type(part) in known) or (method is Method.DEEPLIFT and _pools_otherwise(part)):
                return (
                    f"{method} is not drawn for this network: it does not know its {type(part).__name__} and would "
                    "be silently wrong"
                )
    if method in (Method.GRAD_CAM, Method.GUIDED_GRAD_CAM) and _last_map(network) is None:
        return (
            f"{method} is not drawn for this network: it has no convolution with a map of features at its end"
        )
    if method is Method.ATTENTION_ROLLOUT and not isinstance(network, VisionTransformer):
        return f"{method} is not drawn for this network: it is none of the vision transformers that are built here"
    return None


def attribute(
    network: Network, images: Tensor, classes: Tensor, method: Method = Method.INPUT_GRADIENT, seed: int = 0
) -> Tensor:
    """How much each value of images (N, C, H, W) in [0, 1] speaks for the logit of its class (N,), signed.

    Returns (N, C, H, W), from Grad-CAM, occlusion and attention rollout (N, 1, H, W). Differences are taken to a black
    image. Attention rollout is the same for every class. `seed` is that of SmoothGrad's noise. `network` is left as it is.
    Raises TradeoffError for an image that the network cannot take, a class that it does not have, and a method that it does
    not support (see `why_unsupported`); NotFinite for outputs or maps that are.
    """
    if reason := why_unsupported(network, method):
        raise TradeoffError(reason)
    images = checked_images(images)
    classes = checked_labels(classes, len(images), network.classes)
    if not len(images):
        raise TradeoffError("there is no image to look at")
    try:
        with torch.no_grad():
            finite(network(images))
        # a leaf of its own: captum switches its gradient on and off
        maps = _METHODS[method](network, images.clone().requires_grad_(True), classes, seed)
    except RuntimeError as error:
        raise TradeoffError(
            f"the network cannot take images of {' x '.join(map(str, images.shape[1:]))}: {str(error).splitlines()[0]}"
        ) from None
    return finite(maps.detach(), "gradients")


def share_within(maps: Tensor, footprint: NDArray[np.bool_]) -> Tensor:
    """The share (N,) of the absolute attribution of maps (N, C, H, W) that falls on the pixels `footprint` (H, W).

    NaN for a map that is 0 throughout.
    """
    sizes = maps.abs().sum(1)  # (N, C, H, W) -> (N, H, W)
    inside = sizes * torch.from_numpy(footprint).to(sizes)
    return inside.sum((1, 2)) / sizes.sum((1, 2))


def _last_map(network: Network) -> str | None:
    """The name of the module that gives the last features that still lie in a plane, larger than 1 x 1."""
    if any(isinstance(part, nn.LayerNorm) for part in network.modules()):
        return None  # a transformer, or a network like one: its places are not in a plane
    found: list[str] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_part: nn.Module, _given: tuple[Tensor, ...], gives: Tensor) -> None:
            if gives.ndim == 4 and gives.shape[2] * gives.shape[3] > 1:
                found.append(name)

        return hook

    copied, convolves = copy.deepcopy(network), False
    for name, part in copied.named_modules():
        convolves |= isinstance(part, nn.Conv2d)
        part.register_forward_hook(note(name))
    with torch.inference_mode():
        copied(torch.zeros(1, *network.image_shape))
    return found[-1] if found and convolves else None


def _captum() -> Any:
    """captum's attribution methods; loading them takes half a second, which most pages can save."""
    from captum import attr

    return attr


def _input_gradient(network: Network, images: Tensor, classes: Tensor, _seed: int) -> Tensor:
    maps: Tensor = _captum().Saliency(network).attribute(images, classes, abs=False)
    return maps


def _input_x_gradient(network: Network, images: Tensor, classes: Tensor, _seed: int) -> Tensor:
    maps: Tensor = _captum().InputXGradient(network).attribute(images, classes)
    return maps


def _integrated_gradients(network: Network, images: Tensor, classes: Tensor, _seed: int) -> Tensor:
    """With 50 steps, and for images whose sum is off by over 1% again with more: robust networks bend sharply."""
    method, steps = _captum().IntegratedGradients(network), STEPS
    maps: Tensor = method.attribute(images, 0.0, classes, n_steps=steps)
    with torch.no_grad():
        whole = _logits(network, images, classes) - _logits(network, torch.zeros_like(images), classes)
    while steps < MOST_STEPS and max(images.shape[2:]) <= LARGE:
        off = ((maps.sum((1, 2, 3)) - whole).abs() > WHOLE * whole.abs()).nonzero()[:, 0]
        if not len(off):
            break
        steps *= 2
        maps[off] = method.attribute(
            images[off], 0.0, classes[off], n_steps=steps, internal_batch_size=STEPS * AT_ONCE
        )
    return maps


def _logits(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    """The logits (N,) of the classes (N,)."""
    logits: Tensor = network(images)
    return logits.gather(1, classes[:, None])[:, 0]


def _smoothgrad(network: Network, images: Tensor, classes: Tensor, seed: int) -> Tensor:
    """captum's NoiseTunnel draws from torch's global generator, which two sessions share: the noise is drawn here."""
    noise = torch.randn((SAMPLES, *images.shape), generator=torch.Generator().manual_seed(seed))
    noisy = images.detach() + NOISE * noise.to(images)  # (S, N, C, H, W)
    gradients = _input_gradient(
        network, noisy.flatten(0, 1).requires_grad_(True), classes.repeat(SAMPLES), seed
    )
    return gradients.view(noisy.shape).mean(0)


def _deeplift(network: Network, images: Tensor, classes: Tensor, _seed: int) -> Tensor:
    copied = copy.deepcopy(network)
    for name, part in list(copied.named_modules()):
        if isinstance(part, nn.MaxPool2d):
            copied.set_submodule(name, _PairwiseMax())
    maps: Tensor = _captum().DeepLift(copied).attribute(images, 0.0, classes)
    return maps


def _grad_cam(network: Network, images: Tensor, classes: Tensor, _seed: int) -> Tensor:
    copied = copy.deepcopy(network)
    layer = copied.get_submodule(_last_map(network) or "")
    coarse = _captum().LayerGradCam(copied, layer).attribute(images, classes, relu_attributions=True)
    maps: Tensor = _captum().LayerAttribution.interpolate(coarse, images.shape[2:], "bilinear")
    return maps


def _guided_grad_cam(network: Network, images: Tensor, classes: Tensor, seed: int) -> Tensor:
    guided: Tensor = _captum().GuidedBackprop(copy.deepcopy(network)).attribute(images, classes)
    return guided * _grad_cam(network, images, classes, seed)


def _occlusion(network: Network, images: Tensor, classes: Tensor, _seed: int) -> Tensor:
    channels, height, width = images.shape[1:]
    window = (channels, max(1, round(height / PATCHES)), max(1, round(width / PATCHES)))
    strides = (channels, *(max(1, side // 2) for side in window[1:]))
    with torch.no_grad():
        maps: Tensor = (
            _captum()
            .Occlusion(network)
            .attribute(
                images, window, strides, 0.0, classes, perturbations_per_eval=max(1, AT_ONCE // len(images))
            )
        )
    return maps[:, :1]  # the same for all channels: a patch covers them all


def rollout(attention: Tensor) -> Tensor:
    """How much of each token reaches the mean of all after the last block: (N, blocks, heads, T, T) -> (N, T), summing to 1.

    Attention rollout: the heads' mean and the identity, half each, for what a block adds to its input, multiplied from
    block to block. Abnar and Zuidema read the row of a class token; here every token is read alike, as by the head of
    our transformer. As theirs it knows neither the values that attention averages nor the layers between, nor a sign.
    """
    heads = attention.mean(dim=2)  # (N, blocks, T, T)
    mixed = (heads + torch.eye(heads.shape[3]).to(heads)) / 2
    reached = mixed[:, 0]
    for block in mixed.unbind(dim=1)[1:]:
        reached = block @ reached
    return reached.mean(dim=1)


def _attention_rollout(network: Network, images: Tensor, _classes: Tensor, _seed: int) -> Tensor:
    """A patch's share at each of its pixels."""
    assert isinstance(network, VisionTransformer)
    height, width = images.shape[2:]
    with torch.no_grad():
        shares = rollout(network.attention(images)).view(len(images), 1, height // PATCH, width // PATCH)
    return shares.repeat_interleave(PATCH, dim=2).repeat_interleave(PATCH, dim=3)


_METHODS: dict[Method, Callable[[Network, Tensor, Tensor, int], Tensor]] = {
    Method.INPUT_GRADIENT: _input_gradient,
    Method.INPUT_X_GRADIENT: _input_x_gradient,
    Method.INTEGRATED_GRADIENTS: _integrated_gradients,
    Method.SMOOTHGRAD: _smoothgrad,
    Method.DEEPLIFT: _deeplift,
    Method.GRAD_CAM: _grad_cam,
    Method.GUIDED_GRAD_CAM: _guided_grad_cam,
    Method.OCCLUSION: _occlusion,
    Method.ATTENTION_ROLLOUT: _attention_rollout,
}
