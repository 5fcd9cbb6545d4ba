"""STRIP (Gao et al., ACSAC 2019, arXiv 1902.06531): a trigger is read whatever the image under it.

Superpose other images on one and look at what the network reads: a clean image's predictions scatter, a triggered one's stay
at the target, so the entropy of its predictions is low. Meant for test time, where what lies below the threshold of clean
images is refused; `strip_scores` scores a training set by it. As in the authors' code images are added, here clipped to
[0, 1]; adversarial-robustness-toolbox takes their mean (`weight` 0.5), and sums its entropy over images where the paper sums
over classes.
"""

from collections.abc import Callable
from math import log
from statistics import NormalDist
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray

from tradeoff_core.common.checked import Number, Positive, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import to_tensor
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import BATCH, Floats, predict


@checked
class Superposing:
    """How many held-out images are superposed on each, drawn with replacement, and by what both are multiplied before.

    The paper superposes 100; 20, the toolbox's number, take a fifth of the time and cost digits a few hundredths of AUROC.
    """

    images: Positive = 20
    weight: Annotated[Number, within("above 0, at most 1", above=0, most=1)] = 1.0


def strip_entropy(
    network: Network,
    images: NDArray[np.uint8],
    held_out: NDArray[np.uint8],
    superposing: Superposing | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """The mean entropy (N,), in bits, of the predictions for each of images (N, H, W, C) under images of `held_out` (M, H, W, C).

    Raises TradeoffError for pictures of different shapes, for none to superpose, and for a network whose outputs are not finite.
    """
    superposing = superposing or Superposing()
    if not len(held_out) or held_out.shape[1:] != images.shape[1:]:
        raise TradeoffError(
            f"held-out images of shape {held_out.shape} cannot be superposed on images of shape {images.shape}"
        )
    drawn = np.random.default_rng(seed).integers(len(held_out), size=(len(images), superposing.images))
    at_once, found = max(1, BATCH // superposing.images), []
    for start in range(0, len(images), at_once):
        one = to_tensor(images[start : start + at_once])[:, None]  # (n, 1, C, H, W)
        others = to_tensor(held_out[drawn[start : start + at_once].ravel()])  # (n * images, C, H, W)
        both = one + others.view(len(one), -1, *others.shape[1:])
        blended = (superposing.weight * both).clamp(0, 1).flatten(0, 1)
        entropy = torch.special.entr(predict(network, blended)).sum(1) / log(2)
        found.append(entropy.view(len(one), -1).mean(1))
        if progress:
            progress(min(1.0, (start + at_once) / len(images)))
    entropies: Floats = torch.cat(found).double().numpy()
    return entropies


def strip_scores(
    network: Network,
    images: NDArray[np.uint8],
    held_out: NDArray[np.uint8],
    superposing: Superposing | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """The entropies (N,) turned so that more is more suspicious. Raises as `strip_entropy` does."""
    return -strip_entropy(network, images, held_out, superposing, seed, progress)


def least_entropy(clean: Floats, refused: float = 0.01) -> float:
    """The entropy below which an image is refused at test time, so that this share of clean ones is, as if they were normal.

    `clean` (n,) are entropies of images known to be clean. Raises TradeoffError for a share that is none.
    """
    if not 0 < refused < 1:
        raise TradeoffError(f"a share of {refused:g} refused clean images: choose above 0 and below 1")
    spread = float(clean.std())
    return NormalDist(float(clean.mean()), spread).inv_cdf(refused) if spread > 0 else float(clean.mean())
