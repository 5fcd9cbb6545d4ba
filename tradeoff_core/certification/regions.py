"""What is known of a digit's surroundings: safe up to one ε (interval bounds), broken from another (an attack).

Between the two nobody knows: bounds prove too little, attacks find too little.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradeoff_core.attacks.attack import Attack, Norm
from tradeoff_core.attacks.gradient import perturb_at
from tradeoff_core.certification.bounds import certified_radius
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import predicted_classes

LARGEST = 0.5  # at which every digit can become plain grey
TRIED = tuple(round(0.01 * step, 2) for step in range(1, 51))  # the ε that are attacked, up to LARGEST
TOGETHER = 10  # of them in one batch


@dataclass(frozen=True, slots=True)
class Regions:
    """For each of N images, ε in l-inf and [0, 1] units: proved safe up to `certified`, misread from `broken` on.

    Both are 0 for an image that is misread as it is; `broken` is infinite where no attack up to LARGEST succeeds.
    """

    certified: NDArray[np.float64]
    broken: NDArray[np.float64]

    @property
    def misread(self) -> NDArray[np.bool_]:
        """Which images (N,) are misread without any attack."""
        misread: NDArray[np.bool_] = self.broken == 0
        return misread


def find_regions(network: Network, images: Tensor, labels: Tensor, attack: Attack, seed: int = 0) -> Regions:
    """The regions of images (N, C, H, W) with labels (N,); `attack` is scaled to every ε of TRIED.

    A perturbation found at a smaller ε counts at a larger. Raises TradeoffError for another norm than l-inf, a
    targeted attack, a patch, or a layer without interval bounds.
    """
    if attack.norm is not Norm.LINF or attack.targeted:
        raise TradeoffError("interval bounds are for l-inf and any wrong class: choose such an attack")
    certified = certified_radius(network, images, labels, LARGEST).numpy().astype(np.float64)
    broken = np.where(predicted_classes(network, images) == labels.numpy(), np.inf, 0.0)
    for first in range(0, len(TRIED), TOGETHER):
        if np.isfinite(broken).all():
            break
        epsilons = TRIED[first : first + TOGETHER]
        generator = torch.Generator().manual_seed(seed)  # the same start for all, as if in one batch
        adversarial = perturb_at(network, images, labels, attack, epsilons, generator)  # (E, N, C, H, W)
        predicted = predicted_classes(network, adversarial.flatten(0, 1)).reshape(len(epsilons), -1)
        for epsilon, fooled in zip(epsilons, predicted != labels.numpy(), strict=True):
            broken = np.where(fooled, np.minimum(broken, epsilon), broken)
    return Regions(certified, broken)
