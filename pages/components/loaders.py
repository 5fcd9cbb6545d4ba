"""Cached doors to the core. Keys name the weights' checksum, the sample and every parameter, never images."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Generator, Tensor, cat, tensor

from pages.components import turns
from tradeoff_core import evaluation, projection, results, saliency, zoo
from tradeoff_core.attacks import Attack, perturb_at
from tradeoff_core.certification import has_bounds
from tradeoff_core.datasets import ImageDataset, Split, available, how_to_get, load_dataset, to_show
from tradeoff_core.defenses.detection import Examples, are_those, read_examples
from tradeoff_core.defenses.models import Cleansing, Finding, Inspection, cleanse, inspect_features
from tradeoff_core.errors import TradeoffError
from tradeoff_core.evaluation import Rate
from tradeoff_core.experiments import poisoned_training_set
from tradeoff_core.networks import Network
from tradeoff_core.poisoning import PoisonedDataset
from tradeoff_core.regions import Regions, find_regions
from tradeoff_core.triggers import Sticker, Trigger
from tradeoff_core.zoo import Model

SEED = 0  # of the attacks' random starts
LIVE = 1000  # test images at most on which rates are measured while a visitor waits
IN_A_ROW = {28: 9, 224: 3}  # pictures, by their side; five of those between: large ones take long to attack


def network(model: Model) -> Network:
    """The model's network: one copy, shared by every session, never changed."""
    return _network(model.sha256, model)


@st.cache_resource(max_entries=32, show_spinner=False)
def _network(sha256: str, _model: Model) -> Network:  # noqa: ARG001  # the checksum is the key
    return zoo.load_network(_model)


def shown(model: Model) -> ImageDataset | None:
    """The test images that pages show for a model: of its data set where that is here, else samples, else None."""
    name = to_show(model.spec.dataset)
    return load_dataset(name, Split.TEST) if name else None


def image_shape(model: Model) -> tuple[int, int, int]:
    """(C, H, W) of the images that pages show for a model, or that its network was made for."""
    data = shown(model)
    return data.image_shape if data else network(model).image_shape


def test_split(model: Model) -> ImageDataset:
    """As `shown`. Raises TradeoffError that says how to get the data set where there is no picture of it."""
    data = shown(model)
    if data is None:
        raise TradeoffError(how_to_get(model.spec.dataset))
    return data


def poisoned(model: Model) -> PoisonedDataset:
    """The training set of a model, poisoned as it was."""
    return _poisoned(model.spec.id, model)


@st.cache_resource(max_entries=3, show_spinner=False)
def _poisoned(spec_id: str, _model: Model) -> PoisonedDataset:  # noqa: ARG001
    return poisoned_training_set(_model.spec)


def finding(model: Model, label: int, inspection: Inspection) -> Finding:
    """What a defense finds among the training examples with this label."""
    return _finding(model.sha256, label, inspection, model)


@st.cache_resource(max_entries=64, show_spinner=False)
def _finding(sha256: str, label: int, inspection: Inspection, _model: Model) -> Finding:  # noqa: ARG001
    return inspect_features(examples(_model, label, inspection.layer).seen, inspection)


def examples(model: Model, label: int, layer: str) -> Examples:
    """The training examples with this label: from the repository where they are shipped, else read now.

    Those that are shipped stand for the pictures they were read from: where others are on this machine, as CIFAR-10
    without JPEG coding, everything is read anew. Raises TradeoffError where neither is there.
    """
    return _examples(model.sha256, label, layer, available(model.spec.dataset), model)


@st.cache_resource(max_entries=32, show_spinner="Reading the training images of the class")
def _examples(sha256: str, label: int, layer: str, here: bool, _model: Model) -> Examples:
    shipped = results.load_examples(sha256)
    if (
        shipped
        and (shipped.seen.label, shipped.layer) == (label, layer)
        and (not here or are_those(poisoned(_model).data.images, shipped.seen.index, shipped.checksum))
    ):
        return shipped
    return read_examples(network(_model), poisoned(_model), label, layer)


def cleansing(model: Model, progress: Callable[[float, NDArray[np.uint8]], None] | None) -> Cleansing | None:
    """What Neural Cleanse makes of the network; with no `progress`, None unless it was run before."""
    kept = _cleansings()
    if progress and model.sha256 not in kept:
        with turns.turn(long=True):
            kept[model.sha256] = cleanse(zoo.load_network(model, folded=False), model.spec, progress=progress)
    return kept.get(model.sha256)


@st.cache_resource(max_entries=1, show_spinner=False)
def _cleansings() -> dict[str, Cleansing]:
    return {}


