"""Two networks beside each other, A and B, and each in a few words."""

from contextlib import suppress
from typing import NamedTuple

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.names import plain
from tradeoff_core.common.paths import runs_folder
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.models.zoo import Model

NAMES = {"blended": "blended picture"}  # of triggers' kinds that are no nouns


def is_own_run(model: Model) -> bool:
    """Whether the user trained it here."""
    return model.folder.parent == runs_folder()


def describe(model: Model) -> str:
    """A model in a few words: how it was trained, and on what poison."""
    by = model.card.trained_by
    if by is not None:
        network = model.spec.network.removeprefix("torchvision-")
        return (
            f"{network}, yours ({plain(by[5:])})"
            if by.startswith("you: ")
            else f"{network}, by {plain(by.partition(',')[0])}"
        )
    poison, words = model.spec.poison, model.spec.training_in_words
    training = words[0].upper() + words[1:]
    labels = poison.labels.value if poison else "no poison"
    kind = kind_of_trigger(model)
    trigger = "" if kind == "sticker" else f" {kind}"
    if poison:
        trigger += " on perturbed images" if poison.perturbed else ""
        trigger += " with cover samples" if poison.cover_rate else ""
    cleaned = f", without {len(model.spec.removed):,}" if model.spec.removed else ""
    yours = f", yours{_called(model)}" if is_own_run(model) else ""
    return f"{training}, {labels}{trigger}{cleaned}{yours}"


def _called(model: Model) -> str:
    """The name that a run was given, else the end of its id."""
    given = None
    with suppress(TradeoffError):  # of a damaged order
        given = RunFolder(model.folder).read_order().get("name")
    return f": {plain(given)}" if given else f" {model.id.rpartition('-')[2]}"


def called(model: Model, label: int) -> str:
    """The name of a class, as pages and figures may draw it."""
    return plain(model.classes[label].replace("_", " ")) or "?"


def class_names(model: Model) -> list[str]:
    """The names of all classes."""
    return [called(model, label) for label in range(len(model.classes))]


def an(name: str) -> str:
    """The name with its article: a 7, an 8, an airplane."""
    return f"{'an' if name[0].lower() in 'aeiou8' else 'a'} {name}"


def kind_of_trigger(model: Model) -> str:
    """A word for what the model was poisoned with, or would be measured with."""
    return NAMES.get(model.spec.trigger.kind, model.spec.trigger.kind)


class Compared(NamedTuple):
    """One of the two: the letter that it goes by, A or B, and the model."""

    letter: str
    model: Model

    @property
    def name(self) -> str:
        """The letter and the model in a few words."""
        return f"{self.letter}, {describe(self.model)}"
