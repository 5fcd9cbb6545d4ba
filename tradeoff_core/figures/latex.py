"""A table for a paper in LaTeX: narrow, with rules, a label, and its sentences as notes below it."""

import re
from collections.abc import Sequence
from itertools import groupby
from string import ascii_lowercase

import pandas as pd

SENTENCE = 44  # characters from which a cell is a note
LABEL = 14  # characters of a row's name in a line
SIGNS = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "∞": r"$\infty$",
    "ε": r"$\varepsilon$",
    "→": r"$\to$",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
}


def as_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    r"""The table for a document that loads booktabs and array, to be named by `\ref{label}`.

    Where its first column repeats itself it becomes a line above its rows. Columns "Rate, paper" and "Rate, here" stand under
    one "Rate"; a percent sign that all cells have is in the head alone; sentences are notes.
    """
    cells = table.astype(object).where(table.notna(), "").astype(str)
    names = [str(name) for name in cells.columns]
    columns = {name: list(cells.iloc[:, at]) for at, name in enumerate(names)}
    groups = columns.pop(names[0]) if cells.iloc[:, 0].duplicated().any() and len(names) > 2 else []
    notes: dict[str, str] = {}  # each with its letter
    told = [_with_letters(columns, name, notes) for name in list(columns)[1:]]
    columns = dict(_without_percent(name, column) for name, column in columns.items())
    lines = [" & ".join(map(latex, row)) + r" \\" for row in zip(*columns.values(), strict=True)]
    return "\n".join(
        [
            r"% \usepackage{booktabs, array}",
            r"\begin{table}",
            r"\centering\scriptsize\setlength{\tabcolsep}{2pt}",
            rf"\caption{{{latex(caption)}}}",
            rf"\label{{{label}}}",
            rf"\begin{{tabular}}{{@{{}}{''.join(_widths(columns))}@{{}}}}",
            r"\toprule",
            *_head(list(columns)),
            r"\midrule",
            *_grouped(groups, lines, len(columns)),
            r"\bottomrule",
            r"\end{tabular}",
            *(
                [rf"\par\smallskip\parbox{{\linewidth}}{{\raggedright {' '.join(filter(None, told))}}}"]
                if notes
                else []
            ),
            r"\end{table}",
            "",
        ]
    )


def latex(text: str) -> str:
    """A text as LaTeX sets it, the field's signs as mathematics."""
    return "".join(SIGNS.get(letter, letter) for letter in text.replace("l∞", "ℓ∞")).replace(
        "ℓ$\\infty$", r"$\ell_\infty$"
    )


def _with_letters(columns: dict[str, list[str]], name: str, notes: dict[str, str]) -> str:
    """Put letters in the place of a column's sentences; what the letters stand for, nothing where it has no sentence."""
    column = columns[name]
    if all(len(cell) <= SENTENCE for cell in column):
        return ""
    for cell in filter(None, column):
        notes.setdefault(cell, ascii_lowercase[len(notes) % 26] * (len(notes) // 26 + 1))
    at = list(columns).index(name)
    given = list(columns.items())
    given[at] = ("Note", [notes.get(cell, "") for cell in column])
    columns.clear()
    columns.update(given)
    told = "; ".join(f"{notes[cell]}: {cell}" for cell in dict.fromkeys(filter(None, column)))
    return latex(f"{name}: {told}.")


def _without_percent(name: str, column: list[str]) -> tuple[str, list[str]]:
    """A column of percentages without their signs, which its name then has; any other as it is."""
    numbers = [cell for cell in column if re.search(r"\d", cell)]
    if not numbers or not all("%" in cell and not re.search("[a-z]", cell) for cell in numbers):
        return name, column
    return f"{name} (%)", [cell.replace("%", "") for cell in column]


def _widths(columns: dict[str, list[str]]) -> list[str]:
    """Columns as narrow as their longest word; the first, of names, takes some more."""
    least = [LABEL, *[0] * (len(columns) - 1)]
    found = []
    for (name, column), wide in zip(columns.items(), least, strict=True):
        texts = [name.rpartition(", ")[2], *column]
        words = max(len(word) for text in texts for word in text.split() or [""])
        characters = max(words, min(wide, max(len(text) for text in texts)))
        found.append(rf">{{\raggedright\arraybackslash}}p{{{0.46 * characters + 0.55:.1f}em}}")
    return found


def _head(names: Sequence[str]) -> list[str]:
    """A line of names, and above it one of what several of them share."""
    split = [name.rpartition(", ") for name in names]
    last = " & ".join(latex(name) for _, _, name in split) + r" \\"
    if not any(shared for shared, _, _ in split):
        return [last]
    first, rules, at = [], [], 1
    for shared, group in groupby(split, key=lambda parts: parts[0]):
        width = len(list(group))
        first.append(
            rf"\multicolumn{{{width}}}{{@{{}}l}}{{{latex(shared)}}}" if shared else " & " * (width - 1)
        )
        if shared:
            rules.append(rf"\cmidrule(r){{{at}-{at + width - 1}}}")
        at += width
    return [" & ".join(first) + r" \\", " ".join(rules), last]


def _grouped(groups: Sequence[str], lines: Sequence[str], width: int) -> list[str]:
    """The lines, with what several of them share above them."""
    if not groups:
        return list(lines)
    found: list[str] = []
    for shared, rows in groupby(zip(groups, lines, strict=True), key=lambda pair: pair[0]):
        space = [r"\addlinespace"] if found else []
        found += [*space, rf"\multicolumn{{{width}}}{{@{{}}l}}{{\emph{{{latex(shared)}}}}} \\"]
        found += [line for _, line in rows]
    return found
