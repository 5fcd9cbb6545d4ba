"""A trained network that poison is made with, and what poisoning asks of it: poisoning itself knows of no network."""

from typing import TYPE_CHECKING

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import perturb
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset
from tradeoff_core.experiments.weights import named_network
from tradeoff_core.networks import Network, fold
from tradeoff_core.poisoning.poison import Perturbed

if TYPE_CHECKING:
    from torch import Tensor

    from tradeoff_core.poisoning.poison import Perturb


def surrogate(name: str, data: ImageDataset) -> Network:
    """The network of a model, of the zoo or in a folder, frozen. Raises TradeoffError if it is none for these images."""
    _, _, trained = named_network(name)
    network = fold(trained)
    if (network.image_shape, network.classes) != (data.image_shape, len(data.classes)):
        told = " x ".join(map(str, network.image_shape))
        raise TradeoffError(
            f"model '{name}' tells {network.classes} classes of images of {told} apart, which those of {data.name} are not: "
            "choose one that was trained on them"
        )
    return network


def perturber(perturbed: Perturbed, data: ImageDataset) -> "Perturb":
    """What perturbs images as `perturbed` says, for `poison_dataset`. Raises TradeoffError as `surrogate`."""
    network = surrogate(perturbed.model, data)
    attack = Attack(epsilon=perturbed.epsilon, steps=perturbed.steps, random_start=False)

    def perturb_all(images: "Tensor", labels: "Tensor") -> "Tensor":
        return perturb(network, images, labels, attack)

    return perturb_all
