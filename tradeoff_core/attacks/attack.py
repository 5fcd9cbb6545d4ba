"""What an attack is: its norm, ε, steps and aim; and how ε is written and said."""

from dataclasses import field, replace
from enum import StrEnum
from typing import Annotated

from tradeoff_core.common.checked import Flag, Maybe, Number, Positive, Whole, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.later import LATER

MOST_LEVELS = 25  # of a pixel's 255, up to which ε is said in them


class Norm(StrEnum):
    """How the size of a perturbation is measured."""

    LINF = "linf"
    L2 = "l2"


@checked
class Attack:
    """What an attack may do. PGD with `steps` steps; one step of size ε without random start is FGSM.

    `epsilon` and `step_size` are in [0, 1] pixel units; `step_size=None` means 2.5 ε / steps. With `patch` the
    attack may touch only a square of so many pixels a side, at a place drawn anew for every image and restart.

    What follows tells how it is measured with. An example is fooled if any iterate is misread; with `last_iterate` only
    the last one counts. A targeted attack aims at the next class after the label; with `random_aim` at a drawn one, as
    training does. With `adam` Adam climbs the margin, as the code of Gowal et al. (2018) attacks: `step_size` is its
    learning rate, and only the last iterate is known.
    """

    norm: Norm = Norm.LINF
    epsilon: Annotated[Number, within("it must be 0 or more, and at most 1,000", least=0, most=1000)] = 0.3
    steps: Annotated[Positive, within("at most 10,000", most=10_000)] = 40
    step_size: Maybe[
        Annotated[Number, within("it must be above 0, and at most 1,000", above=0, most=1000)]
    ] = None
    restarts: Annotated[Positive, within("at most 1,000", most=1_000)] = 1
    random_start: Flag = True
    targeted: Flag = False
    patch: Maybe[Annotated[Whole, within("a whole number of pixels from 1", least=1)]] = None
    last_iterate: Flag = field(default=False, metadata=LATER)
    random_aim: Flag = field(default=False, metadata=LATER)
    adam: Flag = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        if self.norm is Norm.LINF:
            check_unit(self.epsilon)
            check_unit(self.step_size or 0.0, "step_size")
        if self.random_aim and not self.targeted:
            raise TradeoffError("random_aim needs an attack that aims: set targeted")
        plain = self.norm is Norm.LINF and not self.targeted and self.patch is None and self.restarts == 1
        if self.adam and not (plain and self.last_iterate):
            raise TradeoffError(
                "adam is an untargeted attack in linf on whole images without restarts: set last_iterate too"
            )

    @property
    def step(self) -> float:
        """The length of one step, in [0, 1] pixel units."""
        return 2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size

    def at(self, epsilon: float) -> "Attack":
        """The same attack at another ε."""
        return replace(self, epsilon=epsilon)

    def __str__(self) -> str:
        method = "Adam" if self.adam else "PGD"
        name = f"{method}-{self.steps}" if self.steps > 1 or self.random_start else "FGSM"
        norm = "l∞" if self.norm is Norm.LINF else "l2"
        extras = (", targeted" if self.targeted else "") + (
            f", {self.restarts} restarts" if self.restarts > 1 else ""
        )
        extras += f", on a {self.patch} x {self.patch} patch" if self.patch else ""
        extras += " at a random class" if self.random_aim else ""
        extras += ", last iterate" if self.last_iterate else ""
        return f"{name}, {norm} {in_levels(self.epsilon)}{extras}"


def check_unit(epsilon: float, name: str = "epsilon") -> None:
    """Raise TradeoffError for an ε in l∞ above 1, which is from black to white; it may be meant in 255ths."""
    if epsilon > 1:
        meant = f": did you mean {epsilon:g}/255?" if epsilon <= 255 else ""
        raise TradeoffError(
            f"{name} {epsilon:g} is out of range in l∞, where 1 is from black to white{meant}"
        )


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
    return Attack(Norm.L2, epsilon).epsilon  # what l∞ allows is checked where the norm is known


def in_levels(epsilon: float) -> str:
    """ε as one says it: 8/255 where it is a few whole levels of a pixel, else 0.3."""
    levels = round(min(255 * epsilon, MOST_LEVELS + 1))  # the largest numbers overflow
    return (
        f"{levels}/255"
        if 0 < levels <= MOST_LEVELS and abs(255 * epsilon - levels) < 1e-6
        else f"{epsilon:g}"
    )
