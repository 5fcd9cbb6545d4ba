"""What a training will cost on this machine, from a few of its own steps."""

import resource
import sys
import time
from dataclasses import dataclass, replace

from tradeoff_core import networks
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.evaluation.outcomes import evaluate
from tradeoff_core.experiments.run import VALIDATION_IMAGES, fresh_network
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.training.loop import train

STEPS = 4  # batches of each of two short epochs, of which the second is timed
MEASURED = 40  # test images at most that are attacked


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of an epoch and of the measuring at the end, and the process's memory in megabytes."""

    epoch_seconds: float
    measuring_seconds: float
    megabytes: float

    def seconds(self, epochs: int) -> float:
        """Of a whole run."""
        return epochs * self.epoch_seconds + self.measuring_seconds


def estimate(spec: ExperimentSpec) -> Estimate:
    """Measure it. The memory is what this process has taken, so ask in one of its own.

    Where intervals are bounded, the epochs after the warm-up cost more than this says. Raises TradeoffError as a run
    of this spec would at its beginning.
    """
    training = spec.training
    data = load_dataset(spec.dataset, Split.TRAIN)
    network, _ = fresh_network(spec, data)
    few = data.take(slice(STEPS * training.batch_size))
    steps = -(-len(few) // training.batch_size)
    held_out = load_dataset(spec.dataset, Split.VALIDATION).spread(VALIDATION_IMAGES).tensors()
    one = held_out[0][:1], held_out[1][:1]
    recipe = replace(training, epochs=2, ramp_epochs=0)
    step = train(network, few.images, few.targets, recipe, 0, validation=one)[1].seconds / steps
    started = time.perf_counter()
    once = replace(recipe, epochs=1)
    train(network, few.images[:1], few.targets[:1], once, 0, validation=held_out)
    validating = time.perf_counter() - started
    test = load_dataset(spec.dataset, Split.TEST)
    some = test.spread(MEASURED)
    networks.freeze(network)
    started = time.perf_counter()
    evaluate(network, some.images, some.targets, spec.trigger, spec.evaluation)
    attacking = (time.perf_counter() - started) * len(test) / len(some)
    epochs = -(-len(data) // training.batch_size) * step + validating
    return Estimate(epochs, attacking, _peak() + data.images.nbytes / 1e6)


def _peak() -> float:
    """The most memory that this process has had, in megabytes."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
