"""What is taken along is read back; what is no such table is one sentence."""

import csv
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from tradeoff_core.inspection import exchange
from tradeoff_core.inspection.review import Mark, Standing
from tradeoff_core.inspection.table import Score, Table

INDEX = np.array([4, 7, 9])
TABLE = Table(
    1,
    "last",
    0,
    INDEX,
    np.array([1, 0, 1]),
    np.array([False, True, False]),
    {Score.SPECTRAL: np.array([0.5, 2.25, 1.0]), Score.LOSS: np.array([1e-9, 3.0, 0.25])},
)
MARKS = {7: Mark.REMOVE, 9: Mark.KEEP}


def marked(truth: bool) -> exchange.Marked:
    return exchange.Marked(TABLE, Standing(MARKS, {}, {"odd": frozenset({4, 9})}), truth)


def test_a_row_an_example_with_the_truth_only_if_asked():
    rows = list(csv.DictReader(io.StringIO(exchange.as_csv(marked(truth=True)))))
    assert rows[1] == {
        "index": "7", "label": "1", "predicted": "0", "spectral": "2.25", "loss": "3.0", "mark": "remove", "tags": "",
        "poisoned": "1",
    }  # fmt: skip
    assert "poisoned" not in exchange.as_csv(marked(truth=False))
    documents = json.loads(exchange.as_json(marked(truth=False)))
    assert [one["mark"] for one in documents] == ["", "remove", "keep"]
    assert [one["tags"] for one in documents] == ["odd", "", "odd"]


def test_marks_and_scores_come_back():
    text = exchange.as_csv(marked(truth=False)).encode()
    assert exchange.has_marks(text, "it")
    assert exchange.read_marks(text, "it", INDEX) == MARKS
    scores = b"\xef\xbb\xbfIndex, Score\r\n9,1e-3\r\n4,-2\r\n\r\n7,0.5\r\n"
    assert not exchange.has_marks(scores, "it")
    assert exchange.read_scores(scores, "it", INDEX).tolist() == [-2, 0.5, 0.001]


LABELS = {  # labels.json as docs.voxel51.com gives it for FiftyOneImageClassificationDataset
    "type": "object",
    "required": ["classes", "labels"],
    "additionalProperties": False,
    "properties": {
        "classes": {"type": "array", "items": {"type": "string"}},
        "labels": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["label"],
                "additionalProperties": False,
                "properties": {
                    "label": {"type": "integer", "minimum": 0},
                    "confidence": {"type": ["number", "null"]},
                    "attributes": {"type": "object"},
                },
            },
        },
    },
}
OF_A_LABEL = {"id", "label", "confidence", "logits"}  # fields of FiftyOne's own that no attribute may take


def test_the_folder_is_fiftyones_and_pandas_finds_every_picture(tmp_path):
    import jsonschema
    import pandas

    images = np.random.default_rng(0).integers(0, 256, (3, 5, 5, 3), dtype=np.uint8)
    with zipfile.ZipFile(io.BytesIO(exchange.as_zip(images, marked(truth=False), ("a", "b")))) as pack:
        pack.extractall(tmp_path)
    document = json.loads((tmp_path / "labels.json").read_text())
    jsonschema.validate(document, LABELS)
    assert {path.stem for path in (tmp_path / "data").iterdir()} == set(document["labels"])
    one = document["labels"]["00007"]
    assert document["classes"][one["label"]] == "b"
    assert not OF_A_LABEL & set(one["attributes"])
    assert (
        one["attributes"] | {"mark": "remove", "predicted": "a", "tags": [], "loss": 3.0} == one["attributes"]
    )
    table = pandas.read_csv(tmp_path / "examples.csv")
    assert table["label"].tolist() == [1, 1, 1]
    assert table["loss"].dtype == np.float64
    for image, path in zip(images, table["image"], strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / path)), image)


BAD = [
    (b"", "needs a first line with the columns index and score"),
    (b"index,mark\n4,keep\n", "columns index and score"),
    (b"index,score\n", "no line below its head"),
    (b"index,score\n4,1\n7,2\n", "has 2 scores, but the class has 3"),
    (b"index,score\n4,1\n7,2\n9,nan\n", "line 4 of it.csv: score 'nan' is no finite number"),
    (b"index,score\n4,1\n7,2\n9,inf\n", "'inf' is no finite number"),
    (b"index,score\n4,1\n7,2\n9,high\n", "'high' is no finite number"),
    (b"index,score\n4,1\n7,2\n7,2\n", "index 7 is there twice"),
    (b"index,score\n4,1\n7,2\n8,2\n", "index 8 is none of the 3 training examples of this class"),
    (b"index,score\n4,1\n7,2\n-9,2\n", "index '-9' is no whole number"),
    (b"index,score\n4,1\n7,2\n9.0,2\n", "index '9.0' is no whole number"),
    (b"index,score\n4,1\n7,2,3\n9,2\n", "line 3 of it.csv has 3 cells, not 2"),
    ("index,score\n4,1".encode("utf-16"), "UTF-16"),
    (b"index,score\n4,\xe9\n", "not UTF-8"),
]


@pytest.mark.parametrize(("content", "said"), BAD, ids=[said for _, said in BAD])
def test_bad_scores_are_one_sentence(content, said, refused):
    with refused(said):
        exchange.read_scores(content, "it.csv", INDEX)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"index,mark\n4,keep\n7,delete\n",
            "line 3 of it.csv: 'delete' is no mark: choose keep, remove, unsure",
        ),
        (b"index,mark\n4,keep\n4,remove\n", "index 4 is there twice"),
        (b"index,mark\n5,keep\n", "index 5 is none of the 3"),
        (b'index,mark\n4,"keep\n', "it.csv is no CSV table"),
    ],
)
def test_bad_marks_are_one_sentence(content, said, refused):
    with refused(said):
        exchange.read_marks(content, "it.csv", INDEX)
