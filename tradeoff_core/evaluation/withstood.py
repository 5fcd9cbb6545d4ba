"""What a stronger attack than the card's leaves of a network, and whether either number can be trusted.

PGD with many steps and 5 restarts, AutoAttack, noise and one step beside them. The warnings are the signs of masked
gradients and of randomness that Athalye et al. (2018) and Carlini et al. (2019) name.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tradeoff_core.attacks.attack import Attack, Norm, fgsm
from tradeoff_core.attacks.ball import random_start
from tradeoff_core.attacks.strong import SQUARE, Flags, autoattack, import_torchattacks
from tradeoff_core.certification.bounds import certifiable, certified
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.evaluation.blindness import Blindness, blindness
from tradeoff_core.evaluation.outcomes import fooled_by
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import predicted_classes
from tradeoff_core.rates import Rate

RESTARTS = 5
LUCK = 0.01  # share of the examples that a weaker attack may fool beyond a stronger one without a warning
CONVERGED = 0.02  # by which accuracy may change with the steps of PGD


@dataclass(frozen=True, slots=True)
class Withstood:
    """What happened to each of N examples; every array is (N,), True where the network was fooled.

    A wrong prediction of the clean image counts as fooled everywhere. `attack` is the card's own and made `pgd`,
    `strong` made `strong_pgd`, and `anywhere` at an ε that reaches every image; `parts` is what AutoAttack had
    fooled after each of its parts, `certified` None where there are no bounds. `seen` tells
    what attacks can see of the network.
    """

    attack: Attack
    strong: Attack
    clean: Flags
    noise: Flags
    fgsm: Flags
    pgd: Flags
    strong_pgd: Flags
    anywhere: Flags
    parts: dict[str, Flags]
    certified: Flags | None
    seen: Blindness

    @property
    def by_gradients(self) -> Flags:
        """Fooled by an attack that follows gradients, or by noise."""
        white_box = [fooled for name, fooled in self.parts.items() if name != SQUARE]
        return _either(self.noise, self.fgsm, self.pgd, self.strong_pgd, *white_box)

    @property
    def by_any(self) -> Flags:
        """Fooled by any attack within ε: what is left is the strongest accuracy."""
        return _either(self.by_gradients, *self.parts.values())

    def document(self) -> dict[str, Any]:
        """The accuracies in [0, 1], and the warnings; JSON-able."""
        measured: dict[str, Any] = {
            "n": len(self.clean),
            "norm": self.attack.norm.value,
            "epsilon": self.attack.epsilon,
            "clean_accuracy": accuracy(self.clean).value,
            "noise_accuracy": accuracy(self.noise).value,
            "fgsm_accuracy": accuracy(self.fgsm).value,
            "pgd": str(self.attack),
            "pgd_accuracy": accuracy(self.pgd).value,
            "pgd_100x5_accuracy": accuracy(self.strong_pgd).value,
            "autoattack_accuracy": accuracy(self.parts[SQUARE]).value,
            "autoattack_parts": {name: accuracy(fooled).value for name, fooled in self.parts.items()},
            "strongest_accuracy": accuracy(self.by_any).value,
            "reaching_everything_accuracy": accuracy(self.anywhere).value,
            "zero_gradient": float(self.seen.zero.mean()),
        }
        if self.certified is not None:
            measured["certified_accuracy"] = float(self.certified.mean())
        return measured | {"warnings": warnings(self)}


def _either(*outcomes: Flags) -> Flags:
    fooled: Flags = np.logical_or.reduce(outcomes)
    return fooled


def accuracy(fooled: Flags) -> Rate:
    """The share of the examples that still stand."""
    return Rate(int((~fooled).sum()), len(fooled))


def reaching_everything(attack: Attack, images: Tensor) -> Attack:
    """The attack at an ε that turns any image (C, H, W) in [0, 1] into any other."""
    return attack.at(1.0 if attack.norm is Norm.LINF else sqrt(images[0].numel()))


def withstood(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    steps: int,
    queries: int,
) -> Withstood:
    """Every attack on images (N, C, H, W) in [0, 1], in the norm and at the ε of `attack`, the card's own.

    `steps` are those of the strong PGD and of AutoAttack's parts, `queries` those of the Square attack.
    Raises TradeoffError without torchattacks, and for an attack on a patch, which AutoAttack does not know.
    """
    library = import_torchattacks()
    if attack.patch is not None:
        raise TradeoffError("AutoAttack changes whole images: leave the patch out")
    norm, epsilon = attack.norm, attack.epsilon
    strong = Attack(norm, epsilon, steps, restarts=RESTARTS)
    clean = predicted_classes(network, images) != labels.numpy()
    noisy = random_start(images, strong, torch.Generator().manual_seed(0))
    bounds = None
    if isinstance(network, Network) and certifiable(network, attack):
        bounds = certified(network, images, labels, epsilon).numpy()
    return Withstood(
        attack,
        strong,
        clean,
        clean | (predicted_classes(network, noisy) != labels.numpy()),
        fooled_by(network, images, labels, fgsm(epsilon, norm)),
        fooled_by(network, images, labels, attack),
        fooled_by(network, images, labels, strong),
        fooled_by(network, images, labels, reaching_everything(strong, images)),
        autoattack(library, network, images, labels, strong, queries),
        bounds,
        blindness(network, images, labels, len(images)),
    )


def warnings(outcome: Withstood) -> list[str]:
    """What speaks against trusting the numbers, a sentence each; none is the good case."""
    return [
        *outcome.seen.warnings(),
        *_masking(outcome),
        *_convergence(outcome),
        *_order(outcome),
    ]


def _masking(outcome: Withstood) -> list[str]:
    n, found = len(outcome.clean), []
    standing = accuracy(outcome.anywhere).count
    if standing:
        found.append(
            f"{standing} of {n} examples stand even where every image is within ε: the gradients are masked"
        )
    black_box = outcome.by_any & ~outcome.by_gradients
    if black_box.sum() > LUCK * n:
        found.append(
            f"the black-box Square attack fools {black_box.sum()} of {n} examples that no attack by gradients "
            "did: the gradients may be masked"
        )
    return found


def _convergence(outcome: Withstood) -> list[str]:
    left = [(accuracy(outcome.pgd), outcome.attack), (accuracy(outcome.strong_pgd), outcome.strong)]
    (less, stronger), (more, weaker) = sorted(left, key=lambda entry: entry[0].count)
    if more.count - less.count <= CONVERGED * more.n:
        return []
    return [f"{weaker} had not converged: it leaves {more.value:.1%} and {stronger} leaves {less.value:.1%}"]


def _order(outcome: Withstood) -> list[str]:
    """PGD must fool at least as many as one step, and one step at least as many as noise."""
    found = []
    pairs = (("noise", outcome.noise, "FGSM", outcome.fgsm), ("FGSM", outcome.fgsm, "PGD", outcome.pgd))
    for weaker, few, stronger, many in pairs:
        if int(few.sum()) - int(many.sum()) > LUCK * len(few):
            found.append(
                f"{weaker} fools {few.sum()} of {len(few)} examples and {stronger} only {many.sum()}: the gradients "
                "may be masked"
            )
    if outcome.certified is not None and (outcome.certified & outcome.by_any).any():
        count = (outcome.certified & outcome.by_any).sum()
        found.append(f"{count} certified examples were fooled: the bounds or an attack are wrong")
    return found
