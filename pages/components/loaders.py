"""Cached doors to the core. Keys name the weights' checksum, the sample and every parameter, never images."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Generator, Tensor

from tradeoff_core import evaluation, zoo
from tradeoff_core.attacks import Attack, perturb_at
from tradeoff_core.certification import has_bounds
from tradeoff_core.datasets import ImageDataset, Split, load_dataset
from tradeoff_core.defenses.detection import ClassFeatures, class_features
from tradeoff_core.defenses.models import Cleansing, Finding, Inspection, cleanse, inspect_features
from tradeoff_core.evaluation import Rate
from tradeoff_core.experiments import poisoned_training_set
from tradeoff_core.networks import Network
from tradeoff_core.poisoning import PoisonedDataset
from tradeoff_core.regions import Regions, find_regions
from tradeoff_core.triggers import Sticker, Trigger
from tradeoff_core.zoo import Model

SEED = 0  # of the attacks' random starts


def network(model: Model) -> Network:
    """The model's network: one copy, shared by every session, never changed."""
    return _network(model.sha256, model)


@st.cache_resource(max_entries=32, show_spinner=False)
def _network(sha256: str, _model: Model) -> Network:  # noqa: ARG001  # the checksum is the key
    return zoo.load_network(_model)


def test_split(model: Model) -> ImageDataset:
    """The test images of the data set that the model was trained on."""
    return load_dataset(model.spec.dataset, Split.TEST)


def poisoned(model: Model) -> PoisonedDataset:
    """The training set of a model, poisoned as it was."""
    return _poisoned(model.spec.id, model)


@st.cache_resource(max_entries=8, show_spinner=False)
def _poisoned(spec_id: str, _model: Model) -> PoisonedDataset:  # noqa: ARG001
    return poisoned_training_set(_model.spec)


def finding(model: Model, label: int, inspection: Inspection) -> Finding:
    """What a defense finds among the training examples with this label."""
    return _finding(model.sha256, label, inspection, model)


@st.cache_resource(max_entries=64, show_spinner=False)
def _finding(sha256: str, label: int, inspection: Inspection, _model: Model) -> Finding:
    return inspect_features(_features(sha256, label, inspection.layer, _model), inspection)


@st.cache_resource(max_entries=32, show_spinner=False)
def _features(sha256: str, label: int, layer: str, _model: Model) -> ClassFeatures:  # noqa: ARG001
    return class_features(network(_model), poisoned(_model), label, layer)


def read_training_set(model: Model) -> NDArray[np.int64]:
    """What the network says (N,) of each of its training examples."""
    return _read_training_set(model.sha256, model)


@st.cache_resource(max_entries=16, show_spinner=False)
def _read_training_set(sha256: str, _model: Model) -> NDArray[np.int64]:  # noqa: ARG001
    return evaluation.predicted_classes(network(_model), poisoned(_model).data.tensors()[0])


def cleansing(model: Model, progress: Callable[[float, NDArray[np.uint8]], None] | None) -> Cleansing | None:
    """What Neural Cleanse makes of the network; with no `progress`, None unless it was run before."""
    kept = _cleansings()
    if progress and model.sha256 not in kept:
        kept[model.sha256] = cleanse(zoo.load_network(model, folded=False), model.spec, progress=progress)
    return kept.get(model.sha256)


@st.cache_resource(max_entries=1, show_spinner=False)
def _cleansings() -> dict[str, Cleansing]:
    return {}


def first_of_each_class(model: Model, skip: int, number: int = 0) -> tuple[int, ...]:
    """Indices of the test digits to show: the `number`-th of every class but the target, not chosen."""
    labels = test_split(model).labels
    classes = range(len(test_split(model).classes))
    return tuple(int(np.flatnonzero(labels == label)[number]) for label in classes if label != skip)


