"""The trained models in assets/models/, and any folder that holds the same two files.

Weights are safetensors, checked against the card's sha256 before they are used; nothing is unpickled.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradeoff_core.common.paths import unpacked_folder
from tradeoff_core.experiments.card import DIGITS, Card
from tradeoff_core.experiments.run_folder import RunFolder, folder_of
from tradeoff_core.experiments.run_folder import model_ids as model_ids
from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict
from tradeoff_core.rates import Rate, rate

if TYPE_CHECKING:
    from tradeoff_core.networks import Network


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model on disk: its id, its folder, what it was trained on, and its card."""

    id: str
    folder: Path
    spec: ExperimentSpec
    card: Card

    @property
    def sha256(self) -> str:
        """The checksum of the weights, as the card gives it."""
        return self.card.sha256

    @property
    def clean_accuracy(self) -> Rate:
        """On the test split, as the card gives it."""
        return rate(self.card.metrics, "clean_accuracy")

    @property
    def adversarial_accuracy(self) -> Rate:
        """On the test split under the spec's evaluation attack, as the card gives it."""
        return rate(self.card.metrics, "adversarial_accuracy")

    @property
    def backdoor_success_rate(self) -> Rate:
        """On the test split under the spec's trigger, as the card gives it."""
        return rate(self.card.metrics, "backdoor_success_rate")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what it tells apart; those of digits where the card has none."""
        return self.card.classes or DIGITS

    @property
    def trained_elsewhere(self) -> bool:
        """Whether others trained it: its card says who, and its spec only how it is measured."""
        return self.card.trained_by is not None

    def summary(self) -> dict[str, Any]:
        """What the command `models` lists."""
        poison, attack = self.spec.poison, self.spec.training.attack
        return {
            "id": self.id,
            "dataset": self.spec.dataset,
            "network": self.spec.network,
            "training": f"by {self.card.trained_by}"
            if self.trained_elsewhere
            else self.spec.training_in_words + (f" ({attack})" if attack else ""),
            "labels": poison.labels.value if poison else "none",
            "trigger": poison.trigger.kind if poison else "none",
            "poison_rate_class": self.card.poison_rate_class,
            "poison_rate_dataset": self.card.poison_rate_dataset,
            "metrics": self.card.metrics,
            "sha256": self.sha256,
            "bytes": self.card.bytes,
        }


def find_model(name: str) -> Model:
    """A model by its id, or by the folder of a finished run. Raises TradeoffError if there is none."""
    place = folder_of(name)
    found = place.card.stat()
    return _read(place.path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=256)
def _read(folder: Path, changed: int, size: int) -> Model:  # noqa: ARG001  # a card that was written anew is another
    card = RunFolder(folder).read_card()
    return Model(folder.resolve().name, folder, spec_from_dict(card.spec), card)


def check_weights(model: Model) -> None:
    """Raise TradeoffError if the weights are missing or do not match the card's checksum; read once while they stay."""
    weights = RunFolder(model.folder).weights
    found = weights.stat() if weights.is_file() else None
    _check(model.folder, model.sha256, (found.st_mtime_ns, found.st_size) if found else None)


@lru_cache(maxsize=256)
def _check(folder: Path, sha256: str, changed: tuple[int, int] | None) -> None:  # noqa: ARG001  # they are the key
    from tradeoff_core.experiments.weights import checked

    checked(RunFolder(folder), RunFolder(folder).read_card())


def load_network(model: Model, *, folded: bool = True) -> "Network":
    """The model's network, in eval mode and frozen, to be read: its batch norms are folded where that is exact.

    One that is to be trained further wants `folded=False`.

    Raises TradeoffError if the weights are missing, do not match the card's checksum or do not fit.
    """
    from tradeoff_core import networks
    from tradeoff_core.experiments.weights import mapped_network, trained_network

    unpacked = unpacked_folder()
    if folded and unpacked:
        check_weights(model)
        return mapped_network(RunFolder(model.folder), model.card, model.spec, unpacked)
    network = trained_network(RunFolder(model.folder), model.card, model.spec)
    return networks.fold(network) if folded else network
