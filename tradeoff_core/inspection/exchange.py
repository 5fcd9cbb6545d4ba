"""Scores and marks to take along and to bring in: CSV, JSON, and a folder with the pictures that other tools open.

The folder is FiftyOne's `FiftyOneImageClassificationDataset` (docs.voxel51.com, loading datasets from disk): pictures in
data/, and labels.json. Beside it lies the table, whose column `image` Spotlight shows; pandas reads it, and so Cleanlab.
"""

import csv
import io
import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import MOST_BYTES, decoded, shortened
from tradeoff_core.common.tables import csv_table
from tradeoff_core.inspection.review import Mark, Standing, check_indices
from tradeoff_core.inspection.table import Score, Table
from tradeoff_core.networks.inference import Floats

INDEX, MARK, SCORE = "index", "mark", "score"


@dataclass(frozen=True, slots=True)
class Marked:
    """The examples of a table, what was decided over them, and whether the truth goes along."""

    table: Table
    stands: Standing
    truth: bool

    def rows(self, pictures: bool = False) -> list[dict[str, Any]]:
        """A row an example: index, label, prediction, every score, its mark and tags, and where its picture lies if asked."""
        table, stands = self.table, self.stands
        found = []
        for place, index in enumerate(table.index.tolist()):
            row: dict[str, Any] = {"image": picture_of(index)} if pictures else {}
            row |= {INDEX: index, "label": table.label, "predicted": int(table.predicted[place])}
            row |= {score.value: round(float(column[place]), 6) for score, column in table.columns.items()}
            row[MARK] = stands.marks[index].value if index in stands.marks else ""
            row["tags"] = "|".join(sorted(name for name, those in stands.tags.items() if index in those))
            found.append(row | ({"poisoned": int(table.poisoned[place])} if self.truth else {}))
        return found


def picture_of(index: int) -> str:
    """Where the picture of an example lies in the folder."""
    return f"data/{index:05d}.png"


def as_csv(marked: Marked, pictures: bool = False) -> str:
    """The rows as a CSV table."""
    found = marked.rows(pictures)
    return csv_table(list(found[0]), (row.values() for row in found))


def as_json(marked: Marked) -> str:
    """The rows as a JSON list."""
    return json.dumps(marked.rows(), indent=1, allow_nan=False) + "\n"


def as_labels(marked: Marked, classes: Sequence[str]) -> str:
    """FiftyOne's labels.json: each picture's label, the network's confidence in it, and the rest as attributes."""
    labels = {}
    for row in marked.rows():
        name = picture_of(row[INDEX]).removeprefix("data/").removesuffix(".png")
        labels[name] = {
            "label": row.pop("label"),
            "confidence": row.get(Score.SELF_CONFIDENCE.value),
            "attributes": row
            | {
                "predicted": classes[row["predicted"]],
                "tags": [name for name in row["tags"].split("|") if name],
            },
        }
    return json.dumps({"classes": [*classes], "labels": labels}, allow_nan=False) + "\n"


def folder(images: NDArray[np.uint8], marked: Marked, classes: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The files of the folder, by name: both tables, labels.json, and the pictures (N, H, W, C)."""
    yield "examples.csv", as_csv(marked, pictures=True).encode()
    yield "examples.json", as_json(marked).encode()
    yield "labels.json", as_labels(marked, classes).encode()
    for image, index in zip(images, marked.table.index.tolist(), strict=True):
        picture = io.BytesIO()
        Image.fromarray(image.squeeze()).save(picture, "PNG")
        yield picture_of(index), picture.getvalue()


def as_zip(images: NDArray[np.uint8], marked: Marked, classes: Sequence[str]) -> bytes:
    """The folder as one file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as pack:
        for name, content in folder(images, marked, classes):
            pack.writestr(name, content)
    return archive.getvalue()


def read_scores(content: bytes, name: str, index: NDArray[np.int64]) -> Floats:
    """The score (N,) of every example of `index` from a CSV table of index and score, more is more suspicious.

    Raises TradeoffError for a table of another length, a wrong, missing or doubled index, and what is no finite number.
    """
    found: dict[int, float] = {}
    lines = _read(content, name, SCORE)
    for number, place, text in lines:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise TradeoffError(f"line {number} of {name}: score '{shortened(text)}' is no finite number")
        found[place] = value
    _check(name, [place for _, place, _ in lines], index)
    if len(found) != len(index):
        raise TradeoffError(
            f"{name} has {len(found):,} scores, but the class has {len(index):,} training examples: score each of them"
        )
    return np.array([found[int(one)] for one in index])


def read_marks(content: bytes, name: str, index: NDArray[np.int64]) -> dict[int, Mark]:
    """The marks by index from a CSV table of index and mark; an empty mark is none.

    Raises TradeoffError for a wrong or doubled index, and for a mark that is none.
    """
    lines = _read(content, name, MARK)
    found: dict[int, Mark] = {}
    for number, place, text in lines:
        word = text.strip().lower()
        if word and word not in tuple(Mark):
            raise TradeoffError(
                f"line {number} of {name}: '{shortened(text)}' is no mark: choose {', '.join(Mark)}, or leave it empty"
            )
        if word:
            found[place] = Mark(word)
    _check(name, [place for _, place, _ in lines], index)
    return found


def has_marks(content: bytes, name: str) -> bool:
    """Whether a table has a column of marks and none of scores. Raises TradeoffError for what is no text."""
    head = [
        cell.strip().lower() for cell in decoded(content[:MOST_BYTES].partition(b"\n")[0], name).split(",")
    ]
    return MARK in head and SCORE not in head


def _check(name: str, indices: list[int], index: NDArray[np.int64]) -> None:
    try:
        check_indices(indices, index)
    except TradeoffError as error:
        raise TradeoffError(f"{name}: {error}") from None


def _read(content: bytes, name: str, column: str) -> list[tuple[int, int, str]]:
    """Of every line its number, its index, and what stands in a column. Raises TradeoffError for what is no such table."""
    if len(content) > MOST_BYTES:
        raise TradeoffError(f"{name} has more than {MOST_BYTES:,} bytes, the most that is read")
    table = csv.reader(io.StringIO(decoded(content, name)), strict=True)
    try:
        lines = [(table.line_num, line) for line in table if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise TradeoffError(f"{name} is no CSV table: {error}") from None
    head = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    if INDEX not in head or column not in head:
        raise TradeoffError(f"{name} needs a first line with the columns {INDEX} and {column}")
    if len(lines) == 1:
        raise TradeoffError(f"{name} has no line below its head")
    found = []
    for number, line in lines[1:]:
        if len(line) != len(head):
            raise TradeoffError(f"line {number} of {name} has {len(line)} cells, not {len(head)}")
        place = line[head.index(INDEX)].strip()
        if not (place.isdecimal() and place.isascii() and len(place) < 16):
            raise TradeoffError(
                f"line {number} of {name}: index '{shortened(place)}' is no whole number from 0"
            )
        found.append((number, int(place), line[head.index(column)]))
    return found
