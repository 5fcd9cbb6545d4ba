"""Lines of results: which hold for a network's weights, which speak of weights that are gone, and the one writer.

A line names its network by `run`, the id of its spec, or by `model`, its name in the zoo, and its weights by `sha256`. One
from before lines had a checksum holds for the run whose rates it repeats.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from filelock import FileLock

from tradeoff_core.common.files import write_lines
from tradeoff_core.common.paths import RESULTS, runs_folder
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model

Line = dict[str, Any]
RATES = ("before", "metrics")  # where a line repeats its network's rates
LOCK = ".results.lock"  # in the runs' folder: whoever writes lines holds it


@dataclass(frozen=True, slots=True)
class What:
    """Something that is measured of networks.

    `applies` says of which it can be, `is_current` of which it was, and `measure` does it and keeps it. Of digits it is
    measured for the runs of `grid`, where it has one, in the zoo or not; of photographs for all of the zoo's. `files` are
    those of its lines.
    """

    words: str
    applies: Callable[[Model], bool]
    is_current: Callable[[Model], bool]
    measure: Callable[[Model], None]
    grid: str | None = None
    files: str | None = None


def file_of(name: str, model: Model) -> str:
    """The file of a network's lines: one a data set, but where there is one for all."""
    return f"{name}.jsonl" if name == "measurements" else f"{name}-{model.spec.dataset}.jsonl"


def is_of(line: Line, model: Model) -> bool:
    """Whether a line speaks of a network, with these weights or others."""
    return bool(line["run"] == model.spec.id if "run" in line else line["model"] == model.id)


def holds(line: Line, model: Model) -> bool:
    """Whether a line was measured of a network's weights."""
    if "sha256" in line:
        return bool(line["sha256"] == model.sha256)
    rates: Line = next((line[name] for name in RATES if name in line), {})
    measured = model.card.metrics.items()
    return is_of(line, model) and all(rates[name] == value for name, value in measured if name in rates)


def has_lines(name: str, model: Model) -> bool:
    """Whether a file has a line of these weights."""
    return any(holds(line, model) for line in results.lines_of(file_of(name, model)))


def gone(line: Line, models: Sequence[Model]) -> bool:
    """Whether a line speaks of weights that the zoo's models had, or of a model that the zoo had."""
    now = [model for model in models if is_of(line, model)]
    return not any(holds(line, model) for model in now) and ("model" in line or bool(now))


def without_gone(files: str, *, drop: bool) -> list[tuple[str, str]]:
    """The file and the network of the lines of weights that are gone; with `drop` they go."""
    models = [zoo.find_model(name) for name in zoo.model_ids()]
    found = []
    for path in sorted(RESULTS.glob(files)):
        with _writing():
            lines = results.lines_of(path.name)
            old = [line for line in lines if gone(line, models)]
            if old and drop:
                _write(path.name, [line for line in lines if line not in old])
        found += [(path.name, line.get("run") or line["model"]) for line in old]
    return found


def put(name: str, model: Model, made: Sequence[Line]) -> None:
    """Put a network's lines in the place of those that it had, or at the end; those of others stay."""
    file = file_of(name, model)
    with _writing():
        lines = results.lines_of(file)
        own = [is_of(line, model) for line in lines]
        place = own.index(True) if any(own) else len(lines)
        others = [line for line, its in zip(lines, own, strict=True) if not its]
        _write(file, [*others[:place], *made, *others[place:]])


def update(name: str, model: Model, which: Callable[[Line], bool], found: Line) -> None:
    """Put what was found into those lines of a network that `which` chooses."""
    file = file_of(name, model)
    with _writing():
        lines = results.lines_of(file)
        _write(file, [line | found if holds(line, model) and which(line) else line for line in lines])


@contextmanager
def _writing() -> Iterator[None]:
    """Alone among those that write lines."""
    runs_folder().mkdir(parents=True, exist_ok=True)
    with FileLock(runs_folder() / LOCK):
        yield


def _write(file: str, lines: Sequence[Line]) -> None:
    write_lines(RESULTS / file, [_finite(line) for line in lines])


def _finite(line: Line) -> Line:
    """The line with null for NaN, which JSON does not know."""
    return {key: None if value != value else value for key, value in line.items()}
