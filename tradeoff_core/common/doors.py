"""A package's names that are imported when they are asked for (PEP 562), so that a name alone costs no import."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def door(package: str, **files: Sequence[str]) -> Callable[[str], Any]:
    """What a package calls `__getattr__`: each of its files, and the names that it lends."""
    lent_by = {name: file for file, names in files.items() for name in names}

    def lent(name: str) -> Any:
        if name not in lent_by:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{lent_by[name]}"), name)

    return lent
