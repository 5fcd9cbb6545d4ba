"""What the pages compute, kept. A key names the weights' checksum, the pictures and every parameter, never images.

A cached function calls no Streamlit: what it drew, Streamlit would draw again on the next visitor's page, and fail. What
moves a bar while it computes is kept in a `Place` instead.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor, cat, from_numpy

from pages.components import visitors_turn
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.certification.bounds import has_bounds
from tradeoff_core.certification.regions import Regions, find_regions
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset, Split, available, how_to_get, load_dataset, to_show
from tradeoff_core.defenses.applied import Cleansing, Finding, Inspection, cleanse, inspect_features
from tradeoff_core.defenses.detection import Examples, are_those, read_examples
from tradeoff_core.evaluation import outcomes
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.explanations import attribution, feature_plane
from tradeoff_core.findings import first_draws, results
from tradeoff_core.inspection.table import Table, tabulate
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import Network, inference
from tradeoff_core.poisoning.poison import PoisonedDataset
from tradeoff_core.poisoning.triggers import Sticker, Trigger
from tradeoff_core.rates import Rate

SEED = first_draws.SEED
LIVE = 1000  # test images at most on which rates are measured while a visitor waits


def key_of(model: Model) -> tuple[str, str | None, bool]:
    """What is computed with a model holds for: its weights, the pictures that are shown, all of them here or not."""
    name = model.spec.dataset
    return model.sha256, to_show(name), available(name)


OF_MODEL = {Model: key_of}  # the cached functions' keys: a model itself is no key, its card may be read anew
OF_WEIGHTS = {Model: lambda model: model.sha256}


@st.cache_resource(max_entries=32, show_spinner=False, hash_funcs=OF_WEIGHTS)
def network(model: Model) -> Network:
    """The model's network: one copy, shared by every session, never changed."""
    return zoo.load_network(model)


@dataclass(slots=True)
class Place:
    """Where a value is kept that is computed once, by the first visitor who asks: the others wait for it."""

    value: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def filled(self, compute: Callable[[], Any]) -> Any:
        """The value, computed now unless it is there."""
        with self.lock:
            if self.value is None:
                self.value = compute()
            return self.value


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs=OF_MODEL)
def place_of(what: str, model: Model, *settings: Any) -> Place:  # noqa: ARG001  # they are the key
    """The place of what was or will be computed with a model at some settings; only the place is cached."""
    return Place()


def forget_pictures() -> None:
    """Forget what was computed, as of pictures that lie in the folder of others by now."""
    st.cache_data.clear()
    for function in (place_of, crowd, poisoned_by, examples, finding, table):
        function.clear()


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
    return poisoned_by(model.spec)


@st.cache_resource(
    max_entries=3,
    show_spinner=False,
    hash_funcs={
        ExperimentSpec: lambda spec: repr((spec.dataset, spec.poison, spec.seed, spec.images, spec.removed))
    },
)
def poisoned_by(spec: ExperimentSpec) -> PoisonedDataset:
    """The training set of a spec, poisoned as it says; how it trains changes nothing."""
    return poisoned_training_set(spec)


@st.cache_resource(max_entries=64, show_spinner=False, hash_funcs=OF_MODEL)
def finding(model: Model, label: int, inspection: Inspection) -> Finding:
    """What a defense finds among the training examples with this label."""
    return inspect_features(examples(model, label, inspection.layer).seen, inspection)


@st.cache_resource(
    max_entries=32, show_spinner="Reading the training images of the class", hash_funcs=OF_MODEL
)
def examples(model: Model, label: int, layer: str) -> Examples:
    """The training examples with this label: from the repository where they are shipped, else read now.

    Those that are shipped stand for the pictures they were read from: where others are on this machine, as CIFAR-10
    without JPEG coding, everything is read anew. Raises TradeoffError where neither is there.
    """
    shipped = results.load_examples(model.sha256)
    if (
        shipped
        and (shipped.seen.label, shipped.layer) == (label, layer)
        and (
            not available(model.spec.dataset)
            or are_those(poisoned(model).data.images, shipped.seen.index, shipped.checksum)
        )
    ):
        return shipped
    return read_examples(network(model), poisoned(model), label, layer)


