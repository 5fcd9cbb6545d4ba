"""What pages compute while nothing on them was changed: shipped for the zoo, and looked up by all that decides it.

A network's file is named by its weights' checksum; a key in it by what was computed, its settings, and the very pictures
and labels. So other weights, other pictures and other settings find nothing, and are computed.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradeoff_core.attacks.attack import Attack
from tradeoff_core.attacks.gradient import perturb, perturb_at
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.datasets import (
    DATASETS,
    UNREADABLE,
    ImageDataset,
    Split,
    in_the_repository,
    load_dataset,
    to_tensor,
)
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.explanations import feature_plane
from tradeoff_core.explanations.attribution import Method, attribute
from tradeoff_core.explanations.sticker_share import MEASURED_METHODS, Correlation, correlate
from tradeoff_core.findings import results
from tradeoff_core.findings.results import Cause
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import Network, inference
from tradeoff_core.poisoning.poison import PoisonLabels
from tradeoff_core.poisoning.triggers import Trigger, default_sticker

FOLDER = RESULTS / "first-draws"
CORRELATIONS = "correlations"  # the name of their file
SEED = 0  # of the attacks' random starts
PHOTOGRAPH = 224  # pixels of a side
IN_A_ROW = {28: 9, 224: 3}  # pictures, by their side; five of those between: large ones take long to attack
STEPS = 10  # of the attack on Perturbations
EACH = 200  # images of a group on Features
LEVELS = (0.5, 1, 2, 4, 8, 16)  # of the attack on a photograph: ε of 255
LEVEL, PHOTOGRAPH_STEPS = (
    2,
    5,
)  # the ε that it begins with, and its steps: ten turn no more samples into something else


@dataclass(frozen=True, slots=True)
class Draw:
    """Something that is computed with a network, and the key of all that decides it beside the weights."""

    key: str
    compute: Callable[[Network], NDArray[Any]]


Result = Callable[[Draw], NDArray[Any]]


def key_of(*decides: object) -> str:
    """A checksum of settings, by what `repr` says of them, and of arrays, by their values."""
    digest = hashlib.sha256()
    for one in decides:
        if isinstance(one, np.ndarray | Tensor):
            values = np.ascontiguousarray(one)
            digest.update(f"{values.dtype} {values.shape}".encode() + values.tobytes())
        else:
            digest.update(repr(one).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def attacked_at(images: Tensor, labels: Tensor, attack: Attack, epsilons: tuple[float, ...]) -> Draw:
    """Adversarial images at every ε, float32 (E, N, C, H, W)."""
    return Draw(
        key_of("at", attack, epsilons, SEED, images, labels),
        lambda network: perturb_at(
            network, images, labels, attack, epsilons, torch.Generator().manual_seed(SEED)
        ).numpy(),
    )


def attacked_crowd(pixels: NDArray[np.uint8], labels: NDArray[np.int64], attack: Attack, seed: int) -> Draw:
    """Images uint8 (N, H, W, C) after the attack, as they are shown among the features."""
    return Draw(
        key_of("crowd", attack, seed, pixels, labels),
        lambda network: feature_plane.attacked(network, pixels, labels, attack, seed),
    )


def laid_out(
    pixels: NDArray[np.uint8], dimensions: int, progress: Callable[[float], None] | None = None
) -> Draw:
    """The t-SNE embedding, float32 (N, dimensions), of what a network sees in images uint8 (N, H, W, C)."""

    def compute(network: Network) -> NDArray[np.float32]:
        features = inference.features_of(network, pixels, network.layers[-1])
        return feature_plane.neighbours(features, dimensions, progress).astype(np.float32)

    return Draw(key_of("t-SNE", dimensions, pixels), compute)


def attacked_photograph(picture: NDArray[np.uint8], epsilon: float, steps: int) -> Draw:
    """A photograph uint8 (H, W, C) driven away from what the network says, float32 (1, C, H, W)."""
    attack = Attack(epsilon=epsilon, steps=steps)

    def compute(network: Network) -> NDArray[np.float32]:
        images = to_tensor(picture[None])
        said = inference.predict(network, images).argmax(1)
        return perturb(network, images, said, attack, torch.Generator().manual_seed(SEED)).numpy()

    return Draw(key_of("photograph", attack, SEED, picture), compute)


def probabilities(images: Tensor, trigger: Trigger | None = None) -> Draw:
    """What the network says (N, classes) of images, stamped if there is a trigger."""
    return Draw(
        key_of("probabilities", trigger, images),
        lambda network: inference.predict(
            network, images if trigger is None else trigger.apply(images)
        ).numpy(),
    )


def attributed(images: Tensor, classes: list[int], method: Method) -> Draw:
    """What speaks for a class in each image (N, C, H, W), as `attribute` has it."""
    return Draw(
        key_of("attributed", method, classes, SEED, images),
        lambda network: attribute(network, images, torch.tensor(classes), method, SEED).numpy(),
    )


def of_each_class(data: ImageDataset, target: int, number: int = 0) -> tuple[int, ...]:
    """Indices of the test images to show: the `number`-th of each class but the target, of the first few classes.

    None is chosen; of a class with fewer images it starts again.
    """
    labels = [label for label in np.unique(data.labels) if label != target]
    few = labels[: IN_A_ROW.get(data.image_shape[1], 5)]
    places = [np.flatnonzero(data.labels == label) for label in few]
    return tuple(int(of_class[number % len(of_class)]) for of_class in places)


def not_of(data: ImageDataset, target: int, number: int = 0) -> int:
    """The index of the `number`-th test image that is not of the target class; after the last it starts again."""
    others = np.flatnonzero(data.labels != target)
    return int(others[number % len(others)])


def attack_by_size(channels: int) -> tuple[Attack, tuple[float, ...]]:
    """The attack of Perturbations on images with so many channels, and its ε."""
    epsilons = results.epsilons(channels)
    return Attack(epsilon=epsilons[-1], steps=STEPS), epsilons


def of_digits_or_colours(model: Model, data: ImageDataset, result: Result) -> None:
    """Ask `result` for everything that pages show of a model's test images, in the pages' order."""
    spec, evaluation = model.spec, model.spec.evaluation

    def said(images: Tensor) -> NDArray[np.float32]:
        return result(probabilities(images))

    def attacked(
        images: Tensor, labels: Tensor, attack: Attack, epsilons: tuple[float, ...]
    ) -> tuple[Tensor, NDArray[np.float32]]:
        adversarial = torch.from_numpy(result(attacked_at(images, labels, attack, epsilons)))
        return adversarial[0], said(adversarial.flatten(0, 1))

    images, labels = data.take(np.array(of_each_class(data, spec.target_class))).tensors()
    attacked(images, labels, evaluation, (evaluation.epsilon,))
    attacked(images, labels, *attack_by_size(images.shape[1]))
    said(images)
    result(probabilities(images, spec.trigger))
    training = poisoned_training_set(spec) if in_the_repository(spec.dataset) == spec.dataset else None
    crowd, *_ = feature_plane.pictured(
        spec,
        data,
        training,
        lambda pixels, labels: result(attacked_crowd(pixels, labels, evaluation, spec.seed)),
        EACH,
    )
    result(laid_out(crowd, 2))
    image, label = data.take(np.array([not_of(data, spec.target_class)])).tensors()
    adversarial, _ = attacked(image, label, evaluation, (evaluation.epsilon,))
    said(image)
    result(probabilities(image, spec.trigger))
    three = torch.cat([image, spec.trigger.apply(image), adversarial])
    result(attributed(three, [spec.target_class] * 3, Method.INPUT_GRADIENT))


def of_a_photograph(data: ImageDataset, result: Result) -> None:
    """Ask `result` for everything that the page of photographs shows of the first sample, at every ε."""
    picture, images = data.images[0], to_tensor(data.images[:1])
    stamped = default_sticker(images.shape[2]).apply(images)
    attacked = (attacked_photograph(picture, level / 255, PHOTOGRAPH_STEPS) for level in LEVELS)
    for one in (images, stamped, *(torch.from_numpy(result(draw)) for draw in attacked)):
        answer = int(result(probabilities(one)).argmax())
        result(attributed(one, [answer], Method.GRAD_CAM))


def walk(model: Model, result: Result) -> None:
    """Ask `result` for all that is shipped for a model; nothing where the repository has no picture for it."""
    name = in_the_repository(model.spec.dataset)
    if name is None:
        return
    data = load_dataset(name, Split.TEST)
    if data.image_shape[1] == PHOTOGRAPH:
        of_a_photograph(data, result)
    else:
        of_digits_or_colours(model, data, result)


def rising_together(causes: Sequence[Cause], method: Method) -> Correlation | None:
    """How the share of the attribution that lies on the sticker rises with backdoor success: shipped, else computed now."""
    pairs = _pairs(causes, method)
    found = load(CORRELATIONS).get(key_of(*pairs))
    return correlate(*pairs) if found is None else Correlation(float(found[0]), float(found[1]), len(causes))


def _pairs(causes: Sequence[Cause], method: Method) -> tuple[list[float], list[float]]:
    return [cause.shares[method][1].value for cause in causes], [cause.success.value for cause in causes]


def clean_label(causes: Sequence[Cause]) -> list[Cause]:
    """Those whose poison is on true images of the target class."""
    return [cause for cause in causes if cause.spec.poison and cause.spec.poison.labels is PoisonLabels.CLEAN]


def correlations() -> dict[str, NDArray[np.float64]]:
    """What `rising_together` finds, its value and p, of all networks with a sticker and of those with clean labels, by key."""
    made = {}
    for name in DATASETS:
        stickers = [cause for cause in results.causes(name) if cause.shares]
        for method, causes in product(MEASURED_METHODS, (stickers, clean_label(stickers))):
            pairs = _pairs(causes, method)
            if found := correlate(*pairs):
                made[key_of(*pairs)] = np.array([found.value, found.p])
    return made


def shipped_or_computed(model: Model, network: Callable[[], Network], draw: Draw) -> NDArray[Any]:
    """What was drawn: shipped, else computed now; a network is asked for only then.

    Raises TradeoffError if the model's weights are not those of its card.
    """
    shipped = load(model.sha256).get(draw.key)
    if shipped is None:
        return draw.compute(network())
    zoo.check_weights(model)
    return shipped


@lru_cache(maxsize=64)
def load(of: str) -> dict[str, NDArray[Any]]:
    """What is shipped, by key, of the weights with this checksum or of CORRELATIONS; not to be changed.

    Nothing where that cannot be read.
    """
    try:
        with np.load(FOLDER / f"{of[:16]}.npz", allow_pickle=False) as archive:
            return dict(archive)
    except UNREADABLE:
        return {}


def save(of: str, drawn: dict[str, NDArray[Any]]) -> None:
    """Ship what was computed, by key, as `load` finds it."""
    archive = io.BytesIO()
    np.savez_compressed(archive, allow_pickle=False, **drawn)
    write_atomically(FOLDER / f"{of[:16]}.npz", archive.getvalue())
    load.cache_clear()
