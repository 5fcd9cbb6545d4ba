"""Dataclasses whose fields are checked when they are made, by hand or from a document: one sentence an error.

pydantic does the checking. A field says what it holds by its type: `Whole`, `Number`, `Text` and `Flag` take nothing else
for it (no "3" for 3, no true for 1), enums take their values, tables become the dataclass that they are meant for.
"""

import math
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    TypeVar,
    dataclass_transform,
    get_args,
    get_type_hints,
)

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated
from pydantic_core import ErrorDetails, PydanticCustomError
from typing_extensions import is_typeddict

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import shortened

T = TypeVar("T")
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]  # whole ones too
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
Maybe = Annotated[T | None, BeforeValidator(lambda value: None if value == "none" else value)]
"""A field that may be left out, which TOML says with "none"."""

RANGE, SAID = "out_of_range", "said"  # of our own errors: of a range, and of what pydantic has no error for
KINDS = {  # pydantic's errors in our words
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table of fields",
    "dataclass": "a table of fields",
}


def within(
    said: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
    name: str = "",
) -> AfterValidator:
    """The range of a number, infinity left out unless it is `most`; `said` tells it, `name` is what the field is called."""

    def check(value: float) -> float:
        if not (value > above and value >= least and value < below and value <= most):
            # NaN is in no range
            shown = f"{value:g}" if isinstance(value, float) else shortened(value)
            raise PydanticCustomError(
                RANGE, "{shown} is out of range: {said}", {"shown": shown, "said": said, "name": name}
            )
        return value

    return AfterValidator(check)


FromZero = Annotated[Whole, within("it must be a whole number from 0", least=0, below=2**53)]
Positive = Annotated[Whole, within("it must be a whole number from 1 to 1,000,000", least=1, most=1_000_000)]


@dataclass_transform(frozen_default=True)
def checked(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots whose constructor checks its fields, and raises TradeoffError."""
    made = validated(frozen=True, slots=True, config=ConfigDict(extra="forbid"))(cls)
    make = made.__init__

    @wraps(make)
    def __init__(self: Any, *values: Any, **named: Any) -> None:
        try:
            make(self, *values, **named)
        except ValidationError as error:
            raise TradeoffError(sentence(error, made)) from None

    made.__init__ = __init__  # type: ignore[method-assign]
    return made  # type: ignore[return-value]


if TYPE_CHECKING:
    Adapter = TypeAdapter[Any]


@cache
def _adapter(kind: Any) -> "Adapter":
    return TypeAdapter(kind)


def build(kind: type[T], document: object) -> T:
    """A document as an instance of a checked class. Raises TradeoffError that names the field that is wrong."""
    try:
        described: Any = kind
        made: T = _adapter(described).validate_python(document)
    except ValidationError as error:
        raise TradeoffError(sentence(error, kind)) from None
    return made


def sentence(error: ValidationError, kind: Any) -> str:
    """What is wrong, in one sentence: what is not known before what is missing or has a wrong value."""
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] not in UNKNOWN)[0]
    place, owner = _place(found["loc"], kind)
    return _said(found, place, owner)


UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")


def _said(found: ErrorDetails, place: str, owner: Any) -> str:
    what, context = found["type"], found.get("ctx", {})
    value, last = shortened(found["input"]), place.rpartition(".")[2]
    if what in UNKNOWN:
        return f"unknown field '{place}': choose one of {', '.join(entry.name for entry in fields(owner))}"
    if what == RANGE:
        return f"{context['name'] or last} {found['msg']}"
    choices = (
        str(context.get("expected", context.get("expected_tags", ""))).replace("'", "").replace(", ", " or ")
    )
    if what in ("enum", "literal_error"):
        return f"{last} '{value}' is unknown: choose {choices}"
    if what == "union_tag_invalid":
        return f"{place}.kind '{shortened(context['tag'])}' is unknown: choose {choices}"
    if what == SAID:
        return f"{place} {found['msg']}"
    if what in ("missing", "missing_argument"):
        return f"{place} is missing"
    kind = KINDS.get(what.removesuffix("_type").removesuffix("_exact"))
    if what == "int_from_float" or kind:
        return f"{place or 'it'} must be {kind or KINDS['int']}, not '{value}'"
    return f"{place or 'it'}: {found['msg']}"


def _place(loc: tuple[int | str, ...], kind: Any) -> tuple[str, Any]:
    """The dotted name of a place in a document, and the class that it is a field of; tags and indices are left out."""
    names: list[str] = []
    owner, current = kind, (kind,)
    for part in loc:
        if len(current) > 1:  # the tag that chose one of several classes
            current = tuple(one for one in current if _tag(one) == part)
            continue
        if not names and isinstance(part, int) and is_dataclass(owner):  # of a constructor's values in order
            part = fields(owner)[part].name
        if not isinstance(part, str):
            continue
        names.append(part)
        if current:
            owner = current[0]
            hints = get_type_hints(owner, include_extras=True)
            current = tuple(_classes(hints.get(part)))
    if current and len(current) == 1 and not names:
        owner = current[0]
    return ".".join(names), owner


def _classes(hint: Any) -> list[Any]:
    """The dataclasses that an annotation names."""
    if isinstance(hint, type) and is_dataclass(hint):
        return [hint]
    if is_typeddict(hint):
        return [hint]
    return [found for inner in get_args(hint) for found in _classes(inner)]


def _tag(one: Any) -> Any:
    """The default of a class's field `kind`, by which it is chosen."""
    return next((entry.default for entry in fields(one) if entry.name == "kind"), None)
