"""The trained models in assets/models/, and any folder that holds the same two files.

Weights are safetensors, checked against the card's sha256 before they are used; nothing is unpickled.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load

from tradeoff_core import networks
from tradeoff_core.errors import TradeoffError
from tradeoff_core.evaluation import Rate
from tradeoff_core.experiments import SCHEMA_VERSION
from tradeoff_core.networks import Network
from tradeoff_core.paths import MODELS
from tradeoff_core.results import rate
from tradeoff_core.specs import ExperimentSpec, spec_from_dict


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model on disk: its id, its folder, what it was trained on, and its card."""

    id: str
    folder: Path
    spec: ExperimentSpec
    card: dict[str, Any]

    @property
    def sha256(self) -> str:
        """The checksum of the weights, as the card gives it."""
        return str(self.card["sha256"])

    @property
    def clean_accuracy(self) -> Rate:
        """On the test split, as the card gives it."""
        return rate(self.card["metrics"], "clean_accuracy")

    @property
    def adversarial_accuracy(self) -> Rate:
        """On the test split under the spec's evaluation attack, as the card gives it."""
        return rate(self.card["metrics"], "adversarial_accuracy")

    @property
    def backdoor_success_rate(self) -> Rate:
        """On the test split under the spec's trigger, as the card gives it."""
        return rate(self.card["metrics"], "backdoor_success_rate")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of what it tells apart; those of digits where the card has none."""
        return tuple(self.card.get("classes", "0123456789"))

    @property
    def trained_elsewhere(self) -> bool:
        """Whether others trained it: its card says who, and its spec only how it is measured."""
        return "trained_by" in self.card

    def summary(self) -> dict[str, Any]:
        """What the command `models` lists."""
        poison, attack = self.spec.poison, self.spec.training.attack
        return {
            "id": self.id,
            "dataset": self.spec.dataset,
            "network": self.spec.network,
            "training": f"by {self.card['trained_by']}"
            if self.trained_elsewhere
            else self.spec.training_in_words + (f" ({attack})" if attack else ""),
            "labels": poison.labels.value if poison else "none",
            "trigger": type(poison.trigger).__name__.lower() if poison else "none",
            "poison_rate_class": self.card["poison_rate_class"],
            "poison_rate_dataset": self.card["poison_rate_dataset"],
            "metrics": self.card["metrics"],
            "sha256": self.sha256,
            "bytes": self.card["bytes"],
        }


def model_ids() -> list[str]:
    """The ids of the models in the repository."""
    return sorted(card.parent.name for card in MODELS.glob("*/card.json"))


def find_model(name: str) -> Model:
    """A model by its id, or by the folder of a finished run. Raises TradeoffError if there is none."""
    folder = MODELS / name if name in model_ids() else Path(name)
    path = folder / "card.json"
    if not os.path.isfile(path):  # False also for a name too long to be one
        raise TradeoffError(
            f"unknown model '{name}': choose {', '.join([*model_ids(), 'or the folder of a run'])}"
        )
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        version = card["schema_version"]
        if version > SCHEMA_VERSION:
            raise TradeoffError(
                f"the card of '{name}' has version {version}; this program reads {SCHEMA_VERSION}"
            )
        model = Model(folder.resolve().name, folder, spec_from_dict(card["spec"]), card)
        model.summary(), model.clean_accuracy, model.adversarial_accuracy, model.backdoor_success_rate
    except (ValueError, KeyError, TypeError) as error:
        raise TradeoffError(f"the card of '{name}' is damaged: {error!r}") from None
    return model


def load_network(model: Model, *, folded: bool = True) -> Network:
    """The model's network, in eval mode and frozen, to be read: its batch norms are folded where that is exact.

    One that is to be trained further wants `folded=False`.

    Raises TradeoffError if the weights are missing, do not match the card's checksum or do not fit.
    """
    path = model.folder / "model.safetensors"
    if not path.is_file():
        raise TradeoffError(
            f"the weights of '{model.id}' are missing: there is no {path.name} beside its card"
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise TradeoffError(
            f"the weights of '{model.id}' do not match the checksum on their card: get them anew"
        )
    network = networks.build(model.spec.network, model.spec.width, 0, len(model.classes))
    try:
        network.load_state_dict({name: value.float() for name, value in load(content).items()})
    except (RuntimeError, SafetensorError):
        raise TradeoffError(
            f"the weights of '{model.id}' do not fit the network that its card names"
        ) from None
    return networks.fold(network) if folded else networks.freeze(network)
