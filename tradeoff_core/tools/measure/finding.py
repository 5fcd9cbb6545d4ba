"""What each detector says of a poisoned network: assets/results/finding-*.jsonl, a line a network and detector.

Of the target class's training examples as many are removed as are poisoned, and chance is what removing as many at random
finds. STRIP and SCALE-UP have a second line, `when` "test": of test images of other classes, clean and stamped, the share that
they refuse, and chance is the share that they refuse of both. `seconds` is the scoring, without the reading of features.

Of a network without its losses by epoch, as those of the zoo, the first epochs are trained again.
"""

import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.defenses.finding import AT_TEST_TIME, Finder, at_test_time, find
from tradeoff_core.defenses.loss_isolation import FIRST
from tradeoff_core.experiments.run import fresh_network, poisoned_training_set
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks.inference import Floats, predict
from tradeoff_core.poisoning.poison import PoisonedDataset
from tradeoff_core.tools.measure.detection import evidence_of, examples_of
from tradeoff_core.tools.measure.lines import Line
from tradeoff_core.tools.measure.networks import is_digits
from tradeoff_core.training.loop import Progress, train

TESTED = 200  # test images that are read clean and stamped, at most


def applies(model: Model) -> bool:
    """Whether there is poison to find, among digits: of photographs ASSET and the first epochs would take hours."""
    return model.spec.poison is not None and is_digits(model)


def lines(model: Model) -> list[Line]:
    """A line for each detector, and one more for each that can be asked at test time."""
    spec = model.spec
    evidence = evidence_of(
        model, losses_of(model, poisoned_training_set(spec), examples_of(model).seen.index)
    )
    made = [_line(model, finder, "training", lambda one: find(one, evidence)) for finder in Finder]
    test = load_dataset(spec.dataset, Split.TEST).spread(TESTED)

    def refused(finder: Finder) -> Detection:
        return at_test_time(
            finder, evidence.network, test, spec.trigger, spec.target_class, evidence.clean, spec.seed
        )

    return made + [_line(model, finder, "test", refused) for finder in AT_TEST_TIME]


def _line(model: Model, finder: Finder, when: str, ask: Callable[[Finder], Detection]) -> Line:
    started = time.perf_counter()
    detection = ask(finder)
    seconds = time.perf_counter() - started
    numbers = detection.document()
    return {
        "run": model.spec.id,
        "sha256": model.sha256,
        "finder": finder.value,
        "when": when,
        "n": numbers.pop("n_target"),
        **{name: round(value, 6) for name, value in numbers.items() if name != "mean_deviation"},
        "seconds": round(seconds, 3),
        "spec": spec_to_dict(model.spec),
    }


def losses_of(model: Model, training: PoisonedDataset, index: NDArray[np.int64]) -> Floats:
    """What the examples at `index` (N,) of the target class cost after each epoch (epochs, N), at least the first ones."""
    kept = RunFolder(model.folder).losses(model.spec.target_class, len(index))
    return np.array(kept) if kept else first_losses(model, training, index)


class _Enough(Exception):
    """The first epochs are trained."""


def first_losses(model: Model, training: PoisonedDataset, index: NDArray[np.int64]) -> Floats:
    """The losses (FIRST, N) of a network that is trained anew, by the same spec and seed, for its first epochs."""
    spec, images = model.spec, training.data.images[index]
    network, _ = fresh_network(spec, training.data)
    found: list[Floats] = []

    def note(_: Progress) -> None:
        confidence = predict(network, images)[:, spec.target_class].clamp(min=1e-12)
        found.append(-confidence.log().double().numpy())
        if len(found) == FIRST:
            raise _Enough

    validation = load_dataset(spec.dataset, Split.VALIDATION).spread(50).tensors()
    with suppress(_Enough):
        train(
            network,
            training.data.images,
            training.data.targets,
            spec.training,
            spec.seed,
            validation=validation,
            progress=note,
        )
    return np.stack(found)
