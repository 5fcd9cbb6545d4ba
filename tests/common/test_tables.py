"""CSV tables that a spreadsheet opens without computing what others wrote."""

import csv
import io

import pandas as pd
import pytest

from pages.components.cards import _as_csv
from tradeoff_core.common.tables import csv_table


@pytest.mark.parametrize(
    "name",
    [
        "=cmd|' /C calc'!A0",
        "+1+cmd",
        "-2+3+cmd",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1",
        " =1+1",
        "＝1+1",
        "\x0b=1",
        "\ufeff=1",
        "\u200b=1",
    ],
)
def test_a_text_that_begins_as_a_formula_is_quoted(name):
    assert list(csv.reader(io.StringIO(csv_table(["class", name], [[name, 1]]), newline=""))) == [
        ["class", f"'{name}"],
        [f"'{name}", "1"],
    ]


def test_numbers_and_other_texts_stay():
    rows = [["-0.5", -0.5, "5%", "a-b", None, "–"]]
    assert csv_table(["a", "b", "c", "d", "e", "f"], rows).splitlines()[1] == "-0.5,-0.5,5%,a-b,,–"


def test_a_table_of_a_page_is_written_the_same_way():
    table = pd.DataFrame({"run": ["=1+1", "b"], "accuracy": [0.25, None], "n": [1000, 2]})
    assert _as_csv(table).splitlines() == ["run,accuracy,n", "'=1+1,0.25,1000", "b,,2"]
