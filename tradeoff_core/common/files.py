"""The one door for documents: whatever is read as JSON, lines of JSON or TOML, and whatever is written.

What is read is bounded in size and depth and is UTF-8, a byte-order mark or not. What is written lies beside its place
until it is whole, so that a kill at any moment leaves the last good file.
"""

import codecs
import json
import os
import secrets
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tradeoff_core.common.errors import TradeoffError

MOST_BYTES = 32_000_000  # of a document, and of a file of lines
MOST_DEPTH = 64  # of tables and lists in each other
MOST_BITS = 4096  # of a whole number, which Python prints; TOML's hexadecimal ones may be longer
MOST_SAID = 80  # characters of a value that an error shows
WIDE = {  # byte-order marks, the longer ones first
    codecs.BOM_UTF32_LE: "UTF-32 text",
    codecs.BOM_UTF32_BE: "UTF-32 text",
    codecs.BOM_UTF16_LE: "UTF-16 text",
    codecs.BOM_UTF16_BE: "UTF-16 text",
}
UNFINISHED = ".unfinished"  # what the file beside ends in


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file, a pipe too. Raises TradeoffError beyond `most` bytes, OSError if it cannot be read."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TradeoffError(f"'{path}' has more than {most:,} bytes, the most that is read")
    return content


def decoded(content: bytes, name: str) -> str:
    """UTF-8 as text, without a byte-order mark. Raises TradeoffError that says what the encoding is instead."""
    if other := _another(content):
        raise TradeoffError(f"{name} is {other}: save it as UTF-8")
    try:
        return content.decode("utf-8").lstrip("\ufeff")
    except UnicodeDecodeError:
        raise TradeoffError(f"{name} is not UTF-8, perhaps Latin-1: save it as UTF-8") from None


def _another(content: bytes) -> str:
    """What is no UTF-8, by its mark or its zeros, in words; nothing if it may be UTF-8."""
    marked = next((what for mark, what in WIDE.items() if content.startswith(mark)), "")
    if marked or b"\0" not in content[:64]:
        return marked
    every_other = b"\0" not in content[:64:2] or b"\0" not in content[1:64:2]
    return "UTF-16 text" if every_other else "no text, or UTF-32"


def from_json(text: str | bytes, name: str, what: str = "valid JSON") -> Any:
    """The value of a JSON text. Raises TradeoffError that says `name` is not `what`."""
    return _parsed(json.loads, text, name, what)


def from_toml(text: str | bytes, name: str, what: str = "valid TOML") -> Any:
    """The table of a TOML text. Raises TradeoffError that says `name` is not `what`."""
    return _parsed(tomllib.loads, text, name, what)


def _parsed(parse: Callable[[str], Any], text: str | bytes, name: str, what: str) -> Any:
    if len(text) > MOST_BYTES:
        raise TradeoffError(f"{name} has more than {MOST_BYTES:,} bytes, the most that is read")
    text = decoded(text, name) if isinstance(text, bytes) else text
    try:
        value = parse(text)
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:  # both decoders' errors are ValueErrors
        raise TradeoffError(f"{name} is not {what}: {error}") from None
    if parse is tomllib.loads or text.count("[") + text.count("{") > MOST_DEPTH:  # else it cannot be
        check_depth(value, name)
    return value


def check_depth(value: Any, name: str) -> None:
    """Raise TradeoffError if tables and lists lie more than MOST_DEPTH deep in each other, or a number cannot be printed."""
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        if any(isinstance(entry, int) and entry.bit_length() > MOST_BITS for entry in level):
            raise TradeoffError(f"{name} holds a whole number of more than {MOST_BITS:,} bits")
        tables = [entry for entry in level if isinstance(entry, dict | list)]
        if not tables:
            return
        level = [inner for one in tables for inner in (one.values() if isinstance(one, dict) else one)]
    raise _too_deep(name)


def _too_deep(name: str) -> TradeoffError:
    return TradeoffError(f"{name} is nested more than {MOST_DEPTH} levels deep: write it flatter")


def typed_value(text: str) -> Any:
    """What a person typed after `key=`: a value as TOML has it, else the text itself."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text
    except RecursionError:
        raise _too_deep(f"'{shortened(text)}'") from None
    check_depth(value, f"'{shortened(text)}'")
    return value


def shortened(value: object) -> str:
    """A value as an error shows it: on one line, and no longer than one reads."""
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}..."


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises TradeoffError if it holds none, OSError if it cannot be read."""
    return from_json(read_bytes(path), path.name)


def read_by_hand(path: Path, kind: str, what: str) -> Any:
    """A file that a person wrote, JSON by its ending, else TOML; errors call it a `kind` file, and not `what`."""
    try:
        content = read_bytes(path)
    except OSError:
        raise TradeoffError(f"there is no readable {kind} file '{path}'") from None
    return (from_json if path.suffix == ".json" else from_toml)(content, path.name, what)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The tables of a file of JSON lines, none if there is no such file. Raises TradeoffError that names a bad line."""
    try:
        text = decoded(read_bytes(path), path.name)
    except FileNotFoundError:
        return []
    lines = []
    for number, line in enumerate(text.split("\n"), 1):  # no other end of a line: JSON's texts may hold those
        if not line.strip():
            continue
        entry = from_json(line, f"line {number} of {path.name}")
        if not isinstance(entry, dict):
            raise TradeoffError(f"line {number} of {path.name} is no table")
        lines.append(entry)
    return lines


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` when all is written, on the disk, and is gone if that fails.

    Raises OSError that names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        raise _of(path, error) from None
    finally:  # a full disk should not stay full of it
        unfinished.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path`. Raises OSError that names it."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, document: object) -> None:
    """Write a document for people and programs to read."""
    write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def write_lines(path: Path, lines: Iterable[object]) -> None:
    """Write documents, each a line of JSON."""
    write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines).encode())


def append_line(path: Path, document: object) -> None:
    """Add a line of JSON; one that a kill or a full disk tore before it stays a line of its own."""
    try:
        with path.open("a+b") as lines:
            torn = lines.tell() and (lines.seek(-1, os.SEEK_END), lines.read())[1] != b"\n"
            lines.write((b"\n" if torn else b"") + json.dumps(document).encode() + b"\n")
    except OSError as error:
        raise _of(path, error) from None


def _of(path: Path, error: OSError) -> OSError:
    """The error with the name of the place, which a full disk's lacks."""
    return OSError(error.errno, error.strerror or str(error), str(path))
