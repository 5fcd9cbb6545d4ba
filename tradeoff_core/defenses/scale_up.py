"""SCALE-UP (Guo et al., ICLR 2023, arXiv 2302.03251): a triggered image is read alike however much it is amplified.

Multiply the pixels, clip them to [0, 1], and count how often the network reads what it reads of the image itself. This is the
data-free version: the other one takes off the mean of each class's clean images. The factors are those of BackdoorBox's
implementation. On digits, whose pixels are nearly all black or white, amplifying changes little and so tells little.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import BATCH, Floats, predicted_classes

FACTORS = (3, 5, 7, 9, 11)
CONSISTENT = 0.5  # a share above which an image is refused at test time, as in that implementation


def scale_up_scores(
    network: Network,
    images: NDArray[np.uint8],
    factors: Sequence[int] = FACTORS,
    progress: Callable[[float], None] | None = None,
) -> Floats:
    """The share (N,) of factors under which the network reads images (N, H, W, C) as it reads them unscaled, in [0, 1].

    Raises TradeoffError without factors, for one below 1, and for a
    network whose outputs are not finite.
    """
    if not factors or min(factors) < 1:
        raise TradeoffError(f"factors {tuple(factors)}: choose at least one, and none below 1")
    read, consistent = predicted_classes(network, images), np.zeros(len(images))
    for start in range(0, len(images), BATCH):  # a large set is never held amplified
        some = slice(start, start + BATCH)
        wide = images[some].astype(np.float64)
        for factor in factors:
            amplified = (wide * factor).clip(0, 255).round().astype(np.uint8)
            consistent[some] += predicted_classes(network, amplified) == read[some]
        if progress:
            progress(min(1.0, (start + BATCH) / len(images)))
    scores: Floats = consistent / len(factors)
    return scores
