"""AutoAttack (Croce and Hein 2020), by the parts that torchattacks has of it; every image found is checked here."""

import copy
from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradeoff_core.attacks.attack import Attack, Norm
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import import_torchvision
from tradeoff_core.networks.base import finite
from tradeoff_core.networks.inference import predicted_classes

Flags = NDArray[np.bool_]

SQUARE = "Square"  # AutoAttack's last part, the one that needs no gradient
TARGETS = 9  # the likeliest wrong classes that the targeted parts try, as in AutoAttack's standard version
RATIO = 4  # logits that the targeted difference of logits ratio is made of
ROUNDING = 1e-6  # by which a float32 perturbation may pass ε


def autoattack(
    library: ModuleType,
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    queries: int,
) -> dict[str, Flags]:
    """Which examples (N,) are fooled after each part of AutoAttack, every part on those still standing.

    `library` is torchattacks; of `attack` the norm, ε and steps are used. An example counts only if our own
    reckoning finds its image within ε, in [0, 1] and misread.
    """
    network_copy = copy.deepcopy(network)  # torchattacks switches the mode of the one it is given
    fooled = predicted_classes(network, images) != labels.numpy()
    after = {}
    with torch.random.fork_rng(devices=[]):  # it seeds the global generator
        for name, part in _parts(library, network_copy, images, attack, queries).items():
            standing = (~fooled).nonzero()[0]
            if len(standing):
                batch, truth = images[standing], labels[standing]
                adversarial = part(batch, truth).detach()
                fooled[standing] = really_fooled(network, adversarial, batch, truth, attack)
            after[name] = fooled.copy()
    return after


def _parts(
    library: ModuleType, network: nn.Module, images: Tensor, attack: Attack, queries: int
) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """AutoAttack's standard version, at the steps of `attack` in place of torchattacks' 10.

    Without APGD-T for fewer than RATIO classes, of which its loss needs the four likeliest. Raises NotFinite.
    """
    with torch.no_grad():
        classes = finite(network(images[:1])).shape[1]
    shared = {"norm": {Norm.LINF: "Linf", Norm.L2: "L2"}[attack.norm], "eps": attack.epsilon, "seed": 0}
    stepped = shared | {"steps": attack.steps}
    targeted = stepped | {"n_classes": min(classes, TARGETS + 1)}
    parts = {
        "APGD-CE": library.APGD(network, loss="ce", **stepped),
        "APGD-T": library.APGDT(network, **targeted),
        "FAB-T": library.FAB(network, multi_targeted=True, **targeted),
        SQUARE: library.Square(network, n_queries=queries, **shared),
    }
    if classes < RATIO:
        del parts["APGD-T"]
    return parts


def really_fooled(
    network: nn.Module, adversarial: Tensor, images: Tensor, labels: Tensor, attack: Attack
) -> Flags:
    """Which adversarial images (N, C, H, W) keep to ε and to [0, 1] and are misread, (N,). Raises NotFinite."""
    order = torch.inf if attack.norm is Norm.LINF else 2
    size = torch.linalg.vector_norm(adversarial - images, order, dim=(1, 2, 3))
    inside = (size <= attack.epsilon + ROUNDING) & ((adversarial >= 0) & (adversarial <= 1)).flatten(1).all(1)
    kept: Flags = inside.numpy()
    kept[kept] = predicted_classes(network, adversarial[inside]) != labels[inside].numpy()
    return kept


def import_torchattacks() -> ModuleType:
    """The optional library. Raises TradeoffError where it is not installed."""
    try:
        import_torchvision()
        import torchattacks
    except ImportError:
        raise TradeoffError(
            "AutoAttack needs torchattacks, which is not installed: pip install torchattacks==3.3.0"
        ) from None
    module: ModuleType = torchattacks
    return module
