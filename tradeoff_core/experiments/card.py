"""A model's card and a run's numbers, typed: what does not hold is refused in one sentence, what is not known is kept."""

import math
from dataclasses import field, fields
from pathlib import Path
from typing import (
    Annotated,
    Any,
    NotRequired,  # pydantic asks for this one before Python 3.12
)

from pydantic import AfterValidator, BeforeValidator, ConfigDict, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from tradeoff_core.common.checked import SAID, FromZero, Maybe, Number, Text, Whole, build, checked, within
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import read_json, write_json

SCHEMA_VERSION = 1
MOST_CLASSES = 100_000  # ImageNet with all its classes has 21,841
DIGITS = tuple("0123456789")  # the classes of a card that names none

OPEN = ConfigDict(extra="allow")  # to what a newer version adds

Share = Annotated[Number, within("a share from 0 to 1", least=0, most=1)]
MaybeShare = Annotated[
    Share | None,
    BeforeValidator(lambda value: None if isinstance(value, float) and math.isnan(value) else value),
]


def _few(classes: tuple[str, ...]) -> tuple[str, ...]:
    if not 2 <= len(classes) <= MOST_CLASSES:
        said = f"has {len(classes):,} entries: choose from 2 to {MOST_CLASSES:,}"
        raise PydanticCustomError(SAID, "{said}", {"said": said})
    return classes


def _checksum(value: str) -> str:
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise PydanticCustomError(SAID, "is no checksum of 64 hexadecimal digits")
    return value


@with_config(OPEN)
class Metrics(TypedDict):
    """What is measured of a network: shares with their n, and the attack. Of no images backdoor success is None."""

    n: FromZero
    clean_accuracy: Share
    adversarial_accuracy: Share
    backdoor_success_rate: MaybeShare
    backdoor_n: FromZero
    norm: NotRequired[Text]
    epsilon: NotRequired[Number]
    steps: NotRequired[Whole]
    certified_accuracy: NotRequired[Share]
    warnings: NotRequired[list[Text]]  # what speaks against the adversarial accuracy, if anything does


@with_config(OPEN)
class Stronger(TypedDict):
    """What stronger attacks than the card's own leave, of which weights, and what speaks against the numbers."""

    sha256: Text
    subset: Text
    pgd_accuracy: Share
    pgd_100x5_accuracy: Share
    autoattack_accuracy: Share
    warnings: list[Text]


@checked
class Card:
    """What a model of the zoo is: its spec as a document, its measured metrics, and the checksum of its weights.

    A card of weights that others trained says who in `trained_by`. `further` holds what another version added.
    """

    schema_version: Whole
    id: Text
    spec: dict[str, Any]
    poison_rate_class: Share
    poison_rate_dataset: Share
    metrics: Metrics
    sha256: Annotated[Text, AfterValidator(_checksum)]
    bytes: FromZero
    seed: Whole = 0
    trained_by: Maybe[Text] = None
    classes: Maybe[Annotated[tuple[Text, ...], AfterValidator(_few)]] = None
    second_metrics: Maybe[Metrics] = None
    start_sha256: Maybe[Text] = None
    training_seconds: Maybe[Number] = None
    hardware: Maybe[Text] = None
    versions: Maybe[dict[Text, Text]] = None
    catastrophic_overfitting_epochs: Maybe[tuple[Whole, ...]] = None
    known_limits: tuple[Text, ...] = ()
    stronger: Maybe[Stronger] = None
    further: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The card as JSON has it; what it does not say is left out."""
        said = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "further"}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in said.items()
            if value is not None
        } | self.further


KNOWN = {entry.name for entry in fields(Card)} - {"further"}


def card_from(document: object) -> Card:
    """The card that a document holds. Raises TradeoffError that names what is wrong in it."""
    if not isinstance(document, dict):
        raise TradeoffError("it must be a table of fields")
    version = document.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise TradeoffError(f"it has version {version}; this program reads {SCHEMA_VERSION}")
    known = {name: value for name, value in document.items() if name in KNOWN}
    further = {str(name): value for name, value in document.items() if name not in KNOWN}
    return build(Card, known | {"further": further})


def read_card(path: Path, name: str) -> Card:
    """The card in a file. Raises TradeoffError that says the card of `name` is damaged, and in what."""
    try:
        return card_from(read_json(path))
    except TradeoffError as error:
        raise TradeoffError(f"the card of '{name}' is damaged: {error}") from None
    except OSError as error:
        raise TradeoffError(f"the card of '{name}' cannot be read: {error.strerror}") from None


def write_card(path: Path, card: Card) -> None:
    """Write a card, whole or not at all."""
    write_json(path, card.document())
