"""What training minimises beside the cross-entropy: cross-Lipschitz regularisation and TRADES."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.ball import random_start
from tradeoff_core.attacks.gradient import iterates, last_of


def cross_lipschitz(network: nn.Module, images: Tensor) -> Tensor:
    """Mean l2 norm of the difference of two classes' input gradients, over images (N, C, H, W) and pairs.

    Hein and Andriushchenko (NeurIPS 2017), and the code of Weng et al., regularise the square: see
    `squared_cross_lipschitz`. The result can be differentiated with respect to the network's parameters.
    """
    gradients = _input_gradients(network, images)
    classes = gradients.shape[0]
    first, second = torch.triu_indices(classes, classes, offset=1, device=gradients.device)
    differences = gradients[first] - gradients[second]  # (pairs, N, D)
    squares: Tensor = differences.square().sum(dim=2)
    return squares.clamp_min(1e-24).sqrt().mean()  # the root has no gradient at 0


def squared_cross_lipschitz(network: nn.Module, images: Tensor) -> Tensor:
    """The squared l2 norms of the same differences, summed over all K² ordered pairs and divided by K² n.

    What the code of Weng et al. minimises (Hein and Andriushchenko, NeurIPS 2017): its sum over the distinct pairs counts
    twice. Over K gradients that sum is 2 K times their summed squared distance from their mean, so no pair is formed.
    """
    gradients = _input_gradients(network, images)
    classes, count = gradients.shape[:2]
    around_their_mean: Tensor = (gradients - gradients.mean(dim=0)).square().sum()
    return 2 * around_their_mean / (classes * count)


def _input_gradients(network: nn.Module, images: Tensor) -> Tensor:
    """Every logit's gradient with respect to its image, (classes, N, D), in a graph."""
    images = images.detach().requires_grad_(True)
    logits = network(images)
    # a GPU waits for the launch of small steps, so there all classes are one batch; on a CPU that is slower
    gradients = gradients_at_once(logits, images) if images.is_cuda else gradients_in_turn(logits, images)
    return gradients.flatten(2)


def gradients_in_turn(logits: Tensor, images: Tensor) -> Tensor:
    """The gradient of every column of logits (N, classes), as (classes, N, C, H, W), in a graph; a class at a time."""
    return torch.stack([torch.autograd.grad(one.sum(), images, create_graph=True)[0] for one in logits.T])


def gradients_at_once(logits: Tensor, images: Tensor) -> Tensor:
    """What `gradients_in_turn` gives, all classes in one batch."""
    every = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
    one_class = every[:, None].expand(-1, len(images), -1)  # (classes, N, classes)
    (gradients,) = torch.autograd.grad(logits, images, one_class, create_graph=True, is_grads_batched=True)
    return gradients


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

    def objective(logits: Tensor, index: Tensor) -> Tensor:
        return divergence(logits, reference[index]) * len(index)

    start = random_start(images, attack, generator)
    return last_of(iterates(network, objective, images, attack, start))


def trades(clean: Tensor, attacked: Tensor, labels: Tensor, weight: float) -> Tensor:
    """Cross-entropy of the clean logits plus `weight` times how far the attacked ones are (Zhang et al., ICML 2019)."""
    return F.cross_entropy(clean, labels) + weight * divergence(attacked, clean)
