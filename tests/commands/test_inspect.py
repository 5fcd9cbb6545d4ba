"""`inspect`: scores and marks judged, and taken along."""

import csv
import json

import numpy as np
import pytest


def indices(folder) -> list[dict]:
    with (folder / "examples.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    from tradeoff_core.__main__ import main

    folder = tmp_path_factory.mktemp("exported")
    assert main(["inspect", str(run), "--export", str(folder), "--json"]) == 0
    return folder


def test_what_is_exported_has_every_example_of_the_class_and_the_truth(exported):
    rows = indices(exported)
    assert {row["label"] for row in rows} == {"7"}
    assert sum(row["poisoned"] == "1" for row in rows) == 180
    assert len(json.loads((exported / "examples.json").read_text())) == len(rows) == 360
    assert len([*(exported / "data").glob("*.png")]) == 360
    assert len(json.loads((exported / "labels.json").read_text())["labels"]) == 360


def test_the_truth_as_scores_wastes_no_look(run, exported, tmp_path, answer):
    table = tmp_path / "mine.csv"
    table.write_text(
        "index,score\n" + "".join(f"{row['index']},{row['poisoned']}\n" for row in indices(exported))
    )
    (judged,) = answer("inspect", run, "--scores", table)["scores"].values()
    assert judged == {
        "auroc": 1,
        "average_precision": 1,
        "precision": 1,
        "chance": 0.5,
        "looks_until_90": 162,
    }


def test_a_score_is_judged_as_detect_does(run, answer):
    spectral = answer("inspect", run)["scores"]["spectral"]
    known = answer("detect", run, "--method", "spectral-signatures")
    assert spectral["auroc"] == pytest.approx(known["auroc"])
    assert spectral["precision"] == pytest.approx(known["detection_rate"])


def test_marks_have_precision_recall_and_agreement(run, exported, tmp_path, answer):
    rows = indices(exported)
    poisoned, clean = ([row["index"] for row in rows if row["poisoned"] == one] for one in "10")
    marked = [(one, "remove") for one in (*poisoned[:90], *clean[:30])] + [
        (one, "keep") for one in clean[30:60]
    ]
    table = tmp_path / "marks.csv"
    table.write_text("index,mark\n" + "".join(f"{one},{mark}\n" for one, mark in marked))
    found = answer("inspect", run, "--marks", table)
    assert (found["remove"], found["keep"], found["unsure"]) == (120, 30, 0)
    assert (found["precision"], found["recall"]) == (0.75, 0.5)
    assert found["agreement"]["spectral-signatures"]["n"] == 150
    assert np.isfinite(found["agreement"]["spectral-signatures"]["kappa"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--class", "all"], "one class at a time"),
        (["--class", "seven"], "unknown class"),
        (["--scores", "missing.csv"], "cannot be read"),
        (["--scores", "a.csv", "--marks", "b.csv"], "not allowed with"),
        (["--layer", "none"], "no layer 'none'"),
    ],
)
def test_bad_usage_is_one_line(run, arguments, said, complaint):
    assert said in complaint("inspect", run, *arguments)


def test_an_export_onto_a_file_is_refused(run, tmp_path, complaint):
    (tmp_path / "taken").write_text("mine")
    assert "is a file: choose a folder" in complaint("inspect", run, "--export", tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"
