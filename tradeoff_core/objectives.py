"""What training minimises beside the cross-entropy: cross-Lipschitz regularisation and TRADES."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.attacks import Attack, random_start, step


def cross_lipschitz(network: nn.Module, images: Tensor) -> Tensor:
    """Mean l2 norm of the difference of two classes' input gradients, over images (N, C, H, W) and pairs.

    Hein and Andriushchenko (NeurIPS 2017) regularise its square; this is what the code of Weng et al. does. The
    result can be differentiated with respect to the network's parameters.
    """
    images = images.detach().requires_grad_(True)
    logits = network(images)
    gradients = torch.stack(
        [
            torch.autograd.grad(logits[:, label].sum(), images, create_graph=True)[0].flatten(1)
            for label in range(logits.shape[1])
        ],
        dim=1,
    )  # (N, classes, D)
    first, second = torch.triu_indices(logits.shape[1], logits.shape[1], offset=1)
    differences = gradients[:, first] - gradients[:, second]  # (N, pairs, D)
    squares: Tensor = differences.square().sum(dim=2)
    return squares.clamp_min(1e-24).sqrt().mean()  # the root has no gradient at 0


def divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the prediction `logits` from `reference`, both (N, classes); mean over N."""
    return F.kl_div(logits.log_softmax(1), reference.log_softmax(1), reduction="batchmean", log_target=True)


def perturb_for_trades(
    network: nn.Module, images: Tensor, attack: Attack, generator: torch.Generator | None
) -> Tensor:
    """Images (N, C, H, W) within ε whose prediction is as far as possible from the clean one.

    Its start is random whatever the attack says: at the image itself the divergence has no gradient.
    """
    with torch.no_grad():
        reference = network(images)
    adversarial = random_start(images, attack, generator)
    for _ in range(attack.steps):
        with torch.enable_grad():
            adversarial = adversarial.detach().requires_grad_(True)
            objective = divergence(network(adversarial), reference) * len(images)
            (gradient,) = torch.autograd.grad(objective, adversarial)
        adversarial = step(adversarial.detach(), gradient, images, attack)
    return adversarial


def trades(clean: Tensor, attacked: Tensor, labels: Tensor, weight: float) -> Tensor:
    """Cross-entropy of the clean logits plus `weight` times how far the attacked ones are (Zhang et al., ICML 2019)."""
    return F.cross_entropy(clean, labels) + weight * divergence(attacked, clean)