def first_of_each_class(model: Model, number: int = 0) -> tuple[int, ...]:
    """Indices of the test images to show: the `number`-th of each class but the target, of the first few classes.

    None is chosen; of a class with fewer images it starts again.
    """
    data = test_split(model)
    labels = [label for label in np.unique(data.labels) if label != model.spec.target_class]
    few = labels[: IN_A_ROW.get(data.image_shape[1], 5)]
    places = [np.flatnonzero(data.labels == label) for label in few]
    return tuple(int(of_class[number % len(of_class)]) for of_class in places)


def not_of_the_target(model: Model, number: int) -> int:
    """The index of the `number`-th test image that is not of the target class; after the last it starts again."""
    others = np.flatnonzero(test_split(model).labels != model.spec.target_class)
    return int(others[number % len(others)])


def sample(model: Model, places: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Test images at these indices, float (N, C, H, W), and their labels (N,)."""
    return test_split(model).take(np.array(places)).tensors()


def live(model: Model, count: int = LIVE) -> ImageDataset:
    """The test images on which rates are measured while a visitor waits, evenly spaced."""
    return test_split(model).spread(count)


def predict(model: Model, places: tuple[int, ...], trigger: Trigger | None = None) -> NDArray[np.float32]:
    """Probabilities (N, classes) of test images, stamped if there is a trigger."""
    return _predict(model.sha256, to_show(model.spec.dataset), places, trigger, model)


@st.cache_data(max_entries=256, show_spinner=False)
def _predict(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    places: tuple[int, ...],
    trigger: Trigger | None,
    _model: Model,
) -> NDArray[np.float32]:
    images, _ = sample(_model, places)
    stamped = images if trigger is None else trigger.apply(images)
    probabilities: NDArray[np.float32] = evaluation.predict(network(_model), stamped).numpy()
    return probabilities


def adversarial_at(
    model: Model, places: tuple[int, ...], attack: Attack, epsilons: tuple[float, ...], aim: int | None = None
) -> tuple[Tensor, NDArray[np.float32]]:
    """Adversarial test images (E, N, C, H, W) at every ε, and their probabilities (E, N, classes)."""
    return _adversarial_at(model.sha256, to_show(model.spec.dataset), places, attack, epsilons, aim, model)


@st.cache_data(max_entries=64, show_spinner="Attacking")
@turns.turn()
def _adversarial_at(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    places: tuple[int, ...],
    attack: Attack,
    epsilons: tuple[float, ...],
    aim: int | None,
    _model: Model,
) -> tuple[Tensor, NDArray[np.float32]]:
    images, labels = sample(_model, places)
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
    return _accuracies(
        model.sha256, to_show(model.spec.dataset), count, attack, epsilons, aim, model, progress
    )


@st.cache_data(max_entries=64, show_spinner=False)
@turns.turn()
def _accuracies(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    count: int,
    attack: Attack,
    epsilons: tuple[float, ...],
    aim: int | None,
    _model: Model,
    _progress: Callable[[float], None],
) -> tuple[Rate, ...]:
    images, labels = live(_model, count).tensors()
    if aim is not None:
        images, labels = images[labels != aim], labels[labels != aim]
    fooled = evaluation.fooled_at(
        network(_model), images, labels, attack, epsilons, progress=_progress, aim=aim
    )
    return tuple(Rate(len(images) - int(row.sum()), len(images)) for row in fooled)


def with_a_bar(
    models: Sequence[tuple[str, Model]], doing: str, measure: Callable[[Model, Callable[[float], None]], Any]
) -> list[Any]:
    """What `measure` gives for each model; it is told where to report its share of the work."""
    bar, measured = st.progress(0.0, doing), []
    for done, (_, model) in enumerate(models):
        measured.append(
            measure(model, lambda share, done=done: bar.progress((done + share) / len(models), doing))
        )
    bar.empty()
    return measured


def stamped(model: Model, trigger: Trigger) -> tuple[Rate, NDArray[np.float64]]:
    """Backdoor success on the test images that are measured live, and where each true class goes (classes, classes)."""
    data = live(model)
    clean, triggered = (
        _read_live(model.sha256, to_show(model.spec.dataset), on, model) for on in (None, trigger)
    )
    success = evaluation.backdoor_success(clean, triggered, model.spec.target_class)
    return success, evaluation.shares_by_class(data.labels, triggered, len(data.classes))


@st.cache_data(max_entries=256, show_spinner="Reading test images")
@turns.turn()
def _read_live(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    trigger: Trigger | None,
    _model: Model,
) -> NDArray[np.int64]:
    return evaluation.predicted_classes(network(_model), live(_model).images, trigger)


def positions(
    model: Model, sticker: Sticker, count: int, stride: int, progress: Callable[[float], None]
) -> NDArray[np.float64]:
    """Backdoor success by the sticker's place, on `count` test images."""
    anywhere = replace(sticker, row=0, column=0)  # its own place does not matter here
    return _positions(model.sha256, to_show(model.spec.dataset), anywhere, count, stride, model, progress)


@st.cache_data(max_entries=64, show_spinner=False)
@turns.turn()
def _positions(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    sticker: Sticker,
    count: int,
    stride: int,
    _model: Model,
    _progress: Callable[[float], None],
) -> NDArray[np.float64]:
    images, _ = live(_model, count).tensors()
    success, _ = evaluation.success_by_position(
        network(_model), images, sticker, _model.spec.target_class, stride, _progress
    )
    return success


def regions(model: Model, places: tuple[int, ...], attack: Attack) -> Regions | None:
    """Up to which ε each test image is certified, and from which the attack breaks it; None without bounds."""
    return _regions(model.sha256, places, attack, model) if has_bounds(network(model)) else None


@st.cache_data(max_entries=64, show_spinner="Bounding and attacking at fifty ε")
@turns.turn()
def _regions(sha256: str, places: tuple[int, ...], attack: Attack, _model: Model) -> Regions:  # noqa: ARG001
    return find_regions(network(_model), *sample(_model, places), attack, SEED)


WHICH = ("target", "predicted", "true")  # class that an attribution is for


def three_images(model: Model, place: int) -> tuple[Tensor, int, NDArray[np.float32]]:
    """A test image clean, with the model's trigger on, and attacked: (3, C, H, W), its label, and what is read of each."""
    attack = model.spec.evaluation
    images, labels = sample(model, (place,))
    attacked, said = adversarial_at(model, (place,), attack, (attack.epsilon,))
    shown = cat([images, model.spec.trigger.apply(images), attacked[0]])
    read = [predict(model, (place,)), predict(model, (place,), model.spec.trigger), said[0]]
    return shown, int(labels[0]), np.concatenate(read)


def attributions(model: Model, place: int, method: saliency.Method, which: str) -> tuple[Tensor, list[int]]:
    """Attributions (3, C, H, W) of the three images for a class of WHICH, and that class for each."""
    return _attributions(model.sha256, to_show(model.spec.dataset), place, method, which, model)


@st.cache_data(max_entries=256, show_spinner="Computing attributions")
@turns.turn()
def _attributions(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    place: int,
    method: saliency.Method,
    which: str,
    _model: Model,
) -> tuple[Tensor, list[int]]:
    images, label, read = three_images(_model, place)
    classes = {
        "target": [_model.spec.target_class] * 3,
        "predicted": read.argmax(1).tolist(),
        "true": [label] * 3,
    }[which]
    return saliency.attribute(network(_model), images, tensor(classes), method, SEED), classes


def crowd(model: Model, count: int) -> projection.Crowd:
    """Clean, poisoned, stamped and adversarial images as the model's network sees them, at most `count` of each."""
    return _crowd(model.sha256, to_show(model.spec.dataset), available(model.spec.dataset), count, model)


@st.cache_resource(max_entries=16, show_spinner="Reading, stamping and attacking images")
@turns.turn()
def _crowd(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    here: bool,
    count: int,
    _model: Model,
) -> projection.Crowd:
    training = poisoned(_model) if here and not _model.trained_elsewhere else None
    return projection.gather(network(_model), _model.spec, test_split(_model), training, count)


def laid_out(
    model: Model, count: int, dimensions: int, tsne: bool, progress: Callable[[float], None]
) -> NDArray[np.float64]:
    """The crowd's features in a plane or in space (N, 2 or 3)."""
    return _laid_out(
        model.sha256,
        to_show(model.spec.dataset),
        available(model.spec.dataset),
        count,
        dimensions,
        tsne,
        model,
        progress,
    )


@st.cache_data(max_entries=32, show_spinner=False)
@turns.turn()
def _laid_out(
    sha256: str,  # noqa: ARG001
    data: str | None,  # noqa: ARG001
    here: bool,  # noqa: ARG001
    count: int,
    dimensions: int,
    tsne: bool,
    _model: Model,
    _progress: Callable[[float], None],
) -> NDArray[np.float64]:
    features = crowd(_model, count).features
    if tsne:
        return projection.neighbours(features, dimensions, _progress)
    return projection.principal(features, dimensions)[0]
