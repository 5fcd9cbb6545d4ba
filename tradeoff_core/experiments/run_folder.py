"""The files of a run's folder by their names, each read as what it is. Loads no torch: a worker only waits.

runs/<id>/ holds the spec, a line an epoch, checkpoints while it trains, and at the end the result beside weights and card,
the same two files that a model of the zoo has. The order is what was asked of it from the app.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypeVar

from pydantic import AfterValidator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from tradeoff_core.common.checked import SAID, Flag, FromZero, Number, Text, Whole, build, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import append_line, from_json, read_bytes, write_json
from tradeoff_core.common.paths import MODELS, typed
from tradeoff_core.experiments.card import OPEN, Card, MaybeShare, Metrics, read_card

SPEC, PROGRESS, RESULT = "spec.json", "progress.jsonl", "result.json"
CARD, WEIGHTS = "card.json", "model.safetensors"
ORDER, LOG = "order.json", "log.txt"
LOSSES = "losses.jsonl"
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint-2.safetensors")  # of the training, and of fine-tuning
KEPT = (SPEC, PROGRESS, RESULT, CARD, WEIGHTS, ORDER, LOSSES)  # of a finished run, when it is taken along
NEEDED = (SPEC, RESULT, CARD, WEIGHTS)

T = TypeVar("T")
Count = Annotated[Whole, within("a whole number from 1", least=1, below=2**31)]
Time = Annotated[Number, within("seconds, from 0", least=0)]
Loss = Annotated[Number, within("a loss, from 0", least=0)]


def _at_most(characters: int) -> AfterValidator:
    """The length of a text that pages show."""

    def check(text: str) -> str:
        if len(text) > characters:
            said = f"has {len(text):,} characters: at most {characters:,}"
            raise PydanticCustomError(SAID, "{said}", {"said": said})
        return text

    return AfterValidator(check)


@with_config(OPEN)
class Epochs(TypedDict, total=False):
    """Of a spec's training what pages show."""

    epochs: Count


@with_config(OPEN)
class SpecDocument(TypedDict, total=False):
    """A spec as any version writes it: what pages show is of its kind, the rest is whatever that version knows."""

    dataset: Annotated[Text, _at_most(4096)]  # a path
    training: Epochs


@with_config(OPEN)
class Epoch(TypedDict):
    """A finished epoch, as `Progress` of the training has it."""

    epoch: Count
    epochs: Count
    loss: Number
    seconds: Time
    accuracy: NotRequired[MaybeShare]
    validation_accuracy: NotRequired[MaybeShare]
    training_attack_accuracy: NotRequired[MaybeShare]
    pgd_accuracy: NotRequired[MaybeShare]
    backdoor_success_rate: NotRequired[MaybeShare]


@with_config(OPEN)
class Losses(TypedDict):
    """What the training examples with a label cost after an epoch."""

    epoch: Count
    label: FromZero
    losses: list[Loss]


@with_config(OPEN)
class Result(TypedDict):
    """What a finished run measured."""

    run: NotRequired[Text]
    metrics: Metrics
    second_metrics: NotRequired[Metrics]
    seconds: NotRequired[Time]
    catastrophic_overfitting_epochs: NotRequired[list[Whole]]


