"""Adversarial perturbations: FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018).

Pure functions: the network's mode, its parameters and their gradients stay as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.errors import TradeoffError

MOST_LEVELS = 25  # of a pixel's 255, up to which ε is said in them


class Norm(StrEnum):
    """How the size of a perturbation is measured."""

    LINF = "linf"
    L2 = "l2"


@dataclass(frozen=True, slots=True)
class Attack:
    """What an attack may do. PGD with `steps` steps; one step of size ε without random start is FGSM.

    `epsilon` and `step_size` are in [0, 1] pixel units; `step_size=None` means 2.5 ε / steps. With `patch` the
    attack may touch only a square of so many pixels a side, at a place drawn anew for every image and restart.
    """

    norm: Norm = Norm.LINF
    epsilon: float = 0.3
    steps: int = 40
    step_size: float | None = None
    restarts: int = 1
    random_start: bool = True
    targeted: bool = False
    patch: int | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "norm", Norm(self.norm))
        except ValueError:
            raise TradeoffError(f"norm '{self.norm}' is unknown: choose {' or '.join(Norm)}") from None
        if not 0 <= self.epsilon < float("inf"):
            raise TradeoffError(f"epsilon {self.epsilon:g} is out of range: it must be 0 or more")
        for field in ("steps", "restarts"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise TradeoffError(f"{field} {value} is out of range: it must be a whole number from 1")
        if self.step_size is not None and not 0 < self.step_size < float("inf"):
            raise TradeoffError(f"step_size {self.step_size:g} is out of range: it must be above 0")
        if self.patch is not None and (not isinstance(self.patch, int) or self.patch < 1):
            raise TradeoffError(f"patch {self.patch} is out of range: a whole number of pixels from 1")

    @property
    def step(self) -> float:
        """The length of one step, in [0, 1] pixel units."""
        return 2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size

    def at(self, epsilon: float) -> "Attack":
        """The same attack at another ε."""
        return replace(self, epsilon=epsilon)

    def __str__(self) -> str:
        name = f"PGD-{self.steps}" if self.steps > 1 or self.random_start else "FGSM"
        norm = "l∞" if self.norm is Norm.LINF else "l2"
        extras = (", targeted" if self.targeted else "") + (
            f", {self.restarts} restarts" if self.restarts > 1 else ""
        )
        extras += f", on a {self.patch} x {self.patch} patch" if self.patch else ""
        return f"{name}, {norm} {in_levels(self.epsilon)}{extras}"


def fgsm(epsilon: float, norm: Norm = Norm.LINF, *, targeted: bool = False) -> Attack:
    """One step of ε from the image itself (Goodfellow et al. 2015).

    The step is left to follow ε, so that `at` moves both; projected to the ε ball it is a step of ε.
    """
    return Attack(norm, epsilon, steps=1, random_start=False, targeted=targeted)


def parse_epsilon(text: str) -> float:
    """ε in [0, 1] units from "0.3" or "8/255". Raises TradeoffError for anything else."""
    try:
        numerator, slash, denominator = text.partition("/")
        epsilon = float(numerator) / (float(denominator) if slash else 1)
    except (ValueError, ZeroDivisionError):
        raise TradeoffError(f"epsilon '{text}' is not a number: write 0.3 or 8/255") from None
    return Attack(epsilon=epsilon).epsilon


def in_levels(epsilon: float) -> str:
    """ε as one says it: 8/255 where it is a few whole levels of a pixel, else 0.3."""
    levels = round(255 * epsilon)
    return (
        f"{levels}/255"
        if 0 < levels <= MOST_LEVELS and abs(255 * epsilon - levels) < 1e-6
        else f"{epsilon:g}"
    )


def loss_gradient(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (N, classes), and the cross-entropy's gradient with respect to each image (N, C, H, W)."""
    with torch.enable_grad():
        images = images.detach().requires_grad_(True)
        logits = network(images)
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), images)
    return logits.detach(), gradient


def unit_noise(images: Tensor, norm: Norm, generator: torch.Generator | None) -> Tensor:
    """A uniformly drawn point of the norm's unit ball for each image, (N, C, H, W)."""
    if norm is Norm.LINF:
        noise = torch.rand(images.shape, generator=generator) * 2 - 1
    else:
        direction = torch.randn(images.shape, generator=generator)
        radius = torch.rand(len(images), 1, 1, 1, generator=generator) ** (1 / images[0].numel())
        noise = direction / _l2(direction) * radius
    return noise.to(images)


def random_start(images: Tensor, attack: Attack, generator: torch.Generator | None) -> Tensor:
    """Images moved to a uniformly drawn point of the ε ball, clipped to [0, 1]."""
    return (images + attack.epsilon * unit_noise(images, attack.norm, generator)).clamp(0, 1)


def patches(images: Tensor, attack: Attack, generator: torch.Generator | None) -> Tensor | None:
    """The pixels (N, 1, H, W) that the attack may touch, a square in each image; None where it may touch all.

    Raises TradeoffError if the square is larger than the images.
    """
    side = attack.patch
    if side is None:
        return None
    height, width = images.shape[-2:]
    if side > min(height, width):
        raise TradeoffError(f"patch {side} does not fit into images of {height} x {width}")

    def spans(length: int) -> Tensor:
        """Where a side of each square lies, (N, length)."""
        first = torch.randint(length - side + 1, (len(images), 1), generator=generator)
        places = torch.arange(length)
        return (places >= first) & (places < first + side)

    rows, columns = spans(height), spans(width)
    return (rows[:, None, :, None] & columns[:, None, None, :]).to(images.device)


