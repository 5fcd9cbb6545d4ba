"""Adversarial perturbations: FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018).

Pure functions: the network's mode, its parameters and their gradients stay as they were.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.ball import random_start, start_of, step, unit_noise
from tradeoff_core.common.devices import place_of
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import checked_images, checked_labels
from tradeoff_core.networks.base import finite, require_finite

# by how much the label's logit may lead the next before its loss is rescaled: the cross-entropy's gradient loses the
# label's part in float32 at 17 and is 0 from about 100, and no network of the zoo leads by more than 25
SATURATED = 30.0
LEAD = 10.0  # of the label's logit, rescaled: about what the zoo's networks have
# between an example's largest and least logit, below which its loss is rescaled too: shares that are all alike pull to every
# class at once, and no network of the zoo has less than 3
FLAT, LEAST = 1.0, 1e-36  # and what float32 can still divide by

# logits (n, classes) of the examples at `index` (n,) -> what an attack raises, summed over them
Objective = Callable[[Tensor, Tensor], Tensor]


def loss_gradient(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, classes), and the cross-entropy's gradient with respect to each image (N, C, H, W). Raises NotFinite."""
    images, labels = _checked(images, labels)

    def plain(logits: Tensor, _: Tensor) -> Tensor:
        _check_classes(labels, logits.shape[1])
        return F.cross_entropy(logits, labels, reduction="sum")

    return gradient_of(network, images, plain)


def cross_entropy(labels: Tensor, training: bool = False) -> Objective:
    """The loss of examples with these labels (N,), which stays steep however far apart or near the logits lie.

    Where the label's logit leads by more than SATURATED, the gradient would vanish: from then on the example's logits
    are divided so that it leads by LEAD. Where all lie within FLAT at first, they are drawn apart as far, but not in
    training: a network begins so. Elsewhere nothing is changed, not by a bit.
    """
    divisor: Tensor | None = None  # (N, 1)

    def loss(logits: Tensor, index: Tensor) -> Tensor:
        nonlocal divisor
        truth = labels[index]
        if divisor is None:
            _check_classes(labels, logits.shape[1])
            divisor = torch.ones_like(labels, dtype=logits.dtype)[:, None]
            if not training:
                divisor[index] = flatness(logits.detach())
        with torch.no_grad():
            lead = _lead(logits, truth)[:, None] / divisor[index]
            divisor[index] *= torch.where(lead > SATURATED, lead / LEAD, 1)
        return F.cross_entropy(logits / divisor[index], truth, reduction="sum")

    return loss


