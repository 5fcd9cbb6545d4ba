"""Deep partition aggregation (Levine and Feizi, ICLR 2021, arXiv 2006.14768): a vote that few poisoned images cannot turn.

The training set is split into k parts by a hash of each image's pixels alone, a network is trained on each part, and the
majority decides, of equal ones the class with the smaller index. An image that is added, removed or relabelled touches one
part and so at most one vote; one that is changed is removed and added, and touches two. What a network becomes depends on
nothing but the set of examples in its part: they are sorted, and its start and its batches are drawn by its own number. So the
certificate holds for a clean-label poison as for any other, on the machine and thread count that trained.

Departures: tiny networks that are trained all at once by torch.func, for as many steps in every part; SHA-256 in place of the
sum of the pixels modulo k, which two images share more easily. As in the paper's, nothing is said of perturbations of the
image that is read.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

from tradeoff_core.common.checked import Number, Positive, Text, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.optimizers import Adam
from tradeoff_core.datasets import ImageDataset, to_tensor
from tradeoff_core.networks import Network, build
from tradeoff_core.networks.base import finite
from tradeoff_core.rates import Rate

FEW = within("at most 10,000", most=10_000)


@checked
class Partition:
    """How many parts there are, and how each part's network is trained: as many steps of Adam whatever the part's size."""

    parts: Annotated[Positive, FEW] = 100
    network: Text = "mnist-ibp-small"
    width: Annotated[Number, within("above 0, at most 4", above=0, most=4)] = 0.5
    steps: Annotated[Positive, FEW] = 100
    batch_size: Annotated[Positive, FEW] = 16
    learning_rate: Annotated[Number, within("above 0, at most 1", above=0, most=1)] = 2e-3


def part_of(images: NDArray[np.uint8], parts: int) -> NDArray[np.int64]:
    """The part (N,) that each of images (N, H, W, C) belongs to, by its pixels alone: neither label nor place matters."""
    return np.array([int.from_bytes(one[:8], "big") % parts for one in _digests(images)], dtype=np.int64)


def split(images: NDArray[np.uint8], labels: NDArray[np.int64], parts: int) -> list[NDArray[np.int64]]:
    """The places of each part's examples, in an order that the set of them decides; a part may be empty."""
    digests, part = _digests(images), part_of(images, parts)
    order = sorted(range(len(images)), key=lambda place: (digests[place], labels[place]))
    ordered = np.array(order, dtype=np.int64)
    return [ordered[part[ordered] == number] for number in range(parts)]


def _digests(images: NDArray[np.uint8]) -> list[bytes]:
    return [hashlib.sha256(np.ascontiguousarray(one).data).digest() for one in images]


class Ensemble:
    """One network a part, all of one architecture: each sees its own part in training, and has one vote."""

    def __init__(self, partition: Partition, classes: int, seed: int = 0) -> None:
        self.partition, self.seed, self.classes = partition, seed, classes
        members = [
            build(partition.network, partition.width, self._seed(number), classes)
            for number in range(partition.parts)
        ]
        parameters, buffers = stack_module_state(list(members))
        if buffers:
            raise TradeoffError(
                f"a network with batch norm, as {partition.network}, cannot be one of an ensemble here"
            )
        self._skeleton: Network = members[0].to("meta")
        self._parameters: dict[str, Tensor] = {name: value.detach() for name, value in parameters.items()}

    def _seed(self, number: int) -> int:
        return self.seed * self.partition.parts + number

    def train(self, data: ImageDataset, progress: Callable[[float], None] | None = None) -> None:
        """Train every network on its part of the data; `progress` is told the share of the steps that is done."""
        recipe = self.partition
        places = split(data.images, data.labels, recipe.parts)
        draws = [_draws(len(own), recipe, self._seed(number)) for number, own in enumerate(places)]
        weights = torch.tensor([float(len(own) > 0) for own in places])  # an empty part teaches nothing
        for value in self._parameters.values():
            value.requires_grad_(True)
        optimizer = Adam(self._parameters.values(), lr=recipe.learning_rate)
        labels = data.targets
        for step in range(recipe.steps):
            chosen = np.stack(  # (parts, batch)
                [
                    own[drawn[step]] if len(own) else np.zeros(recipe.batch_size, dtype=np.int64)
                    for own, drawn in zip(places, draws, strict=True)
                ]
            )
            images = to_tensor(data.images[chosen.ravel()]).view(*chosen.shape, *data.image_shape)
            logits = vmap(self._one)(self._parameters, images)  # (parts, batch, classes)
            losses = F.cross_entropy(
                logits.flatten(0, 1), labels[torch.from_numpy(chosen.ravel())], reduction="none"
            )
            loss = (losses.view(chosen.shape).mean(1) * weights).sum()  # each network has its own term
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if progress:
                progress((step + 1) / recipe.steps)
        for value in self._parameters.values():
            value.requires_grad_(False)

    def _one(self, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        logits: Tensor = functional_call(self._skeleton, parameters, (images,))
        return logits

    def votes(self, images: NDArray[np.uint8], batch_size: int = 50) -> NDArray[np.int64]:
        """How many networks read images (N, H, W, C) as each class (N, classes). Raises NotFinite."""
        found = []
        with torch.no_grad():
            for start in range(0, len(images), batch_size):
                batch = to_tensor(images[start : start + batch_size])
                logits = finite(vmap(self._one, in_dims=(0, None))(self._parameters, batch))
                found.append(
                    F.one_hot(logits.argmax(2), self.classes).sum(0)
                )  # (parts, n, classes) -> (n, classes)
        return torch.cat(found).numpy()


def _draws(size: int, recipe: Partition, seed: int) -> NDArray[np.int64]:
    """Which of its `size` examples a network sees in each step (steps, batch), by its own generator."""
    generator = np.random.default_rng(seed)
    return generator.integers(max(size, 1), size=(recipe.steps, recipe.batch_size))


@dataclass(frozen=True, slots=True)
class PartitionCertificate:
    """What the vote says of N images, and how many poisoned ones cannot change that.

    `radius` (N,) counts training images that are added, removed or relabelled; of changed images, as triggers change them, it
    is half of that, rounded down.
    """

    predicted: NDArray[np.int64]
    radius: NDArray[np.int64]

    def certified_accuracy(self, labels: NDArray[np.int64], poisoned: int) -> Rate:
        """The share of images with labels (N,) that are read correctly whatever so many poisoned images say."""
        return Rate(int(((self.predicted == labels) & (self.radius >= poisoned)).sum()), len(labels))


def certify(votes: NDArray[np.int64]) -> PartitionCertificate:
    """The certificate of votes (N, classes): half of the lead over the next class, where a tie goes to the smaller index.

    radius = min over other classes c of floor((n_first - n_c - [c < first]) / 2). Raises TradeoffError for votes that are none.
    """
    if (
        votes.ndim != 2
        or votes.shape[1] < 2
        or votes.dtype.kind not in "iu"
        or (votes.size and votes.min() < 0)
    ):
        raise TradeoffError(
            f"votes must be whole numbers from 0 of shape (images, classes), not {votes.dtype} {votes.shape}"
        )
    predicted = votes.argmax(axis=1).astype(np.int64)  # of equal ones the first
    first = np.take_along_axis(votes, predicted[:, None], axis=1)
    lead = first - votes - (np.arange(votes.shape[1]) < predicted[:, None])
    np.put_along_axis(lead, predicted[:, None], np.iinfo(lead.dtype).max, axis=1)
    return PartitionCertificate(predicted, lead.min(axis=1) // 2)
