"""Tables as text."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = re.compile(
    r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠\t\r]"
)  # what a spreadsheet would compute


def csv_table(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """A CSV table, the names of its columns first; a text that a spreadsheet would take for a formula is quoted as one."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerows([_text(cell) for cell in row] for row in (columns, *rows))
    return table.getvalue()


def _text(cell: Any) -> Any:
    """The cell, with an apostrophe before what is no number and begins as a formula does."""
    if not isinstance(cell, str) or not FORMULA.match(cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
