"""The trained network of a card: weights are checked against its checksum and its spec before a network is built."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save

from tradeoff_core import networks
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.experiments.card import DIGITS, Card
from tradeoff_core.experiments.run_folder import RunFolder, folder_of
from tradeoff_core.experiments.spec import ExperimentSpec, spec_from_dict
from tradeoff_core.networks import Network


def start_from(network: Network, name: str) -> str:
    """Give `network` the weights of a model, of the zoo or in a folder, all but the head's; return their checksum.

    What the network has beside these, as denoising blocks, stays as it is. Raises TradeoffError if there is no such
    model, if it is damaged, or if its weights are not those of this network.
    """
    card, spec, trained = named_network(name)
    given = trained.state_dict()
    body = {key: value for key, value in given.items() if not key.startswith("head.")}
    own = network.state_dict()
    if any(key not in own or value.shape != own[key].shape for key, value in body.items()):
        raise TradeoffError(
            f"start '{name}' holds the weights of {spec.network} at {spec.width:g} of its width, which do not "
            "fit the network of this spec: choose the same network and width"
        )
    network.load_state_dict(body, strict=False)
    return card.sha256


def named_network(name: str) -> tuple[Card, ExperimentSpec, Network]:
    """The card, spec and network of a model, of the zoo or in a folder. Raises TradeoffError as `trained_network` does."""
    place = folder_of(name)
    card = place.read_card()
    spec = spec_from_dict(card.spec)
    return card, spec, trained_network(place, card, spec)


def trained_network(folder: RunFolder, card: Card, spec: ExperimentSpec) -> Network:
    """The network whose weights lie in `folder`, in eval mode and frozen, its batch norms as they were trained.

    Raises TradeoffError if the weights are missing, do not match the card's checksum or do not fit the spec; what a card
    claims takes no memory, for shapes are compared first.
    """
    content = checked(folder, card)
    try:
        network = built(content, spec, len(card.classes or DIGITS))
    except (RuntimeError, SafetensorError):
        name = folder.path.resolve().name
        raise TradeoffError(f"the weights of '{name}' do not fit the network that its card names") from None
    return networks.freeze(network)


def mapped_network(folder: RunFolder, card: Card, spec: ExperimentSpec, unpacked: Path) -> Network:
    """As `trained_network`, folded; its values lie in a file in `unpacked`, made when it is missing, and are mapped from it.

    So all processes that do so share one copy in memory.
    """
    file = unpacked / f"{card.sha256}.safetensors"
    if not file.exists():
        values = networks.fold(trained_network(folder, card, spec)).state_dict()
        write_atomically(
            file, save({name: _channels(value, -1).contiguous() for name, value in values.items()})
        )
    with torch.device("meta"):
        network = networks.fold(networks.build(spec.network, spec.width, 0, len(card.classes or DIGITS)))
    mapped = {name: _channels(value, 1) for name, value in load_file(file).items()}
    network.load_state_dict(mapped, assign=True)
    return networks.freeze(network)


def _channels(value: torch.Tensor, place: int) -> torch.Tensor:
    """A kernel (N, C, H, W) with its channels last, or from there back; as it lies in memory, not copied."""
    return value.movedim(1 if place == -1 else -1, place) if value.ndim == 4 else value


def checked(folder: RunFolder, card: Card) -> bytes:
    """The stored weights. Raises TradeoffError if they are missing or do not match the card's checksum."""
    name = folder.path.resolve().name
    if not folder.weights.is_file():
        raise TradeoffError(
            f"the weights of '{name}' are missing: there is no {folder.weights.name} beside its card"
        )
    content = folder.weights.read_bytes()
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise TradeoffError(f"the weights of '{name}' do not match the checksum on their card: get them anew")
    return content


def as_loaded(weights: bytes, spec: ExperimentSpec, classes: int) -> Network:
    """The network of stored weights as `load_network` reads it, to be measured before it has a card."""
    return networks.fold(built(weights, spec, classes))


def built(weights: bytes, spec: ExperimentSpec, classes: int) -> Network:
    """The network of a spec with stored weights. Raises RuntimeError or SafetensorError where they do not fit."""
    tensors = load(weights)
    with torch.device("meta"):  # shapes without values
        shell = networks.build(spec.network, spec.width, 0, classes).state_dict()
    if {key: value.shape for key, value in tensors.items()} != {
        key: value.shape for key, value in shell.items()
    }:
        raise RuntimeError("names or shapes differ")
    network = networks.build(spec.network, spec.width, 0, classes)
    network.load_state_dict({key: value.float() for key, value in tensors.items()})
    return network
