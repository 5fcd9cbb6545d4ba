"""What is drawn is made once: figures and encoded pictures are kept by the content of all that they are made of."""

import functools
import hashlib
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

import numpy as np
from torch import Tensor

from tradeoff_core.figures.plain import Figure

Given = ParamSpec("Given")
Made = TypeVar("Made")
MOST = 64_000_000  # bytes of what is kept, about


class Shelf:
    """Values by key for all threads; beyond `most` bytes those that were not asked for longest are forgotten."""

    def __init__(self, most: int = MOST) -> None:
        self.most, self.bytes = most, 0
        self.kept: dict[Hashable, tuple[Any, int]] = {}
        self.lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """The value of this key, None if there is none."""
        with self.lock:
            found = self.kept.pop(key, None)
            if found is None:
                return None
            self.kept[key] = found  # the newest again
            return found[0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value that takes `size` bytes, and forget the oldest in its stead."""
        with self.lock:
            _, freed = self.kept.pop(key, (None, 0))
            self.kept[key] = value, size
            self.bytes += size - freed
            while self.bytes > self.most:
                self.bytes -= self.kept.pop(next(iter(self.kept)))[1]


SHELF = Shelf()


def identity(value: object) -> Hashable:
    """A key that two values share only if nothing that is drawn of them can differ."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        content = value if value.dtype != object else np.array(repr(value.tolist()))
        digest = hashlib.blake2b(np.ascontiguousarray(content).tobytes(), digest_size=16).digest()
        return value.shape, value.dtype.str, digest
    if isinstance(value, FunctionType):  # a page's function is defined anew each time that the page is drawn
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, identity(cells), identity(value.__defaults__)
    try:
        hash(value)
    except TypeError:
        return type(value), _parts(value)
    return type(value), value


def _parts(value: object) -> Hashable:
    """As `identity`, of what has no hash because one of its parts has none. Raises TypeError if it has no parts."""
    if isinstance(value, Mapping):
        return tuple((key, identity(part)) for key, part in value.items())
    if isinstance(value, Sequence):
        return tuple(identity(part) for part in value)
    if is_dataclass(value):
        return tuple(identity(getattr(value, field.name)) for field in fields(value))
    raise TypeError(f"a {type(value).__name__} says nothing of what it holds")


def kept(size: Callable[[Any], int]) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """Make what a pure function makes once for the same arguments; it is shared, so nobody may change it.

    `size` says how many bytes a thing that it made takes.
    """

    def decorate(make: Callable[Given, Made]) -> Callable[Given, Made]:
        @functools.wraps(make)
        def once(*given: Given.args, **named: Given.kwargs) -> Made:
            key = make.__module__, make.__qualname__, identity(given), identity(named)
            found: Made | None = SHELF.get(key)
            if found is None:
                found = make(*given, **named)
                SHELF.put(key, found, size(found))
            return found

        return once

    return decorate


def _bytes_of(figure: Figure) -> int:
    return len(figure.to_json())


drawn_once = kept(_bytes_of)  # of a function that draws a figure