def sample(model: Model, digits: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Test images at these indices, float (N, C, H, W), and their labels (N,)."""
    return test_split(model).take(np.array(digits)).tensors()


def predict(model: Model, digits: tuple[int, ...], trigger: Trigger | None = None) -> NDArray[np.float32]:
    """Probabilities (N, classes) of test images, stamped if there is a trigger."""
    return _predict(model.sha256, digits, trigger, model)


@st.cache_data(max_entries=256, show_spinner=False)
def _predict(
    sha256: str,  # noqa: ARG001
    digits: tuple[int, ...],
    trigger: Trigger | None,
    _model: Model,
) -> NDArray[np.float32]:
    images, _ = sample(_model, digits)
    stamped = images if trigger is None else trigger.apply(images)
    probabilities: NDArray[np.float32] = evaluation.predict(network(_model), stamped).numpy()
    return probabilities


def adversarial_at(
    model: Model, digits: tuple[int, ...], attack: Attack, epsilons: tuple[float, ...], aim: int | None = None
) -> tuple[Tensor, NDArray[np.float32]]:
    """Adversarial test images (E, N, C, H, W) at every ε, and their probabilities (E, N, classes)."""
    return _adversarial_at(model.sha256, digits, attack, epsilons, aim, model)


@st.cache_data(max_entries=64, show_spinner=False)
def _adversarial_at(
    sha256: str,  # noqa: ARG001
    digits: tuple[int, ...],
    attack: Attack,
    epsilons: tuple[float, ...],
    aim: int | None,
    _model: Model,
) -> tuple[Tensor, NDArray[np.float32]]:
    images, labels = sample(_model, digits)
    if aim is not None:
        labels = labels.new_full(labels.shape, aim)
    net = network(_model)
    adversarial = perturb_at(net, images, labels, attack, epsilons, Generator().manual_seed(SEED))
    probabilities = evaluation.predict(net, adversarial.flatten(0, 1)).unflatten(0, adversarial.shape[:2])
    return adversarial, probabilities.numpy()


def accuracies(
    model: Model,
    count: int,
    attack: Attack,
    epsilons: tuple[float, ...],
    aim: int | None,
    progress: Callable[[float], None],
) -> tuple[Rate, ...]:
    """Accuracy at every ε on `count` test images; with an aim, the share not driven to it."""
    return _accuracies(model.sha256, count, attack, epsilons, aim, model, progress)


@st.cache_data(max_entries=64, show_spinner=False)
def _accuracies(
    sha256: str,  # noqa: ARG001
    count: int,
    attack: Attack,
    epsilons: tuple[float, ...],
    aim: int | None,
    _model: Model,
    _progress: Callable[[float], None],
) -> tuple[Rate, ...]:
    images, labels = test_split(_model).spread(count).tensors()
    if aim is not None:
        images, labels = images[labels != aim], labels[labels != aim]
    fooled = evaluation.fooled_at(
        network(_model), images, labels, attack, epsilons, progress=_progress, aim=aim
    )
    return tuple(Rate(len(images) - int(row.sum()), len(images)) for row in fooled)


def stamped(model: Model, trigger: Trigger) -> tuple[Rate, NDArray[np.float64]]:
    """Backdoor success on the whole test split, and where each true class goes (classes, classes)."""
    data = test_split(model)
    everything = tuple(range(len(data)))
    clean = predict(model, everything).argmax(1)
    triggered = predict(model, everything, trigger).argmax(1)
    success = evaluation.backdoor_success(clean, triggered, model.spec.target_class)
    return success, evaluation.shares_by_class(data.labels, triggered, len(data.classes))


def positions(
    model: Model, sticker: Sticker, count: int, stride: int, progress: Callable[[float], None]
) -> NDArray[np.float64]:
    """Backdoor success by the sticker's place, on `count` test images."""
    anywhere = replace(sticker, row=0, column=0)  # its own place does not matter here
    return _positions(model.sha256, anywhere, count, stride, model, progress)


@st.cache_data(max_entries=64, show_spinner=False)
def _positions(
    sha256: str,  # noqa: ARG001
    sticker: Sticker,
    count: int,
    stride: int,
    _model: Model,
    _progress: Callable[[float], None],
) -> NDArray[np.float64]:
    images, _ = test_split(_model).spread(count).tensors()
    success, _ = evaluation.success_by_position(
        network(_model), images, sticker, _model.spec.target_class, stride, _progress
    )
    return success


def regions(model: Model, digits: tuple[int, ...], attack: Attack) -> Regions | None:
    """Up to which ε each test digit is certified, and from which the attack breaks it; None without bounds."""
    return _regions(model.sha256, digits, attack, model) if has_bounds(network(model)) else None


@st.cache_data(max_entries=64, show_spinner="Bounding and attacking at fifty ε")
def _regions(sha256: str, digits: tuple[int, ...], attack: Attack, _model: Model) -> Regions:  # noqa: ARG001
    return find_regions(network(_model), *sample(_model, digits), attack, SEED)
