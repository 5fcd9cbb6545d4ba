"""Hostile variants of what is read from disk, the same ones for the same seed: of bytes, and of documents' values."""

import copy
import json
import random
from typing import Any

LONG = "x" * 100_000
CONTROL = "\x1b[2J\x1b]0;t\x07\n\u202e\u2028\x00"
MARKUP = "![x](http://127.0.0.1:9/x) [l](javascript:1) :material/home: $\\input{/etc/passwd}$ <script>"
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 2**31, 2**63, -(2**63), 10**400, 0.0, -0.0, 0.5, 1e-320, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", " ", "0", "none", "nan", LONG, CONTROL, MARKUP, "=1+1"),
    *("../../etc/passwd", "/etc/passwd", "~", "~nobody-here/x", "C:\\x", "a\x00b", "\ud800", "é" * 300),
    *([], {}, [[]], [0], [None], ["x"] * 1000, list(range(1000)), {"": 0}, {"kind": "x"}, {"a": {"b": {}}}),
    *({"epochs": 1}, {"n": 1}, {"__class__": "x"}),
)


def mutated_bytes(content: bytes, draw: random.Random) -> bytes:
    """The bytes cut off, with bits turned, with others in their head, or with some put in, left out or repeated."""
    changed = bytearray(content)
    at = draw.randrange(len(changed)) if changed else 0
    match draw.randrange(6):
        case 0:
            return bytes(changed[:at])
        case 1:
            for _ in range(draw.choice((1, 2, 8, 64))):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        case 2:
            for _ in range(draw.choice((1, 4, 16))):
                changed[draw.randrange(min(64, len(changed)))] = draw.randrange(256)
        case 3:
            changed[at:at] = draw.randbytes(draw.randrange(1, 40))
        case 4:
            del changed[at : at + draw.randrange(1, 40)]
        case _:
            changed[at:at] = changed[at : at + draw.randrange(1, 400)] * draw.choice((1, 3, 50))
    return bytes(changed)


def mutated_value(document: Any, draw: random.Random) -> Any:
    """A copy of a document with one to three of its values hostile, missing, renamed or new."""
    changed = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        holders = [one for one in _walk(changed) if one]
        if not holders:
            return draw.choice(VALUES)
        holder = draw.choice(holders)
        key = draw.choice(list(holder)) if isinstance(holder, dict) else draw.randrange(len(holder))
        match draw.randrange(5):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[draw.choice(("colour", "", LONG[:200], CONTROL, MARKUP))] = holder.pop(key)
            case 2 if isinstance(holder, dict):
                holder[key] = nested(draw.choice((10, 70, 300)), draw)
            case _:
                holder[key] = copy.deepcopy(draw.choice(VALUES))
    return draw.choice(VALUES) if draw.randrange(40) == 0 else changed


def nested(depth: int, draw: random.Random) -> Any:
    """Tables or lists in each other."""
    value: Any = draw.choice((1, "x", None))
    for _ in range(depth):
        value = draw.choice(([value], {"a": value}))
    return value


def _walk(value: Any) -> list[Any]:
    """Every table and list in a document."""
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            found.append(one)
            waiting += one.values() if isinstance(one, dict) else one
    return found


def mutated_json(document: Any, draw: random.Random) -> bytes:
    """A document as JSON text with hostile values or bytes, in one of the encodings that are met."""
    if draw.randrange(3) == 0:
        return mutated_bytes(json.dumps(document).encode(), draw)
    text = json.dumps(mutated_value(document, draw))
    encoding = draw.choice(("utf-8",) * 12 + ("utf-8-sig", "utf-16", "latin-1", "utf-32"))
    return text.encode(encoding)


def mutated_toml(document: Any, draw: random.Random) -> bytes:
    """The same as TOML text; what TOML has no word for is left to JSON's notation, which it refuses."""
    import tomli_w

    if draw.randrange(3) == 0:
        return mutated_bytes(tomli_w.dumps(document).encode(), draw)
    changed = mutated_value(document, draw)
    try:
        return tomli_w.dumps(changed).encode(errors="surrogatepass")
    except (TypeError, ValueError, AttributeError, RecursionError):
        return json.dumps(changed).encode()