def _checked(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels (N,) as an attack takes them. Raises TradeoffError for others."""
    images = checked_images(images)
    return images, checked_labels(labels, len(images))


def flatness(logits: Tensor) -> Tensor:
    """What logits (n, classes) within FLAT are divided by (n, 1) so that they lie LEAD apart; 1 for others."""
    apart = logits.amax(1, keepdim=True) - logits.amin(1, keepdim=True)
    return torch.where((apart > 0) & (apart < FLAT), apart / LEAD, 1).clamp_min(LEAST)


def usual_scale(logits: Tensor) -> float:
    """What a network's logits (n, classes) are divided by so that they lie about as far apart as usual, 1 if they do.

    Raises NotFinite.
    """
    first, second = finite(logits).topk(2).values.unbind(1)
    lead, apart = (first - second).median().item(), (first - logits.amin(1)).median().item()
    if lead > SATURATED:
        return lead / LEAD
    return max(apart / LEAD, LEAST) if 0 < apart < FLAT else 1.0


def _check_classes(labels: Tensor, classes: int) -> None:
    if classes < 2:
        raise TradeoffError("a network with one output tells no classes apart: there is nothing to attack")
    checked_labels(labels, len(labels), classes)


def gradient_of(network: nn.Module, images: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) of images, and the objective's gradient (N, C, H, W). Raises NotFinite for the logits."""
    everyone = torch.arange(len(images), device=images.device)
    logits, gradient = _gradient_of(network, images, objective, everyone)
    return finite(logits), gradient


def _gradient_of(
    network: nn.Module, images: Tensor, objective: Objective, index: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits (n, classes) of the examples at `index`, and the objective's gradient (n, C, H, W), as they come."""
    with torch.enable_grad():
        images = images.detach().requires_grad_(True)
        logits = network(images)
        (gradient,) = torch.autograd.grad(objective(logits, index), images)
    return logits.detach(), gradient


@dataclass(slots=True)
class Iterate:
    """Where an attack stands: at `images` (n, C, H, W), which are those of the examples at `index` (n,).

    `logits` (n, classes) are None for the last one. Whoever reads it may set `keep`, a mask (n,): the attack goes
    on with these examples alone.
    """

    images: Tensor
    index: Tensor
    logits: Tensor | None = None
    keep: Tensor | None = None


def iterates(
    network: nn.Module,
    objective: Objective,
    images: Tensor,
    attack: Attack,
    start: Tensor,
    index: Tensor | None = None,
    patch: Tensor | None = None,
    scale: Tensor | float = 1.0,
) -> Iterator[Iterate]:
    """Where an attack on images (N, C, H, W) goes: from `start` on `steps` steps, at most steps + 1 iterates.

    `index` (n,) tells which of the N examples are attacked, all by default. The pixels of `patch` (N, 1, H, W)
    alone move, so that ε and the step are spent there; `scale` is as in `step`. An entry of the gradient that is not
    finite moves nothing. Raises NotFinite before the last iterate if any logit was not finite.
    """
    sound = torch.ones((), dtype=torch.bool, device=images.device)
    if index is None:
        index, current, around = torch.arange(len(images), device=images.device), start, images
    else:
        current, around = start[index], images[index]
    for _ in range(attack.steps):
        if len(index) == 0:
            break
        logits, gradient = _gradient_of(network, current, objective, index)
        sound, gradient = sound & logits.isfinite().all(), gradient.nan_to_num(0, 0, 0)
        iterate = Iterate(current, index, logits)
        yield iterate
        if iterate.keep is not None:
            index, current, gradient, around = (
                tensor[iterate.keep] for tensor in (index, current, gradient, around)
            )
            scale = scale[iterate.keep] if isinstance(scale, Tensor) else scale
        if patch is not None:
            gradient = gradient * patch[index]
        current = step(current, gradient, around, attack, scale)
    require_finite(sound)  # at last: a GPU would wait at every step
    yield Iterate(current, index)


def last_of(iterates: Iterator[Iterate]) -> Tensor:
    """The images (N, C, H, W) where an attack ends."""
    (last,) = deque(iterates, maxlen=1)
    return last.images


def perturb(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    generator: torch.Generator | None = None,
    *,
    training: bool = False,
) -> Tensor:
    """Adversarial images (N, C, H, W) in [0, 1], within ε of `images` in the attack's norm.

    `labels` are the true classes, or the classes to reach if the attack is targeted. With restarts,
    each example keeps a perturbation that succeeds, else the one with the best loss. `training` is as in `cross_entropy`.
    Raises NotFinite, and TradeoffError for images outside [0, 1] or labels that are no classes.
    """
    images, labels = _checked(images, labels)
    if attack.epsilon == 0:
        return images.clone()
    if attack.adam:
        return _climb(network, images, labels, attack, generator)
    best, best_score = images.clone(), images.new_full((len(images),), -torch.inf)
    for _ in range(attack.restarts):
        start, patch = start_of(images, attack, generator)
        loss = cross_entropy(labels, training)
        adversarial = last_of(iterates(network, loss, images, attack, start, patch=patch))
        if attack.restarts == 1:
            return adversarial
        with torch.no_grad():
            score = _success_margin(finite(network(adversarial)), labels, attack)
        better = score > best_score
        best[better], best_score[better] = adversarial[better], score[better]
    return best


def perturb_at(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    epsilons: Sequence[float],
    generator: torch.Generator | None = None,
) -> Tensor:
    """Adversarial images at every ε, (E, N, C, H, W), all in one batch and from the same random start.

    The attack's ε (above 0) and step are scaled to each of `epsilons`; its restarts are not used. Raises as `perturb`.
    """
    images, labels = _checked(images, labels)
    for epsilon in epsilons:
        attack.at(epsilon)  # is refused where it is none
    if attack.epsilon == 0:
        raise TradeoffError("epsilon 0 cannot be scaled: give the attack an epsilon above 0")
    if attack.patch is not None:
        raise TradeoffError("a patch is not attacked at many epsilons at once: leave the patch out")
    every, aims = images.repeat(len(epsilons), 1, 1, 1), labels.repeat(len(epsilons))  # (E N, C, H, W)
    scale = (
        (torch.tensor(epsilons).to(images) / attack.epsilon).repeat_interleave(len(images)).view(-1, 1, 1, 1)
    )
    start = every
    if attack.random_start:
        noise = unit_noise(images, attack.norm, generator).repeat(len(epsilons), 1, 1, 1)
        start = (every + attack.epsilon * scale * noise).clamp(0, 1)
    (moving,) = scale.flatten().nonzero(as_tuple=True)  # at ε 0 there is nothing to find
    last = last_of(iterates(network, cross_entropy(aims), every, attack, start, moving, scale=scale[moving]))
    return every.index_copy(0, moving, last).view(len(epsilons), *images.shape)


def fool(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    generator: torch.Generator | None = None,
    *,
    drop_fooled: bool | None = None,
    truth: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Which examples (N,) the attack fools at any of its iterates, and each one's last image tried.

    With `truth` (N,), the true classes, a targeted attack succeeds as soon as the network reads another class.
    An example counts as fooled from its first iterate that succeeds, the unperturbed image included, unless the attack
    says that its last iterate counts.
    Dropping it there only saves time: the random start of each example is drawn either way, so the
    outcome is the same with `drop_fooled=False`. By default it is dropped but on CUDA, where every look at who is
    left would make the GPU wait. Raises as `perturb` does.
    """
    images, labels = _checked(images, labels)
    if drop_fooled is None:
        drop_fooled = images.device.type != "cuda"
    judge = attack if truth is None else replace(attack, targeted=False, random_aim=False)
    judged = labels if truth is None else truth
    if attack.last_iterate:
        last = perturb(network, images, labels, attack, generator)
        with torch.no_grad():
            return succeeded(finite(network(last)), judged, judge), last
    with torch.no_grad():
        logits = finite(network(images))
    _check_classes(labels, logits.shape[1])
    fooled = succeeded(logits, judged, judge)
    adversarial = images.clone()
    if attack.epsilon == 0:
        return fooled, adversarial
    for _ in range(attack.restarts):
        start, patch = start_of(images, attack, generator)
        standing = (~fooled).nonzero().squeeze(1) if drop_fooled else None
        for at in iterates(network, cross_entropy(labels), images, attack, start, standing, patch):
            if len(at.index) == 0:
                break
            success = succeeded(_logits(network, at), judged[at.index], judge)
            before = fooled[at.index]
            adversarial[at.index] = torch.where(before.view(-1, 1, 1, 1), adversarial[at.index], at.images)
            fooled[at.index] = before | success
            if drop_fooled:
                at.keep = ~success
    return fooled, adversarial


def _logits(network: nn.Module, iterate: Iterate) -> Tensor:
    """What the network says of an iterate, (n, classes)."""
    if iterate.logits is not None:
        return iterate.logits
    with torch.no_grad():
        return finite(network(iterate.images))


def succeeded(logits: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    """Whether each prediction (N,) is what the attack wants: not the label, or the label if targeted."""
    return (logits.argmax(1) == labels) == attack.targeted


def gradient_health(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Share of input-gradient entries that are exactly zero or not finite: signs of masked gradients."""
    _, gradient = loss_gradient(network, images, labels)
    return {
        "zero": (gradient == 0).float().mean().item(),
        "not_finite": (~gradient.isfinite()).float().mean().item(),
    }


def _success_margin(logits: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    """Best wrong logit minus the label's (its negative if targeted): above 0 where the attack succeeds."""
    lead = _lead(logits, labels)
    return lead if attack.targeted else -lead


def _lead(logits: Tensor, labels: Tensor) -> Tensor:
    """The label's logit minus the best other one, (N,)."""
    label = logits.gather(1, labels[:, None]).squeeze(1)
    return label - logits.scatter(1, labels[:, None], -torch.inf).amax(1)


def _climb(
    network: nn.Module, images: Tensor, labels: Tensor, attack: Attack, generator: torch.Generator | None
) -> Tensor:
    """Images (N, C, H, W) within ε in l-inf after `steps` of Adam on the margin, each image by itself."""
    start = random_start(images, attack, generator) if attack.random_start else images
    moved = start.detach().clone().requires_grad_(True)
    optimizer = Adam([moved], lr=attack.step, eps=1e-9)
    divisor: Tensor | None = None  # (N, 1)
    for _ in range(attack.steps):
        with torch.enable_grad():
            logits = finite(network(moved))
            _check_classes(labels, logits.shape[1])
            if divisor is None:
                divisor = flatness(logits.detach())
            margin = _success_margin(logits / divisor, labels, attack)
            (gradient,) = torch.autograd.grad(-margin.sum(), moved)
            moved.grad = gradient.nan_to_num(0, 0, 0)
        optimizer.step()
        with torch.no_grad():
            moved.copy_(torch.minimum(torch.maximum(moved, images - attack.epsilon), images + attack.epsilon))
            moved.clamp_(0, 1)
    return moved.detach()


def wrong_classes(labels: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """A class for each label (N,), drawn uniformly from the other ones. Raises TradeoffError if there are none."""
    _check_classes(labels, classes)
    shift = torch.randint(1, classes, labels.shape, generator=generator, device=place_of(generator))
    return (labels + shift.to(labels.device)) % classes
