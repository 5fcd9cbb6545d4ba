"""Standard training, and adversarial training (Madry et al. 2018) with the options that make it cheap.

`ramp_epochs` lets ε grow linearly from 0, which gets few-step attacks off the ground on digits; a single
step with a random start is the fast adversarial training of Wong, Rice, Kolter (2020).
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from tradeoff_core.attacks import Attack, Norm, fool, perturb
from tradeoff_core.certification import worst_logits
from tradeoff_core.errors import TradeoffError
from tradeoff_core.networks import Network
from tradeoff_core.objectives import cross_lipschitz, perturb_for_trades, trades
from tradeoff_core.paths import write_atomically

LIPSCHITZ_ONE_IN = (
    4  # of a batch's images are regularised: the same in expectation, a quarter of its double passes
)
CHECK_STEPS = 10  # the stronger attack that catastrophic overfitting is measured with


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
    attacked images.
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
        for name in ("lipschitz", "trades"):
            weight = getattr(self, name)
            if weight is not None and not 0 < weight < float("inf"):
                raise TradeoffError(
                    f"{name} {weight:g} is out of range: a weight above 0 (leave it out for none)"
                )
        if self.trades is not None and (self.attack is None or self.attack.targeted):
            raise TradeoffError("trades needs an untargeted attack to train against: give training.attack")
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
            name = f"ibp-{self.interval_bounds.epsilon:g}"
        elif self.attack:
            attack = self.attack
            method = "fgsm" if attack.steps == 1 and not attack.random_start else "pgd"
            name = f"{'trades' if self.trades else method}-{attack.epsilon:g}"
            name += ("-l2" if attack.norm is Norm.L2 else "") + ("-targeted" if attack.targeted else "")
            name += f"-patch{attack.patch}" if attack.patch else ""
        else:
            name = "standard"
        return name + ("-lipschitz" if self.lipschitz else "")

    @property
    def title(self) -> str:
        """The method and its ε in words: standard, adversarial ε 0.3, interval bounds ε 0.4."""
        if self.interval_bounds:
            title = f"interval bounds ε {self.interval_bounds.epsilon:g}"
        elif self.attack:
            attack = self.attack
            single = attack.steps == 1 and not attack.random_start
            title = "TRADES" if self.trades else "FGSM" if single else "adversarial"
            title = f"targeted {title}" if attack.targeted else title
            title += (" l2" if attack.norm is Norm.L2 else "") + f" ε {attack.epsilon:g}"
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


@dataclass(frozen=True, slots=True)
class Progress:
    """One finished epoch. Accuracies are shares; the last three are on the validation images.

    `training_attack_accuracy` is the accuracy under the attack that this epoch trained on,
    `pgd_accuracy` under PGD-10 at the same ε; both are None for standard training.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    validation_accuracy: float
    training_attack_accuracy: float | None
    pgd_accuracy: float | None
    seconds: float

    @property
    def catastrophic_overfitting(self) -> bool:
        """Whether the network has learned to fool its own attack: it resists that but not PGD-10.

        The mark of fast adversarial training gone wrong (Wong, Rice, Kolter 2020): accuracy under the
        training attack stays high while accuracy under PGD falls to less than half of it.
        """
        if self.training_attack_accuracy is None or self.pgd_accuracy is None:
            return False
        return self.training_attack_accuracy > 0.3 and self.pgd_accuracy < self.training_attack_accuracy / 2


