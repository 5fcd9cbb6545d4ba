"""Which runs of a sweep still fit the time that is left: what they cost in passes over the data, and how fast those go.

The pace is learned from the runs of the same sweep, those that still train included; where nothing is known of a data
set and network yet, a run is started without an estimate.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tradeoff_core.experiments.spec import ExperimentSpec, Source
from tradeoff_core.training.recipe import Training

HELD_OUT_SHARE = 1 / 9  # of the training images that a data set holds out, roughly
TEST_SHARE = 1 / 4  # as many test images as training images, roughly


@dataclass(frozen=True, slots=True)
class Passes:
    """What a run costs, in passes over its training images at full width."""

    training: float
    measuring: float

    @property
    def total(self) -> float:
        """Of the whole run."""
        return self.training + self.measuring

    def after(self, share: float) -> float:
        """What is left when a share of the training is done."""
        return self.total - share * self.training


def passes(spec: ExperimentSpec) -> Passes:
    """How long a run takes, in passes over the data."""

    def of(training: Training) -> float:
        attack = training.attack
        lipschitz = 5 if training.lipschitz is not None else 0  # ten double backward passes of some images
        bounds = 2 if training.interval_bounds is not None else 0  # a middle and a radius for every layer
        return training.epochs * (1 + lipschitz + bounds + (attack.steps * attack.restarts if attack else 0))

    tuning, wider = spec.fine_tuning, float(spec.width**1.5)
    few = HELD_OUT_SHARE if tuning and tuning.images is Source.HELD_OUT else 1
    training = of(spec.training) + (few * of(tuning.training) if tuning else 0)
    attacks = [attack for attack in (spec.evaluation, spec.second_evaluation) if attack]
    measuring = sum(1 + attack.steps * attack.restarts for attack in attacks)
    return Passes(wider * training, wider * TEST_SHARE * measuring)


class Timetable:
    """The runs that wait, handed out in their order while the time lasts; for several threads.

    `within` are the seconds from now on, None for no end. `behind` holds the share of its training that a broken-off
    run has done, by its id. `clock` tells seconds.
    """

    def __init__(
        self,
        specs: Sequence[ExperimentSpec],
        within: float | None = None,
        behind: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = list(specs)
        self._costs = {spec.id: passes(spec) for spec in specs}
        self._behind = {spec.id: (behind or {}).get(spec.id, 0.0) for spec in specs}
        self._shares = dict(self._behind)
        self._started: dict[str, float] = {}  # of the runs that run now
        self._paces: dict[str, tuple[ExperimentSpec, float]] = {}  # seconds a pass
        self._clock = clock
        self._end = None if within is None else clock() + within
        self._changed = threading.Condition()

    def seconds_left(self) -> float | None:
        """Until the end; None where there is none."""
        return None if self._end is None else self._end - self._clock()

    def take(self) -> ExperimentSpec | None:
        """The next run that fits; None if none is left that does.

        Waits while nothing fits but something runs: that may end sooner than it looked.
        """
        with self._changed:
            while self._waiting:
                spec = next(filter(self._fits, self._waiting), None)
                if spec is not None:
                    self._waiting.remove(spec)
                    self._started[spec.id] = self._clock()
                    return spec
                left = self.seconds_left()
                if not self._started or left is None or left <= 0:
                    break
                self._changed.wait(timeout=1)
            return None

    def close(self) -> None:
        """Hand out nothing more."""
        with self._changed:
            self._waiting.clear()

    def tell(self, spec: ExperimentSpec, share: float) -> float:
        """A run's training has come to `share`; 0 says that it begins now. Returns the share of all work that is done."""
        with self._changed:
            if share == 0:
                self._started[spec.id] = self._clock()  # until here its process started
            trained = self._costs[spec.id].training * (share - self._behind[spec.id])
            if trained > 0 and spec.id in self._started:
                self._learn(spec, trained)
            self._shares[spec.id] = max(share, self._behind[spec.id])
            return self._done()

    def end(self, spec: ExperimentSpec, finished: bool) -> float:
        """A run does not run any more; of a finished one the pace is kept. Returns the share of all work that is done."""
        with self._changed:
            if finished:
                self._learn(spec, self._costs[spec.id].after(self._behind[spec.id]))
                self._costs[spec.id] = Passes(self._costs[spec.id].total, 0)
                self._shares[spec.id] = 1.0
            self._started.pop(spec.id, None)
            self._changed.notify_all()
            return self._done()

    def seconds(self, spec: ExperimentSpec) -> float | None:
        """How long a run takes from where it stands, by the median pace of its like; None if nothing is known of them."""
        for alike in (_closely, _roughly):
            paces = [pace for other, pace in self._paces.values() if alike(other) == alike(spec)]
            if paces:
                return median(paces) * self._costs[spec.id].after(self._behind[spec.id])
        return None

    def _fits(self, spec: ExperimentSpec) -> bool:
        left = self.seconds_left()
        return left is None or left > (self.seconds(spec) or 0)

    def _learn(self, spec: ExperimentSpec, done: float) -> None:
        self._paces[spec.id] = spec, (self._clock() - self._started[spec.id]) / done
        self._changed.notify_all()

    def _done(self) -> float:
        parts: Iterator[float] = (self._costs[name].training * share for name, share in self._shares.items())
        return sum(parts) / sum(cost.total for cost in self._costs.values())


def _closely(spec: ExperimentSpec) -> tuple[object, ...]:
    return spec.dataset, spec.network, spec.width, spec.training.batch_size


def _roughly(spec: ExperimentSpec) -> tuple[object, ...]:
    return spec.dataset, spec.network
