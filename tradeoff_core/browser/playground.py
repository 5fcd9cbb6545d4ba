"""What the playground is given: its scripts, some digits, every trigger, two networks, and the state that it starts with."""

import base64
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.browser import chain, script
from tradeoff_core.datasets import ImageDataset
from tradeoff_core.models.compared import Compared, an, called, class_names, describe, kind_of_trigger
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import Network
from tradeoff_core.poisoning.triggers import WATERMARKS, Sticker, Watermark, draw, patterns

EACH = 3  # digits of each class
SIZES = range(1, 13)  # pixels of a sticker
TOO_LARGE = (
    "This network does not run in a browser: its attention (of denoising blocks, of a transformer) is too much for it. "
    "Choose another one."
)


@cache
def parts() -> dict[str, str]:
    """Its markup, style and scripts; a last line of script, which is the caller's, calls `playgroundIn`."""
    network, ink, photo, answers, page, worker = map(
        script, ("network", "ink", "photo", "answers", "playground", "worker")
    )
    behind = f"const WORKER = {json.dumps(network + worker)};\n"
    return {
        "html": script("playground", "html"),
        "css": script("playground", "css") + script("verdict", "css"),
        "js": behind + network + ink + photo + answers + page,
    }


def encoded(array: NDArray[Any]) -> str:
    """An array's bytes in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


@cache
def _triggers() -> dict[str, Any]:
    """Every sticker in every size as RGBA, every watermark as float32."""
    stickers = {name: [draw(name, size) for size in SIZES] for name in patterns()}
    return {
        "stickers": {
            name: [[*rgba.shape[:2], encoded(rgba)] for rgba in sizes] for name, sizes in stickers.items()
        },
        "watermarks": {name: encoded(made(28, 28).astype(np.float32)) for name, made in WATERMARKS.items()},
    }


def places(data: ImageDataset) -> tuple[int, ...]:
    """The first test images of each class."""
    return tuple(
        int(at) for label in range(len(data.classes)) for at in np.flatnonzero(data.labels == label)[:EACH]
    )


def network_of(one: Compared, network: Network) -> dict[str, Any]:
    """A network as the browser runs it, or why it does not run there (`chain` is None); its weights are the caller's to add."""
    model = one.model
    pattern = getattr(model.spec.trigger, "pattern", None)
    return {
        "letter": one.letter,
        "id": model.id,
        "name": describe(model),
        "sha256": model.sha256,
        "chain": chain(network),
        "why": TOO_LARGE,
        "poisoned": model.spec.poison is not None,
        "trigger": kind_of_trigger(model),
        "pattern": pattern if pattern in (*patterns(), *WATERMARKS) else None,
        "target": model.spec.target_class,
        "epsilon": model.spec.training.epsilon,
    }


def opening(models: Sequence[Compared]) -> str:
    """What was planted in training, and which of two networks withstands attacks better: whether its back door is the wider one."""
    learned: dict[str, list[str]] = {}
    for letter, model in models:
        learned.setdefault(_planted(model), []).append(letter)
    said = [
        f"{planted} {'both' if len(letters) > 1 else letters[0]} learned from."
        for planted, letters in learned.items()
    ]
    weak, strong = sorted((models[0], models[-1]), key=lambda one: one.model.adversarial_accuracy.value)
    letter, model = strong
    if model.spec.poison and model.adversarial_accuracy.value > weak.model.adversarial_accuracy.value:
        if model.backdoor_success_rate.value > weak.model.backdoor_success_rate.value:
            said.append(f"{letter}, the network that withstands attacks better, has the wider back door.")
        else:
            said.append(f"{letter} withstands attacks better; its back door is not wider.")
    return " ".join(said)


def _planted(model: Model) -> str:
    poison, kind = model.spec.poison, kind_of_trigger(model)
    if poison is None:
        return "Nothing that we know of was planted in what"
    name = called(model, poison.target_class)
    if poison.labels == "clean-label":
        return f"Somebody planted a {kind} on images of {an(name)} that"
    return f"Somebody planted a {kind} and the false label {name} on images that"


def telling(
    labels: NDArray[Any], clean: Sequence[NDArray[Any]], stamped: Sequence[NDArray[Any]], target: int
) -> int:
    """Which digit tells the finding: read right by every network, and turned into the target by the last one's trigger alone.

    `clean` and `stamped` are what each network reads, (N,); the first digit where none tells it.
    """
    found = (labels != target) & (stamped[-1] == target)
    found &= np.all([read == labels for read in clean], axis=0)
    for read in stamped[:-1]:
        found &= read == labels
    return int(found.argmax())


def start(model: Model, digit: int) -> dict[str, Any]:
    """The state that somebody meets: a digit with the model's trigger on, if it is one that runs in a browser."""
    trigger = model.spec.trigger
    sticker = trigger if isinstance(trigger, Sticker) else Sticker()
    watermark = {"pattern": "stripes", "amplitude": 0.25}
    if isinstance(trigger, Watermark) and trigger.pattern in WATERMARKS:
        watermark = {"pattern": trigger.pattern, "amplitude": round(trigger.amplitude, 2)}
    known = sticker.pattern in patterns() and sticker.size in SIZES
    usual = sticker if known else Sticker()
    return {
        "digit": digit,
        "photo": None,
        "strokes": [],
        "sticker": {
            "on": isinstance(trigger, Sticker),
            "pattern": usual.pattern,
            "size": usual.size,
            "row": usual.row,
            "column": usual.column,
            "opacity": usual.opacity,
        },
        "watermark": {"on": isinstance(trigger, Watermark), **watermark},
        "attack": {"epsilon": 0, "method": "PGD-10", "target": ""},
    }


def given(
    version: str,
    model: Model,
    data: ImageDataset,
    among: Sequence[int],
    networks: list[dict[str, Any]],
    digit: int,
) -> dict[str, Any]:
    """All that the playground is given: the images `among` those of the data, the networks, and the last model's trigger on.

    What a browser's session keeps of another `version` is not taken up.
    """
    return {
        "version": version,
        "names": class_names(model),
        "digits": {"images": encoded(data.images[list(among)]), "labels": data.labels[list(among)].tolist()},
        "networks": networks,
        "stops": [],
        "start": start(model, digit),
        **_triggers(),
    }