def train(
    network: Network,
    images: Tensor,
    labels: Tensor,
    training: Training,
    seed: int,
    *,
    validation: tuple[Tensor, Tensor],
    progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
) -> list[Progress]:
    """Train `network` in place on images (N, C, H, W) in [0, 1] and labels (N,); leave it in eval mode.

    Every epoch draws from its own generator, seeded by `seed` and its number, so a run that goes on from
    `checkpoint` (written after every epoch, read if it is there) ends as an unbroken one does.
    Returns one Progress an epoch. Raises TradeoffError if the loss stops being finite.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=training.learning_rate)
    history = _restore(checkpoint, network, optimizer) if checkpoint and checkpoint.exists() else []
    steps_per_epoch = -(-len(images) // training.batch_size)
    for epoch in range(len(history), training.epochs):
        started = time.perf_counter()
        generator = torch.Generator().manual_seed(1_000_003 * seed + epoch)
        attack = training.attack_in(epoch)
        loss_sum, correct = torch.zeros(()), torch.zeros(())
        network.train()
        for number, batch in enumerate(_batches(len(images), training.batch_size, generator)):
            inputs, targets = images[batch], labels[batch]
            if attack is not None:
                network.eval().requires_grad_(False)  # batch norm must not learn from the attack's steps
                inputs = _attacked(network, inputs, targets, attack, training, generator)
                network.train().requires_grad_(True)
            share = (epoch + number / steps_per_epoch) / training.epochs
            optimizer.param_groups[0]["lr"] = training.learning_rate_at(share)
            logits = network(inputs)
            loss = _loss(network, logits, inputs, images[batch], targets, training, share * training.epochs)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss_sum += loss.detach() * len(batch)
            correct += (logits.argmax(1) == targets).sum()
        network.eval()
        mean_loss = loss_sum.item() / len(images)
        if not mean_loss < float("inf"):
            raise TradeoffError(f"the loss became {mean_loss} in epoch {epoch + 1}: lower the learning_rate")
        history.append(
            Progress(
                epoch + 1,
                training.epochs,
                mean_loss,
                correct.item() / len(images),
                *_validate(network, *validation, attack),
                time.perf_counter() - started,
            )
        )
        if checkpoint:
            _save(checkpoint, network, optimizer, history)
        if progress:
            progress(history[-1])
    network.eval()
    return history


def _loss(
    network: Network,
    logits: Tensor,
    inputs: Tensor,
    clean: Tensor,
    labels: Tensor,
    training: Training,
    epochs: float,
) -> Tensor:
    """What a step minimises: `logits` are of `inputs`, which are `clean` or attacked; `epochs` are behind it."""
    if training.trades is not None:
        loss = trades(network(clean), logits, labels, training.trades)
    else:
        loss = F.cross_entropy(logits, labels)
    if training.lipschitz is not None:
        some = inputs[: -(-len(inputs) // LIPSCHITZ_ONE_IN)]  # batches are shuffled: any of them
        loss = loss + training.lipschitz * cross_lipschitz(network, some)
    if training.interval_bounds is not None:
        epsilon, weight = training.interval_bounds.at(epochs)
        if weight < 1:
            verified = F.cross_entropy(worst_logits(network, inputs, labels, epsilon), labels)
            loss = weight * loss + (1 - weight) * verified
    return loss


def _attacked(
    network: Network,
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    training: Training,
    generator: torch.Generator,
) -> Tensor:
    """The images that an epoch trains on in place of clean ones."""
    if training.trades is not None:
        return perturb_for_trades(network, images, attack, generator)
    aims = wrong_classes(labels, network.classes, generator) if attack.targeted else labels
    return perturb(network, images, aims, attack, generator)


def wrong_classes(labels: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """A class for each label (N,), drawn uniformly from the other ones."""
    return (labels + torch.randint(1, classes, labels.shape, generator=generator)) % classes


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    yield from torch.split(torch.randperm(count, generator=generator), size)


def _validate(
    network: Network, images: Tensor, labels: Tensor, attack: Attack | None
) -> tuple[float, float | None, float | None]:
    """Accuracy on clean images, under the training attack, and under PGD-10 at the same ε."""
    with torch.no_grad():
        clean = (network(images).argmax(1) == labels).float().mean().item()
    if attack is None:
        return clean, None, None
    network.requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    aims = wrong_classes(labels, network.classes, generator) if attack.targeted else labels
    attacked = perturb(network, images, aims, attack, generator)
    with torch.no_grad():
        weak = 1 - (network(attacked).argmax(1) != labels).float().mean().item()
    strong_attack = Attack(attack.norm, attack.epsilon, CHECK_STEPS)
    fooled, _ = fool(network, images, labels, strong_attack, generator)
    network.requires_grad_(True)
    return clean, weak, 1 - fooled.float().mean().item()


def _save(path: Path, network: Network, optimizer: torch.optim.Adam, history: list[Progress]) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = value
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    notes = {"history": json.dumps([asdict(entry) for entry in history])}
    write_atomically(path, save(tensors, notes))


def _restore(path: Path, network: Network, optimizer: torch.optim.Adam) -> list[Progress]:
    try:
        return _read(path, network, optimizer)
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError):
        raise TradeoffError(f"the checkpoint '{path}' is damaged: delete it to start again") from None


def _read(path: Path, network: Network, optimizer: torch.optim.Adam) -> list[Progress]:
    with safe_open(path, framework="pt") as archive:
        network.load_state_dict(
            {name: archive.get_tensor(f"network.{name}") for name in network.state_dict()}
        )
        for name, parameter in network.named_parameters():
            optimizer.state[parameter] = {
                key: archive.get_tensor(f"optimizer.{key}.{name}")
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
        return [Progress(**entry) for entry in json.loads(archive.metadata()["history"])]
