"""Fields that a spec gained after runs had been published.

An id is a digest of a spec's document, so such a field is left out of it at its default: the ids of older runs stay.
"""

from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

LATER = MappingProxyType({"later": True})  # the metadata of such a field


def document(value: Any) -> Any:
    """A dataclass as nested dictionaries, without what is None and without later fields at their defaults."""
    if not is_dataclass(value):
        return value
    kept = {field.name: getattr(value, field.name) for field in fields(value) if not _left_out(value, field)}
    return {name: document(entry) for name, entry in kept.items()}


def _left_out(value: Any, field: Any) -> bool:
    entry = getattr(value, field.name)
    return entry is None or ("later" in field.metadata and entry == field.default)