def _start(images: Tensor, attack: Attack, generator: torch.Generator | None) -> tuple[Tensor, Tensor | None]:
    """Where an attack starts, and the patch that it stays in."""
    patch = patches(images, attack, generator)
    start = random_start(images, attack, generator) if attack.random_start else images
    return (start if patch is None else torch.where(patch, start, images)), patch


def _inside(patch: Tensor | None, gradient: Tensor) -> Tensor:
    """A gradient that moves the pixels of the patch alone, so that ε and the step are spent there."""
    return gradient if patch is None else gradient * patch


def step(
    adversarial: Tensor, gradient: Tensor, images: Tensor, attack: Attack, scale: Tensor | float = 1.0
) -> Tensor:
    """One ascent step (descent if targeted), projected to the ε ball around `images` and to [0, 1].

    `scale`, a number or (N, 1, 1, 1), multiplies ε and the step.
    """
    epsilon, length = attack.epsilon * scale, attack.step * scale
    direction = gradient.sign() if attack.norm is Norm.LINF else gradient / _l2(gradient).clamp_min(1e-30)
    moved = adversarial - length * direction if attack.targeted else adversarial + length * direction
    if attack.norm is Norm.LINF:
        projected = torch.minimum(torch.maximum(moved, images - epsilon), images + epsilon)
    else:
        perturbation = moved - images
        projected = images + perturbation * (epsilon / _l2(perturbation).clamp_min(1e-30)).clamp_max(1)
    return projected.clamp(0, 1)


def perturb(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Adversarial images (N, C, H, W) in [0, 1], within ε of `images` in the attack's norm.

    `labels` are the true classes, or the classes to reach if the attack is targeted. With restarts,
    each example keeps a perturbation that succeeds, else the one with the best loss.
    """
    if attack.epsilon == 0:
        return images.clone()
    best, best_score = images.clone(), images.new_full((len(images),), -torch.inf)
    for _ in range(attack.restarts):
        adversarial, patch = _start(images, attack, generator)
        for _ in range(attack.steps):
            _, gradient = loss_gradient(network, adversarial, labels)
            adversarial = step(adversarial, _inside(patch, gradient), images, attack)
        if attack.restarts == 1:
            return adversarial
        with torch.no_grad():
            score = _success_margin(network(adversarial), labels, attack)
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

    The attack's ε (above 0) and step are scaled to each of `epsilons`; its restarts are not used.
    """
    if attack.epsilon == 0:
        raise TradeoffError("epsilon 0 cannot be scaled: give the attack an epsilon above 0")
    if attack.patch is not None:
        raise TradeoffError("a patch is not attacked at many epsilons at once: leave the patch out")
    every, aims = images.repeat(len(epsilons), 1, 1, 1), labels.repeat(len(epsilons))  # (E N, C, H, W)
    scale = (
        (torch.tensor(epsilons).to(images) / attack.epsilon).repeat_interleave(len(images)).view(-1, 1, 1, 1)
    )
    adversarial = every
    if attack.random_start:
        noise = unit_noise(images, attack.norm, generator).repeat(len(epsilons), 1, 1, 1)
        adversarial = (every + attack.epsilon * scale * noise).clamp(0, 1)
    for _ in range(attack.steps):
        _, gradient = loss_gradient(network, adversarial, aims)
        adversarial = step(adversarial, gradient, every, attack, scale)
    return adversarial.view(len(epsilons), *images.shape)


def fool(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    generator: torch.Generator | None = None,
    *,
    drop_fooled: bool = True,
    truth: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Which examples (N,) the attack fools at any of its iterates, and each one's last image tried.

    With `truth` (N,), the true classes, a targeted attack succeeds as soon as the network reads another class.
    An example counts as fooled from its first iterate that succeeds, the unperturbed image included.
    Dropping it there only saves time: the random start of each example is drawn either way, so the
    outcome is the same with `drop_fooled=False`.
    """
    judge = attack if truth is None else replace(attack, targeted=False)
    judged = labels if truth is None else truth
    with torch.no_grad():
        fooled = succeeded(network(images), judged, judge)
    adversarial = images.clone()
    if attack.epsilon == 0:
        return fooled, adversarial
    for _ in range(attack.restarts):
        start, patch = _start(images, attack, generator)
        active = (
            (~fooled).nonzero().squeeze(1) if drop_fooled else torch.arange(len(images), device=images.device)
        )
        current = start[active]
        for iteration in range(attack.steps + 1):
            if len(active) == 0:
                break
            if iteration < attack.steps:
                logits, gradient = loss_gradient(network, current, labels[active])
            else:
                with torch.no_grad():
                    logits = network(current)
            success = succeeded(logits, judged[active], judge)
            first = success & ~fooled[active]
            untouched = ~fooled[active] | first
            adversarial[active[untouched]] = current[untouched]
            fooled[active[first]] = True
            if iteration < attack.steps:
                keep = ~success if drop_fooled else torch.ones_like(success)
                active = active[keep]
                inside = _inside(None if patch is None else patch[active], gradient[keep])
                current = step(current[keep], inside, images[active], attack)
    return fooled, adversarial


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
    label = logits.gather(1, labels[:, None]).squeeze(1)
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return label - others if attack.targeted else others - label


def _l2(x: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
    return norms