@st.cache_resource(
    max_entries=16, show_spinner="Scoring the training images of the class", hash_funcs=OF_MODEL
)
@visitors_turn.turn()
def table(model: Model, label: int, layer: str) -> Table:
    """Every score of the training examples with this label, in all ways there are."""
    triggers = results.load_triggers(model.sha256)
    return tabulate(network(model), examples(model, label, layer), poisoned(model), triggers)


def cleansing(model: Model, progress: Callable[[float, NDArray[np.uint8]], None] | None) -> Cleansing | None:
    """What Neural Cleanse makes of the network; with no `progress`, None unless it was run before."""
    place = place_of("cleansing", model)
    found: Cleansing | None = place.value
    if progress is None or found is not None:
        return found
    with visitors_turn.turn(long=True):
        found = place.filled(
            lambda: cleanse(zoo.load_network(model, folded=False), model.spec, progress=progress)
        )
    return found


def first_of_each_class(model: Model, number: int = 0) -> tuple[int, ...]:
    """Indices of the test images to show, as `first_draws.of_each_class` has them."""
    return first_draws.of_each_class(test_split(model), model.spec.target_class, number)


def not_of_the_target(model: Model, number: int) -> int:
    """The index of the `number`-th test image that is not of the target class; after the last it starts again."""
    return first_draws.not_of(test_split(model), model.spec.target_class, number)


def drawn(model: Model, draw: first_draws.Draw) -> NDArray[Any]:
    """What was drawn with the model's network: shipped, else computed now."""
    return first_draws.shipped_or_computed(model, lambda: network(model), draw)


