"""What a stronger attack than the card's leaves of a model, and whether either number can be trusted.

PGD with 100 steps and 5 restarts, and AutoAttack (Croce and Hein 2020) by the parts that torchattacks has of it,
on 200 test examples. The warnings are the signs of masked gradients and of randomness that Athalye et al. (2018)
and Carlini et al. (2019) name.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from math import sqrt
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tradeoff_core.attacks import Attack, Norm, fgsm, loss_gradient, random_start
from tradeoff_core.certification import certified
from tradeoff_core.datasets import ImageDataset, Split, import_torchvision, load_dataset
from tradeoff_core.errors import TradeoffError
from tradeoff_core.evaluation import Rate, fooled_by, predicted_classes
from tradeoff_core.experiments import certifiable
from tradeoff_core.networks import Network
from tradeoff_core.zoo import Model, load_network

Flags = NDArray[np.bool_]

EXAMPLES = 200
STEPS, RESTARTS = 100, 5
SQUARE = "Square"  # AutoAttack's last part, the one that needs no gradient
QUERIES = 5000  # as AutoAttack's standard version has it
TARGETS = 9  # the likeliest wrong classes that the targeted parts try, as in AutoAttack's standard version
ROUNDING = 1e-6  # by which a float32 perturbation may pass ε
LUCK = 0.01  # share of the examples that a weaker attack may fool beyond a stronger one without a warning
# share of the examples whose gradient may vanish: none does in the zoo, whose logits lie at most 23 apart, and
# cross-entropy's gradient is 0 in float32 only from about 100
BLIND = 0.01
CONVERGED = 0.02  # by which accuracy may change with the steps of PGD


@dataclass(frozen=True, slots=True)
class Withstood:
    """What happened to each of N examples; every array is (N,), True where the network was fooled.

    A wrong prediction of the clean image counts as fooled everywhere. `attack` is the card's own and made `pgd`,
    `strong` made `strong_pgd`, and `anywhere` at an ε that reaches every image; `parts` is what AutoAttack had
    fooled after each of its parts, `certified` None where there are no bounds. `zero_gradient` and
    `broken_gradient` tell where the loss's gradient is all 0 or not finite.
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
    zero_gradient: Flags
    broken_gradient: Flags
    randomised: bool

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
            "zero_gradient": float(self.zero_gradient.mean()),
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


def subset(dataset: str) -> ImageDataset:
    """200 test examples, evenly spread over the classes. Raises TradeoffError if the data set is not on disk."""
    test = load_dataset(dataset, Split.TEST)
    return test.take(np.argsort(test.labels, kind="stable")).spread(EXAMPLES)


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
    library = _torchattacks()
    if attack.patch is not None:
        raise TradeoffError("AutoAttack changes whole images: leave the patch out")
    norm, epsilon = attack.norm, attack.epsilon
    strong = Attack(norm, epsilon, steps, restarts=RESTARTS)
    logits, gradient = loss_gradient(network, images, labels)
    with torch.no_grad():
        again = network(images)
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
        (gradient == 0).flatten(1).all(1).numpy(),
        (~gradient.isfinite()).flatten(1).any(1).numpy(),
        not torch.allclose(logits, again, rtol=1e-4, atol=1e-5, equal_nan=True),
    )


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
    """AutoAttack's standard version, at the steps of `attack` in place of torchattacks' 10."""
    with torch.no_grad():
        classes = network(images[:1]).shape[1]
    shared = {"norm": {Norm.LINF: "Linf", Norm.L2: "L2"}[attack.norm], "eps": attack.epsilon, "seed": 0}
    stepped = shared | {"steps": attack.steps}
    targeted = stepped | {"n_classes": min(classes, TARGETS + 1)}
    return {
        "APGD-CE": library.APGD(network, loss="ce", **stepped),
        "APGD-T": library.APGDT(network, **targeted),
        "FAB-T": library.FAB(network, multi_targeted=True, **targeted),
        SQUARE: library.Square(network, n_queries=queries, **shared),
    }


def really_fooled(
    network: nn.Module, adversarial: Tensor, images: Tensor, labels: Tensor, attack: Attack
) -> Flags:
    """Which adversarial images (N, C, H, W) keep to ε and to [0, 1] and are misread, (N,)."""
    order = torch.inf if attack.norm is Norm.LINF else 2
    size = torch.linalg.vector_norm(adversarial - images, order, dim=(1, 2, 3))
    inside = (size <= attack.epsilon + ROUNDING) & ((adversarial >= 0) & (adversarial <= 1)).flatten(1).all(1)
    misread = predicted_classes(network, adversarial) != labels.numpy()
    kept: Flags = inside.numpy() & misread
    return kept


def _torchattacks() -> ModuleType:
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


def warnings(outcome: Withstood) -> list[str]:
    """What speaks against trusting the numbers, a sentence each; none is the good case."""
    return [
        *_randomness(outcome),
        *_blindness(outcome),
        *_masking(outcome),
        *_convergence(outcome),
        *_order(outcome),
    ]


def _randomness(outcome: Withstood) -> list[str]:
    if not outcome.randomised:
        return []
    return [
        "the network answers the same images differently each time: only attacks with expectation over "
        "transformation (EOT) could measure it, and these have none"
    ]


def _blindness(outcome: Withstood) -> list[str]:
    n, found = len(outcome.clean), []
    if outcome.broken_gradient.any():
        count = outcome.broken_gradient.sum()
        found.append(f"the gradient of {count} of {n} examples is not finite: attacks cannot follow it")
    if outcome.zero_gradient.sum() > BLIND * n:
        count = outcome.zero_gradient.sum()
        found.append(f"the gradient of {count} of {n} examples is exactly 0: attacks cannot follow it")
    return found


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


def measure(model: Model) -> dict[str, Any]:
    """What a model's card holds as "stronger": the document, what it was measured on and for which weights.

    Raises TradeoffError as `withstood` and `subset` do.
    """
    started = time.perf_counter()
    examples = subset(model.spec.dataset)
    outcome = withstood(load_network(model), *examples.tensors(), model.spec.evaluation, STEPS, QUERIES)
    return {
        "subset": f"{len(examples)} test examples, evenly spread over the classes",
        **outcome.document(),
        "autoattack_steps": STEPS,
        "square_queries": QUERIES,
        "sha256": model.sha256,
        "versions": {"torchattacks": version("torchattacks"), "torch": torch.__version__},
        "seconds": round(time.perf_counter() - started, 1),
    }
