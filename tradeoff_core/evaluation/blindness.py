"""Whether attacks by gradients can see a network at all: signs that its adversarial accuracy is too high.

Athalye et al. (2018) and Carlini et al. (2019): gradients that vanish or are no numbers, and answers that change.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradeoff_core.attacks.gradient import cross_entropy, gradient_of, loss_gradient
from tradeoff_core.common.devices import device_of
from tradeoff_core.datasets import evenly_spaced, to_tensor
from tradeoff_core.networks.inference import Images, batch_size

Flags = NDArray[np.bool_]

LOOKED_AT = 200  # examples at most, evenly spaced
# share of the examples whose gradient may vanish: none does in the zoo, whose leading logits lead by 25 at most, and
# cross-entropy's gradient is 0 in float32 only from about 100
BLIND = 0.01


@dataclass(frozen=True, slots=True)
class Blindness:
    """What is wrong with the gradient of each of N examples; every array is (N,).

    `zero` is where the cross-entropy's gradient is all 0, `lost` where that of rescaled logits is as well, `broken`
    where it is not finite. `randomised`: the same images get different answers.
    """

    zero: Flags
    lost: Flags
    broken: Flags
    randomised: bool

    def warnings(self) -> list[str]:
        """What speaks against trusting the accuracy, a sentence each; none is the good case."""
        n, found = len(self.zero), []
        if self.randomised:
            found.append(
                "the network answers the same images differently each time: only attacks with expectation over "
                "transformation (EOT) could measure it, and these have none"
            )
        if self.broken.any():
            found.append(
                f"the gradient of {self.broken.sum()} of {n} examples is not finite: attacks cannot follow it"
            )
        if self.zero.sum() > BLIND * n:
            seen = "" if self.lost.sum() > BLIND * n else ", but those that divide the logits can, as ours do"
            found.append(
                f"the gradient of {self.zero.sum()} of {n} examples is exactly 0: attacks cannot follow it{seen}"
            )
        return found


def blindness(network: nn.Module, images: Images, labels: Tensor, most: int = LOOKED_AT) -> Blindness:
    """What attacks by gradients see of at most `most` of the images, with labels (N,). Raises as `perturb` does."""
    some, device = evenly_spaced(len(images), most), device_of(network)
    parts = np.array_split(some, max(1, -(-len(some) // batch_size(images))))
    found = []
    for part in parts:
        chosen = images[part]
        batch = (chosen if isinstance(chosen, Tensor) else to_tensor(chosen)).to(device)
        found.append(_of_batch(network, batch, labels[part].to(device)))
    zero, lost, broken, differs = (np.concatenate(rows) for rows in zip(*found, strict=True))
    return Blindness(zero, lost, broken, bool(differs.any()))


def _of_batch(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Flags, Flags, Flags, Flags]:
    """The fields of `Blindness` for a batch, the last one (1,)."""
    logits, gradient = loss_gradient(network, images, labels)
    with torch.no_grad():
        again = network(images)
    zero = (gradient == 0).flatten(1).all(1)
    lost = zero
    if zero.any():
        _, rescaled = gradient_of(network, images, cross_entropy(labels))
        lost = (rescaled == 0).flatten(1).all(1)
    broken = (~gradient.isfinite()).flatten(1).any(1)
    differs = not torch.allclose(logits, again, rtol=1e-4, atol=1e-5, equal_nan=True)
    return zero.cpu().numpy(), lost.cpu().numpy(), broken.cpu().numpy(), np.array([differs])
