"""What a training is: the attack, the optimiser, the schedule, the regularisers. `training.py` carries it out."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from tradeoff_core.attacks.attack import Attack, Norm, check_unit, in_levels
from tradeoff_core.common.checked import FromZero, Maybe, Number, Positive, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.training.augmentation import Augmentation

SINGLE_STEP = 1.25  # of ε, from a random start (Wong, Rice, Kolter 2020)
# up to a share of the steps, what is taken of the learning rate: 400, 40,000, 60,000 of 100,000 steps
PIECES = ((0.004, 0.1), (0.4, 1.0), (0.6, 0.1), (float("inf"), 0.01))


class Schedule(StrEnum):
    """How the learning rate moves.

    Constant; up for 30% of the steps and down to 0 for the rest; or in the pieces of the paper's code for CIFAR-10: a
    tenth of it for the first 0.4% of the steps, all of it to 40%, a tenth to 60% and a hundredth from there on.
    """

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"
    PIECEWISE = "piecewise"


MANY = within("at most 100,000", most=100_000)
Weight = Annotated[Number, within("a weight above 0 (leave it out for none)", above=0)]


@checked
class IntervalBounds:
    """Training on interval bounds (Gowal et al. 2018).

    After epochs on the plain loss ε grows from 0, and the plain loss's weight falls from 1 to `nominal_weight`;
    the rest is the verified loss's.
    """

    epsilon: Annotated[Number, within("it must be above 0", above=0)] = 0.4
    warm_up_epochs: Annotated[FromZero, MANY] = 5
    ramp_epochs: Annotated[Positive, MANY] = 30
    nominal_weight: Annotated[Number, within("from 0, below 1", least=0, below=1)] = 0.5

    def __post_init__(self) -> None:
        check_unit(self.epsilon)

    def at(self, epochs: float) -> tuple[float, float]:
        """ε and the plain loss's weight after so many epochs."""
        share = min(max((epochs - self.warm_up_epochs) / self.ramp_epochs, 0), 1)
        return share * self.epsilon, 1 - share * (1 - self.nominal_weight)