def sample(model: Model, places: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Test images at these indices, float (N, C, H, W), and their labels (N,)."""
    return test_split(model).take(np.array(places)).tensors()


def live(model: Model, count: int = LIVE) -> ImageDataset:
    """The test images on which rates are measured while a visitor waits, evenly spaced."""
    return test_split(model).spread(count)


@st.cache_data(max_entries=256, show_spinner=False, hash_funcs=OF_MODEL)
def predict(model: Model, places: tuple[int, ...], trigger: Trigger | None = None) -> NDArray[np.float32]:
    """Probabilities (N, classes) of test images, stamped if there is a trigger."""
    return drawn(model, first_draws.probabilities(sample(model, places)[0], trigger))


@st.cache_data(max_entries=64, show_spinner="Attacking", hash_funcs=OF_MODEL)
@visitors_turn.turn()
def adversarial_at(
    model: Model, places: tuple[int, ...], attack: Attack, epsilons: tuple[float, ...], aim: int | None = None
) -> tuple[Tensor, NDArray[np.float32]]:
    """Adversarial test images (E, N, C, H, W) at every ε, and their probabilities (E, N, classes)."""
    images, labels = sample(model, places)
    if aim is not None:
        labels = labels.new_full(labels.shape, aim)
    adversarial = from_numpy(drawn(model, first_draws.attacked_at(images, labels, attack, epsilons)))
    said = drawn(model, first_draws.probabilities(adversarial.flatten(0, 1)))
    return adversarial, said.reshape(*adversarial.shape[:2], -1)


def accuracies(
    model: Model,
    count: int,
    attack: Attack,
    epsilons: tuple[float, ...],
    aim: int | None,
    progress: Callable[[float], None],
) -> tuple[Rate, ...]:
    """Accuracy at every ε on `count` test images; with an aim, the share not driven to it."""

    @visitors_turn.turn()
    def measure() -> tuple[Rate, ...]:
        images, labels = live(model, count).tensors()
        if aim is not None:
            images, labels = images[labels != aim], labels[labels != aim]
        fooled = outcomes.fooled_at(
            network(model), images, labels, attack, epsilons, progress=progress, aim=aim
        )
        return tuple(Rate(len(images) - int(row.sum()), len(images)) for row in fooled)

    rates: tuple[Rate, ...] = place_of("accuracies", model, count, attack, epsilons, aim).filled(measure)
    return rates


def with_a_bar(
    models: Sequence[tuple[str, Model]], doing: str, measure: Callable[[Model, Callable[[float], None]], Any]
) -> list[Any]:
    """What `measure` gives for each model; it is told where to report its share of the work. Not for cached functions."""
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
    clean, triggered = (read_live(model, on) for on in (None, trigger))
    success = outcomes.backdoor_success(clean, triggered, model.spec.target_class)
    return success, outcomes.shares_by_class(data.labels, triggered, len(data.classes))


@st.cache_data(max_entries=256, show_spinner="Reading test images", hash_funcs=OF_MODEL)
@visitors_turn.turn()
def read_live(model: Model, trigger: Trigger | None) -> NDArray[np.int64]:
    """What the network reads (N,) in the test images that are measured live, stamped if there is a trigger."""
    return inference.predicted_classes(network(model), live(model).images, trigger)


def positions(
    model: Model, sticker: Sticker, count: int, stride: int, progress: Callable[[float], None]
) -> NDArray[np.float64]:
    """Backdoor success by the sticker's place, on `count` test images."""
    anywhere = replace(sticker, row=0, column=0)  # its own place does not matter here

    @visitors_turn.turn()
    def measure() -> NDArray[np.float64]:
        images, _ = live(model, count).tensors()
        success, _ = outcomes.success_by_position(
            network(model), images, anywhere, model.spec.target_class, stride, progress
        )
        return success

    success: NDArray[np.float64] = place_of("positions", model, anywhere, count, stride).filled(measure)
    return success


@st.cache_data(max_entries=64, show_spinner="Bounding and attacking at fifty ε", hash_funcs=OF_MODEL)
@visitors_turn.turn()
def regions(model: Model, places: tuple[int, ...], attack: Attack) -> Regions | None:
    """Up to which ε each test image is certified, and from which the attack breaks it; None without bounds."""
    net = network(model)
    return find_regions(net, *sample(model, places), attack, SEED) if has_bounds(net) else None


WHICH = ("target", "predicted", "true")  # class that an attribution is for


def three_images(model: Model, place: int) -> tuple[Tensor, int, NDArray[np.float32]]:
    """A test image clean, with the model's trigger on, and attacked: (3, C, H, W), its label, and what is read of each."""
    attack = model.spec.evaluation
    images, labels = sample(model, (place,))
    attacked, said = adversarial_at(model, (place,), attack, (attack.epsilon,))
    shown = cat([images, model.spec.trigger.apply(images), attacked[0]])
    read = [predict(model, (place,)), predict(model, (place,), model.spec.trigger), said[0]]
    return shown, int(labels[0]), np.concatenate(read)


@st.cache_data(max_entries=256, show_spinner="Computing attributions", hash_funcs=OF_MODEL)
@visitors_turn.turn()
def attributions(
    model: Model, place: int, method: attribution.Method, which: str
) -> tuple[Tensor, list[int]]:
    """Attributions (3, C, H, W) of the three images for a class of WHICH, and that class for each."""
    images, label, read = three_images(model, place)
    classes = {
        "target": [model.spec.target_class] * 3,
        "predicted": read.argmax(1).tolist(),
        "true": [label] * 3,
    }[which]
    return from_numpy(drawn(model, first_draws.attributed(images, classes, method))), classes


@st.cache_resource(max_entries=16, show_spinner=False, hash_funcs=OF_MODEL)
@visitors_turn.turn()
def crowd(model: Model, count: int) -> feature_plane.Crowd:
    """Clean, poisoned, stamped and adversarial images as the model's network sees them, at most `count` of each."""
    here = available(model.spec.dataset) and not model.trained_elsewhere
    training = poisoned(model) if here else None

    def attacked(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
        return drawn(
            model, first_draws.attacked_crowd(pixels, labels, model.spec.evaluation, model.spec.seed)
        )

    return feature_plane.gather(network(model), model.spec, test_split(model), training, attacked, count)


def laid_out(
    model: Model, count: int, dimensions: int, tsne: bool, progress: Callable[[float], None]
) -> NDArray[np.float64]:
    """The crowd's features in a plane or in space (N, 2 or 3)."""

    @visitors_turn.turn()
    def lay_out() -> NDArray[np.float64]:
        seen = crowd(model, count)
        if tsne:
            return drawn(model, first_draws.laid_out(seen.images, dimensions, progress))
        return feature_plane.principal(seen.features, dimensions)[0]

    points: NDArray[np.float64] = place_of("laid out", model, count, dimensions, tsne).filled(lay_out)
    return points
