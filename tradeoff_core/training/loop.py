"""Standard training, and adversarial training (Madry et al. 2018) with the options that make it cheap.

`ramp_epochs` lets ε grow linearly from 0, which gets few-step attacks off the ground on digits; a single
step with a random start is the fast adversarial training of Wong, Rice, Kolter (2020).
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import fool, perturb, wrong_classes
from tradeoff_core.certification.bounds import worst_logits
from tradeoff_core.common.devices import device_of, mixed_precision, place_of, seeded
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import from_json, write_atomically
from tradeoff_core.common.optimizers import SGD, Adam
from tradeoff_core.datasets import to_tensor
from tradeoff_core.networks import Network
from tradeoff_core.networks.base import NotFinite, finite
from tradeoff_core.networks.inference import batch_size
from tradeoff_core.training import distributed
from tradeoff_core.training.objectives import (
    cross_lipschitz,
    perturb_for_trades,
    squared_cross_lipschitz,
    trades,
)
from tradeoff_core.training.recipe import Training

LIPSCHITZ_ONE_IN = (
    4  # of a batch's images are regularised: the same in expectation, a quarter of its double passes
)
MOST_BYTES_ON_A_GPU = 8_000_000_000  # of a training set: CIFAR-10 is 0.15
KEPT = {Adam: ("step", "exp_avg", "exp_avg_sq"), SGD: ("momentum_buffer",)}
CHECK_STEPS = 10  # the stronger attack that catastrophic overfitting is measured with


@dataclass(frozen=True, slots=True)
class Progress:
    """One finished epoch. Accuracies are shares; those but `accuracy` are on the validation images.

    `training_attack_accuracy` is the accuracy under the attack that this epoch trained on,
    `pgd_accuracy` under PGD-10 at the same ε; both are None for standard training. `backdoor_success_rate` is
    known where a run has a trigger to try.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float
    validation_accuracy: float
    training_attack_accuracy: float | None
    pgd_accuracy: float | None
    seconds: float
    backdoor_success_rate: float | None = None

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
    images: Tensor | NDArray[np.uint8],
    labels: Tensor,
    training: Training,
    seed: int,
    *,
    validation: tuple[Tensor, Tensor],
    progress: Callable[[Progress], None] | None = None,
    checkpoint: Path | None = None,
) -> list[Progress]:
    """Train `network` in place on images and labels (N,), where it is; leave it in eval mode.

    `images` are float32 (N, C, H, W) in [0, 1] or as stored, uint8 (N, H, W, C). Every epoch draws from its own
    generator, seeded by `seed` and its number, so a run that goes on from `checkpoint` (written after every epoch,
    read if it is there) ends as an unbroken one does. Processes that torchrun started share every batch.
    Returns one Progress an epoch. Raises TradeoffError if the loss stops being finite.
    """
    optimizer = _optimizer(network, training)
    history = _restore(checkpoint, network, optimizer) if checkpoint and checkpoint.exists() else []
    objective = _shared(Objective(network, training))
    pixels, labels = reader(images, device_of(network)), labels.to(device_of(network))
    steps_per_epoch = -(-len(images) // training.batch_size)
    for epoch in range(len(history), training.epochs):
        started = time.perf_counter()
        generator = seeded(labels.device, 1_000_003 * seed + epoch)
        attack = training.attack_in(epoch)
        seen = torch.zeros(3, device=labels.device)  # loss, hits, images: read at the end, a GPU would wait
        network.train()
        for number, batch in enumerate(shuffled_batches(len(images), training.batch_size, generator)):
            clean, targets = pixels(batch), labels[batch]
            clean = training.augmentation.apply(clean, generator) if training.augmentation else clean
            with mixed_precision(labels.device, network.image_shape):
                inputs = _attacked(network, clean, targets, attack, training, generator)
                share = (epoch + number / steps_per_epoch) / training.epochs
                loss, logits = objective(inputs, clean, targets, share * training.epochs)
            _step(optimizer, loss, training.learning_rate_at(share))
            seen[0] += loss.detach() * len(batch)
            seen[1] += (logits.argmax(1) == targets).sum()
            seen[2] += len(batch)
        network.eval()
        loss_sum, correct, count = distributed.summed(seen).tolist()
        if not loss_sum < float("inf"):
            raise TradeoffError(f"the loss became {loss_sum} in epoch {epoch + 1}: lower the learning_rate")
        history.append(
            Progress(
                epoch + 1,
                training.epochs,
                loss_sum / count,
                correct / count,
                *_validate(network, *validation, attack),
                time.perf_counter() - started,
            )
        )
        if progress:
            progress(history[-1])
        if checkpoint and distributed.rank() == 0:  # last: an epoch whose end was not told is trained again
            _save(checkpoint, network, optimizer, history)
    network.eval()
    return history


def _step(optimizer: torch.optim.Optimizer, loss: Tensor, learning_rate: float) -> None:
    for parameters in optimizer.param_groups:
        parameters["lr"] = learning_rate
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _optimizer(network: Network, training: Training) -> torch.optim.Optimizer:
    decayed = [parameter for parameter in network.parameters() if parameter.dim() > 1]
    spared = [parameter for parameter in network.parameters() if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": training.weight_decay or 0.0},
        {"params": spared},
    ]
    if training.momentum is None:
        return Adam(groups, lr=training.learning_rate)
    return SGD(groups, lr=training.learning_rate, momentum=training.momentum)


def reader(images: Tensor | NDArray[np.uint8], device: torch.device) -> Callable[[Tensor], Tensor]:
    """What gives the images of a batch of indices, float32 (N, C, H, W) in [0, 1], on the device."""
    if isinstance(images, Tensor):
        there = images.to(device)
        return lambda batch: there[batch.to(device)]
    if device.type == "cuda" and images.nbytes < MOST_BYTES_ON_A_GPU:
        stored = torch.from_numpy(np.ascontiguousarray(images)).to(device)
        return lambda batch: stored[batch.to(device)].permute(0, 3, 1, 2).float().div(255)
    return lambda batch: to_tensor(images[batch.cpu().numpy()]).to(device)


def _shared(objective: "Objective") -> nn.Module:
    """The objective whose gradients all processes of torchrun average."""
    if distributed.size() == 1:
        return objective
    return nn.parallel.DistributedDataParallel(objective)


class Objective(nn.Module):
    """What a step minimises, and the logits of its inputs.

    One module, because gradients are averaged over processes for what passes through one forward call.
    """

    def __init__(self, network: Network, training: Training) -> None:
        super().__init__()
        self.network, self.training_recipe = network, training

    def forward(self, inputs: Tensor, clean: Tensor, labels: Tensor, epochs: float) -> tuple[Tensor, Tensor]:
        """Loss and logits (N, classes); `inputs` are `clean` or attacked, `epochs` are behind it."""
        network, recipe = self.network, self.training_recipe
        logits = network(inputs)
        if recipe.trades is not None:
            loss = trades(network(clean), logits, labels, recipe.trades)
        else:
            loss = F.cross_entropy(logits, labels)
        some = inputs[: -(-len(inputs) // LIPSCHITZ_ONE_IN)]  # batches are shuffled: any of them
        if recipe.lipschitz is not None:
            loss = loss + recipe.lipschitz * cross_lipschitz(network, some)
        if recipe.lipschitz_squared is not None:
            loss = loss + recipe.lipschitz_squared * squared_cross_lipschitz(network, some)
        if recipe.interval_bounds is not None:
            epsilon, weight = recipe.interval_bounds.at(epochs)
            if weight < 1:
                verified = F.cross_entropy(worst_logits(network, inputs, labels, epsilon), labels)
                loss = weight * loss + (1 - weight) * verified
        return loss, logits


def _attacked(
    network: Network,
    images: Tensor,
    labels: Tensor,
    attack: Attack | None,
    training: Training,
    generator: torch.Generator,
) -> Tensor:
    """The images that an epoch trains on: attacked, unless it has no attack. Leaves the network in training mode."""
    if attack is None:
        return images
    network.eval().requires_grad_(False)  # batch norm must not learn from the attack's steps
    try:
        if training.trades is not None:
            attacked = perturb_for_trades(network, images, attack, generator)
        else:
            aims = wrong_classes(labels, network.classes, generator) if attack.targeted else labels
            attacked = perturb(network, images, aims, attack, generator, training=True)
    except NotFinite:
        raise TradeoffError(
            "the network's outputs are not finite any more: lower the learning_rate"
        ) from None
    network.train().requires_grad_(True)
    return attacked


def shuffled_batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """This process's part of every batch: all of it, unless several train together."""
    order = torch.randperm(count, generator=generator, device=place_of(generator))
    rank, processes = distributed.rank(), distributed.size()
    if rank:
        generator.manual_seed(generator.initial_seed() + 2**40 * rank)  # its own noise, on the same order
    for batch in torch.split(order, size):
        if len(batch) >= processes:
            yield batch[rank::processes]


def _validate(
    network: Network, images: Tensor, labels: Tensor, attack: Attack | None
) -> tuple[float, float | None, float | None]:
    """Accuracy on clean images, under the training attack, and under PGD-10 at the same ε."""
    device, size = device_of(network), batch_size(images)
    generator, hits = seeded(device, 0), torch.zeros(3, device=device)
    network.requires_grad_(False)
    for batch, truth in zip(torch.split(images, size), torch.split(labels, size), strict=True):
        batch, truth = batch.to(device), truth.to(device)
        with torch.no_grad():
            hits[0] += (finite(network(batch)).argmax(1) == truth).sum()
        if attack is None:
            continue
        aims = wrong_classes(truth, network.classes, generator) if attack.targeted else truth
        attacked = perturb(network, batch, aims, attack, generator)
        with torch.no_grad():
            hits[1] += (finite(network(attacked)).argmax(1) == truth).sum()
        strong_attack = Attack(attack.norm, attack.epsilon, CHECK_STEPS, patch=attack.patch)
        fooled, _ = fool(network, batch, truth, strong_attack, generator)
        hits[2] += (~fooled).sum()
    network.requires_grad_(True)
    clean, weak, strong = (hits / len(images)).tolist()
    return (clean, None, None) if attack is None else (clean, weak, strong)


def _save(path: Path, network: Network, optimizer: torch.optim.Optimizer, history: list[Progress]) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = value
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    notes = {"history": json.dumps([asdict(entry) for entry in history])}
    write_atomically(path, save(tensors, notes))


def _restore(path: Path, network: Network, optimizer: torch.optim.Optimizer) -> list[Progress]:
    try:
        return _read(path, network, optimizer)
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, TradeoffError):
        raise TradeoffError(f"the checkpoint '{path}' is damaged: delete it to start again") from None


def _read(path: Path, network: Network, optimizer: torch.optim.Optimizer) -> list[Progress]:
    with safe_open(path, framework="pt") as archive:
        network.load_state_dict(
            {name: archive.get_tensor(f"network.{name}") for name in network.state_dict()}
        )
        keys = () if optimizer.defaults.get("momentum") == 0 else KEPT[type(optimizer)]
        for name, parameter in network.named_parameters():
            optimizer.state[parameter] = {
                key: archive.get_tensor(f"optimizer.{key}.{name}").to(
                    "cpu" if key == "step" else parameter.device
                )
                for key in keys
            }
        history = from_json(archive.metadata()["history"], "its history")
        return [Progress(**entry) for entry in history]