@checked
class Training:
    """How a network is trained. `attack=None` is standard training.

    A targeted attack aims every example at a wrong class, drawn anew in every batch. `lipschitz` is the weight of
    the cross-Lipschitz regulariser, `trades` the weight of TRADES's divergence in place of the cross-entropy of
    attacked images; `lipschitz_squared` weighs the squared norm, as Hein and Andriushchenko (2017) and the paper's code
    do. For the share `single_step_until` of the epochs the attack takes one step of 1.25 ε, and then all of its steps:
    nearly as good, and much cheaper. With `momentum` the optimiser is SGD, without it Adam; `weight_decay` spares biases and
    batch norm.
    """

    attack: Maybe[Attack] = None
    epochs: Annotated[Positive, MANY] = 20
    batch_size: Annotated[Positive, within("at most 100,000", most=100_000)] = 100
    learning_rate: Annotated[Number, within("above 0, at most 1", above=0, most=1)] = 1e-3
    schedule: Schedule = Schedule.ONE_CYCLE
    ramp_epochs: Annotated[FromZero, MANY] = 0
    lipschitz: Maybe[Weight] = None
    trades: Maybe[Weight] = None
    interval_bounds: Maybe[IntervalBounds] = None
    momentum: Maybe[Annotated[Number, within("from 0, below 1", least=0, below=1)]] = None
    weight_decay: Maybe[Weight] = None
    augmentation: Maybe[Augmentation] = None
    lipschitz_squared: Maybe[Weight] = None
    single_step_until: Maybe[Number] = None

    def __post_init__(self) -> None:
        if self.attack is not None and self.attack.epsilon == 0:
            raise TradeoffError("epsilon 0 is no adversarial training: leave the attack out instead")
        if self.lipschitz is not None and self.lipschitz_squared is not None:
            raise TradeoffError(
                "lipschitz and lipschitz_squared are two forms of one regulariser: choose one"
            )
        if self.single_step_until is not None and (
            self.attack is None or not 0 < self.single_step_until <= 1
        ):
            raise TradeoffError(
                f"single_step_until {self.single_step_until:g} is out of range: a share of the epochs of "
                "adversarial training, above 0, at most 1"
            )
        if self.trades is not None and (self.attack is None or self.attack.targeted):
            raise TradeoffError("trades needs an untargeted attack to train against: give training.attack")
        if self.trades is not None and self.attack is not None and self.attack.patch is not None:
            raise TradeoffError("trades perturbs whole images: leave the attack's patch out")
        if self.interval_bounds is not None and self.attack is not None:
            raise TradeoffError("interval_bounds train against every perturbation: leave the attack out")

    @property
    def epsilon(self) -> float:
        """The training ε, 0 for standard training."""
        against = self.attack or self.interval_bounds
        return against.epsilon if against else 0.0

    @property
    def name(self) -> str:
        """The method and its ε in a few characters, as ids have them: standard, pgd-0.3, ibp-0.4."""
        return self._named()[0]

    @property
    def title(self) -> str:
        """The method and its ε in words: standard, adversarial ε 0.3, interval bounds ε 0.4."""
        return self._named()[1]

    def _named(self) -> tuple[str, str]:
        """The method in an id, and in words."""
        in_words = in_levels(self.epsilon)
        in_id = in_words.replace("/", "-")
        if self.interval_bounds:
            name, title = f"ibp-{in_id}", f"interval bounds ε {in_words}"
        elif self.attack is None:
            name, title = "standard", "standard"
        else:
            attack = self.attack
            single = attack.steps == 1 and not attack.random_start
            name, title = (
                ("trades", "TRADES")
                if self.trades
                else ("fgsm", "FGSM")
                if single
                else ("pgd", "adversarial")
            )
            l2 = attack.norm is Norm.L2
            name = f"{name}-{in_id}" + ("-l2" if l2 else "") + ("-targeted" if attack.targeted else "")
            title = (
                ("targeted " if attack.targeted else "") + title + (" l2" if l2 else "") + f" ε {in_words}"
            )
            if attack.patch:
                name, title = (
                    f"{name}-patch{attack.patch}",
                    f"{title} on {attack.patch} x {attack.patch} patches",
                )
        if self.lipschitz:
            name, title = f"{name}-lipschitz", f"{title} with cross-Lipschitz"
        if self.lipschitz_squared:
            name, title = f"{name}-lipschitz-squared", f"{title} with squared cross-Lipschitz"
        return name, title

    def attack_in(self, epoch: int) -> Attack | None:
        """The attack of an epoch (counted from 0), its ε and step reduced while it ramps up."""
        attack = self.attack
        if attack is not None and epoch < (self.single_step_until or 0) * self.epochs:
            attack = replace(
                attack, steps=1, step_size=_walkable(attack, SINGLE_STEP * attack.epsilon), random_start=True
            )
        if attack is None or epoch + 1 >= self.ramp_epochs:
            return attack
        share = (epoch + 1) / self.ramp_epochs
        return replace(
            attack, epsilon=share * attack.epsilon, step_size=_walkable(attack, share * attack.step)
        )

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate after a share `progress` in [0, 1) of all steps."""
        if self.schedule is Schedule.CONSTANT:
            return self.learning_rate
        if self.schedule is Schedule.PIECEWISE:
            return self.learning_rate * next(factor for end, factor in PIECES if progress < end)
        rise = 0.3
        return self.learning_rate * min(progress / rise + 0.05, (1 - progress) / (1 - rise), 1)


def _walkable(attack: Attack, length: float) -> float:
    """The length of a step, in l∞ at most 1: from black to white, where every longer one ends too."""
    return min(length, 1.0) if attack.norm is Norm.LINF else length
