"""Adversarial attacks: gradient steps (FGSM, PGD), and stronger ones to check them by."""

from typing import TYPE_CHECKING

from tradeoff_core.attacks.attack import Attack, Norm, fgsm, in_levels, parse_epsilon
from tradeoff_core.common.doors import door

if TYPE_CHECKING:
    from tradeoff_core.attacks.gradient import fool, gradient_health, perturb, perturb_at

__all__ = [
    "Attack",
    "Norm",
    "fgsm",
    "fool",
    "gradient_health",
    "in_levels",
    "parse_epsilon",
    "perturb",
    "perturb_at",
]

__getattr__ = door(__name__, gradient=["fool", "gradient_health", "perturb", "perturb_at"])
