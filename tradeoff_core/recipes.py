"""What a training is: the attack, the optimiser, the schedule, the regularisers. `training.py` carries it out."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from tradeoff_core.attacks import Attack, Norm, in_levels
from tradeoff_core.augmentation import Augmentation
from tradeoff_core.errors import TradeoffError


class Schedule(StrEnum):
    """How the learning rate moves: constant, or up for 30% of the steps and down to 0 for the rest."""

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"


@dataclass(frozen=True, slots=True)
class IntervalBounds:
    """Training on interval bounds (Gowal et al. 2018).

    After epochs on the plain loss ε grows from 0, and the plain loss's weight falls from 1 to `nominal_weight`;
    the rest is the verified loss's.
    """

    epsilon: float = 0.4
    warm_up_epochs: int = 5
    ramp_epochs: int = 30
    nominal_weight: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise TradeoffError(f"epsilon {self.epsilon:g} is out of range: it must be above 0")
        for name, least in (("warm_up_epochs", 0), ("ramp_epochs", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise TradeoffError(f"{name} {value} is out of range: it must be a whole number from {least}")
        if not 0 <= self.nominal_weight < 1:
            raise TradeoffError(f"nominal_weight {self.nominal_weight:g} is out of range: from 0, below 1")

    def at(self, epochs: float) -> tuple[float, float]:
        """ε and the plain loss's weight after so many epochs."""
        share = min(max((epochs - self.warm_up_epochs) / self.ramp_epochs, 0), 1)
        return share * self.epsilon, 1 - share * (1 - self.nominal_weight)


@dataclass(frozen=True, slots=True)
class Training:
    """How a network is trained. `attack=None` is standard training.

    A targeted attack aims every example at a wrong class, drawn anew in every batch. `lipschitz` is the weight of
    the cross-Lipschitz regulariser, `trades` the weight of TRADES's divergence in place of the cross-entropy of
    attacked images. With `momentum` the optimiser is SGD, without it Adam; `weight_decay` spares biases and
    batch norm.
    """

    attack: Attack | None = None
    epochs: int = 20
    batch_size: int = 100
    learning_rate: float = 1e-3
    schedule: Schedule = Schedule.ONE_CYCLE
    ramp_epochs: int = 0
    lipschitz: float | None = None
    trades: float | None = None
    interval_bounds: IntervalBounds | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "schedule", Schedule(self.schedule))
        except ValueError:
            raise TradeoffError(
                f"schedule '{self.schedule}' is unknown: choose {' or '.join(Schedule)}"
            ) from None
        for name, least in (("epochs", 1), ("batch_size", 1), ("ramp_epochs", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise TradeoffError(f"{name} {value} is out of range: it must be a whole number from {least}")
        if not 0 < self.learning_rate <= 1:
            raise TradeoffError(f"learning_rate {self.learning_rate:g} is out of range: above 0, at most 1")
        if self.attack is not None and self.attack.epsilon == 0:
            raise TradeoffError("epsilon 0 is no adversarial training: leave the attack out instead")
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise TradeoffError(f"momentum {self.momentum:g} is out of range: from 0, below 1")
        for name in ("lipschitz", "trades", "weight_decay"):
            weight = getattr(self, name)
            if weight is not None and not 0 < weight < float("inf"):
                raise TradeoffError(
                    f"{name} {weight:g} is out of range: a weight above 0 (leave it out for none)"
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
        if self.interval_bounds:
            name = f"ibp-{_in_an_id(self.interval_bounds.epsilon)}"
        elif self.attack:
            attack = self.attack
            method = "fgsm" if attack.steps == 1 and not attack.random_start else "pgd"
            name = f"{'trades' if self.trades else method}-{_in_an_id(attack.epsilon)}"
            name += ("-l2" if attack.norm is Norm.L2 else "") + ("-targeted" if attack.targeted else "")
            name += f"-patch{attack.patch}" if attack.patch else ""
        else:
            name = "standard"
        return name + ("-lipschitz" if self.lipschitz else "")

    @property
    def title(self) -> str:
        """The method and its ε in words: standard, adversarial ε 0.3, interval bounds ε 0.4."""
        if self.interval_bounds:
            title = f"interval bounds ε {in_levels(self.interval_bounds.epsilon)}"
        elif self.attack:
            attack = self.attack
            single = attack.steps == 1 and not attack.random_start
            title = "TRADES" if self.trades else "FGSM" if single else "adversarial"
            title = f"targeted {title}" if attack.targeted else title
            title += (" l2" if attack.norm is Norm.L2 else "") + f" ε {in_levels(attack.epsilon)}"
            title += f" on {attack.patch} x {attack.patch} patches" if attack.patch else ""
        else:
            title = "standard"
        return title + (" with cross-Lipschitz" if self.lipschitz else "")

    def attack_in(self, epoch: int) -> Attack | None:
        """The attack of an epoch (counted from 0), its ε and step reduced while it ramps up."""
        if self.attack is None or epoch + 1 >= self.ramp_epochs:
            return self.attack
        share = (epoch + 1) / self.ramp_epochs
        scaled = asdict(self.attack) | {
            "epsilon": share * self.attack.epsilon,
            "step_size": share * self.attack.step,
        }
        return Attack(**scaled)

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate after a share `progress` in [0, 1) of all steps."""
        if self.schedule is Schedule.CONSTANT:
            return self.learning_rate
        rise = 0.3
        return self.learning_rate * min(progress / rise + 0.05, (1 - progress) / (1 - rise), 1)


def _in_an_id(epsilon: float) -> str:
    return in_levels(epsilon).replace("/", "-")