@with_config(OPEN)
class Order(TypedDict, total=False):
    """What was asked of a run: when it was queued and started, that it should stop, its name and a note.

    And what it was expected to take: seconds of an epoch, and of the measuring at the end.
    """

    queued: Time
    started: Time
    stop: Flag
    error: Annotated[Text, _at_most(5000)]
    name: Annotated[Text, _at_most(200)]
    note: Annotated[Text, _at_most(1000)]
    process: Count
    epoch_seconds: Time
    measuring_seconds: Time


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Typed access to the files of a run."""

    path: Path

    @property
    def spec(self) -> Path:
        """What decides the run; with it a folder is one."""
        return self.path / SPEC

    @property
    def progress(self) -> Path:
        """A line an epoch."""
        return self.path / PROGRESS

    @property
    def result(self) -> Path:
        """What it measured; with it a run is finished."""
        return self.path / RESULT

    @property
    def card(self) -> Path:
        """The card; with it a folder is a model."""
        return self.path / CARD

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.path / WEIGHTS

    @property
    def losses_file(self) -> Path:
        """What the target class's examples cost after each epoch, a line each, where that was kept."""
        return self.path / LOSSES

    @property
    def order(self) -> Path:
        """What was asked of it."""
        return self.path / ORDER

    @property
    def log(self) -> Path:
        """What the process that trains said."""
        return self.path / LOG

    @property
    def finished(self) -> bool:
        """Whether it has a result."""
        return self.result.exists()

    def checkpoint(self, stage: int) -> Path:
        """The state after the last epoch: of the training (0), or of fine-tuning (1)."""
        return self.path / CHECKPOINTS[stage]

    def remove_checkpoints(self) -> None:
        """Remove the states, and those that a kill left half written."""
        for name in CHECKPOINTS:
            for file in (self.path / name, *self.path.glob(f".{name}*")):
                file.unlink(missing_ok=True)

    def read_spec(self) -> dict[str, Any] | None:
        """The spec's document, None if there is none."""
        document: Any = _read(self.spec, SpecDocument, {})
        return None if document is None else dict(document)

    def read_order(self) -> Order:
        """What was asked of it, nothing by default."""
        return _read(self.order, Order) or {}

    def read_result(self) -> Result | None:
        """What it measured, None if it is not finished."""
        return _read(self.result, Result)

    def read_card(self) -> Card:
        """Its card. Raises TradeoffError if there is none that can be used."""
        return read_card(self.card, self.path.name)

    def write_spec(self, document: dict[str, Any]) -> None:
        """Write the spec's document."""
        write_json(self.spec, document)

    def write_result(self, result: Result) -> None:
        """Write the result, which says that the run is finished."""
        write_json(self.result, result)

    def write_card(self, card: Card) -> None:
        """Write the card."""
        write_json(self.card, card.document())

    def add_epoch(self, entry: dict[str, Any]) -> None:
        """Add a finished epoch's line."""
        append_line(self.progress, entry)

    def epochs(self) -> list[Epoch]:
        """The finished epochs; of those trained twice, after a resumption, the later ones; damaged lines left out."""
        by_number: dict[int, Epoch] = {}
        for number, found in _lines(self.progress):
            with suppress(TradeoffError):
                entry = _epoch(number, found)
                by_number[entry["epoch"]] = entry
        return [by_number[number] for number in sorted(by_number)]

    def add_losses(self, epoch: int, label: int, losses: list[float]) -> None:
        """Add what the training examples with a label cost after an epoch, in the order of the training set."""
        append_line(self.losses_file, {"epoch": epoch, "label": label, "losses": losses})

    def losses(self, label: int, count: int) -> list[list[float]]:
        """The losses of the `count` training examples with a label after every epoch, none where they were not kept."""
        by_number: dict[int, list[float]] = {}
        for _, found in _lines(self.losses_file):
            with suppress(TradeoffError):
                entry = build(Losses, found)
                if (entry["label"], len(entry["losses"])) == (label, count):
                    by_number[entry["epoch"]] = entry["losses"]
        return [by_number[number] for number in sorted(by_number)]

    def check_epochs(self) -> None:
        """Raise TradeoffError that names the first line that is no epoch."""
        for number, found in _lines(self.progress):
            _epoch(number, found)


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Every line's value with its number, counted from 1; what a kill tore is left out."""
    try:
        text = read_bytes(path).decode("utf-8-sig", errors="replace")
    except (OSError, TradeoffError):
        return
    for number, line in enumerate(text.split("\n"), 1):
        with suppress(TradeoffError):
            yield number, from_json(line, "a torn line")


def _epoch(number: int, value: Any) -> Epoch:
    try:
        return build(Epoch, value)
    except TradeoffError as error:
        raise TradeoffError(f"line {number} of {PROGRESS} is damaged: {error}") from None


def _read(path: Path, kind: type[T], bare: T | None = None) -> T | None:
    """The document in a file, None if there is none, `bare` if it has no field. Raises TradeoffError that says it is damaged, and in what."""
    try:
        if not (content := read_bytes(path)):
            return None
        value = from_json(content, "it")
        return bare if value == {} else build(kind, value)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TradeoffError(f"{path.name} cannot be read: {error.strerror}") from None
    except TradeoffError as error:
        raise TradeoffError(f"{path.name} is damaged: {error}") from None


def model_ids() -> list[str]:
    """The ids of the models in the repository."""
    return sorted(card.parent.name for card in MODELS.glob(f"*/{CARD}"))


def folder_of(name: str) -> RunFolder:
    """Where a model lies, by its id in the zoo or by its own folder. Raises TradeoffError if there is none."""
    for folder in (MODELS / name, typed(name)) if name.strip() else ():
        place = RunFolder(folder)
        if os.path.isfile(place.card):  # False also for a name too long to be one
            return place
    raise TradeoffError(
        f"unknown model '{name}': choose {', '.join([*model_ids(), 'or the folder of a run'])}"
    )
