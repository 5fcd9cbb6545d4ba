"""What others made, on the pages: names that would load something, runs that are damaged, links that would read a file."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from opening import everything_said, opened

from pages.components.plain_words import escaped
from pages.components.words.models import called
from tradeoff_core.experiments import stored_runs
from tradeoff_core.models import zoo

FINISHED = next((Path(__file__).parents[1] / "fixtures" / "runs").glob("mnist-*"))
NAME = "![x](http://127.0.0.1:9/x) :material/home: $a$"
DRAWN = "!(x)(http∶//127.0.0.1∶9/x) ∶material/home∶ ＄a＄"
DAMAGED = {
    "spec.json": ["[]", '{"training": 3}', '{"dataset": 3}', '{"training": {"epochs": "x"}}', "[" * 100_000],
    "result.json": ['{"metrics": {"clean_accuracy": {}}}', "\0", '{"metrics": []}'],
    "order.json": ['{"name": 3}', '{"queued": "x"}', '{"note": "' + "x" * 10_000 + '"}'],
}


def ticked(app, root, *ids):
    """The Runs page with these rows ticked."""
    every = [run.id for run in stored_runs.stored_runs(root)]
    shipped = [name for name in zoo.model_ids() if not zoo.find_model(name).trained_elsewhere]
    key = f"rows-{hashlib.sha256(' '.join([*every, *shipped]).encode()).hexdigest()}"
    rows = [every.index(name) for name in ids]
    app.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    return app.run()


def test_a_name_that_would_load_a_picture_is_drawn_as_it_is(tmp_path, runs_at):
    runs_at(tmp_path)
    for name in ("one", "two"):
        shutil.copytree(FINISHED, tmp_path / name)
        stored_runs.change_order(tmp_path / name, name=NAME, note=NAME)
    app = opened("train")
    assert f"{DRAWN}: done" in everything_said(app)
    app = opened("runs")
    for ids in (["one"], ["one", "two"]):
        ticked(app, tmp_path, *ids)
        assert not app.exception
        assert NAME not in everything_said(app)
    assert list(app.dataframe[1].value)[1:] == [f"{DRAWN}, one", f"{DRAWN}, two"]  # each has its column
    stored_runs.delete(tmp_path, "one")
    assert f"{DRAWN} was deleted" in everything_said(opened("runs"))


@pytest.mark.parametrize("page", ["train", "runs"])
def test_damaged_runs_are_shown_as_damaged_and_hide_no_other(page, tmp_path, runs_at):
    runs_at(tmp_path)
    shutil.copytree(FINISHED, tmp_path / "whole")
    for file, contents in DAMAGED.items():
        for number, content in enumerate(contents):
            name = f"{file[:5]}-{number}"
            shutil.copytree(FINISHED, tmp_path / name)
            (tmp_path / name / file).write_text(content)
    lines = ["{}", "[]", '{"epoch": 9, "epochs": 1, "loss": NaN, "seconds": 1e308}']
    (tmp_path / "whole" / "progress.jsonl").write_text("\n".join(lines))
    app = opened(page)
    assert not app.exception
    if page == "train":
        assert any("is damaged" in error.value for error in app.error)
        return
    states = dict(zip(app.dataframe[0].value["name"], app.dataframe[0].value["state"], strict=True))
    assert "failed" in states.values()
    for run in stored_runs.stored_runs(tmp_path):
        ticked(app, tmp_path, run.id)
        assert not app.exception
        assert any(button.label == "Delete" for button in app.button)
        assert (run.id != "whole") == any("is damaged" in error.value for error in app.error)


def test_a_button_for_a_run_that_is_gone_meanwhile_says_so(tmp_path, runs_at):
    runs_at(tmp_path)
    shutil.copytree(FINISHED.parent / "interrupted", tmp_path / "half")
    app = opened("train")
    shutil.rmtree(tmp_path / "half")
    app.button(key="resume-half").click().run()
    assert not app.exception
    assert [error.value for error in app.error] == [f"there is no run 'half' in '{tmp_path}'"]


def test_an_address_names_no_file_of_the_server(tmp_path):
    place = tmp_path / "secret.png"
    app = opened("train", **{"more-fast": f"poison.trigger.pattern = {place}", "sticker-fast": str(place)})
    assert not app.exception
    assert not app.error
    assert str(place) not in app.code[0].value
    app.text_area(key="more-fast").set_value(f"poison.trigger.pattern = {place}").run()  # by hand it is read
    assert any(f"unknown sticker '{place}'"[:60] in error.value for error in app.error)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("'![x](http://a/b)' is no [a]", r"'!\[x\](http://a/b)' is no \[a\]"),
        ("training.batch_size must be a whole number", "training.batch_size must be a whole number"),
        ("_a_ $b$ `c` <d>\ne", r"\_a\_ \$b\$ \`c\` \<d\> e"),
        (":material/home: :red[x]", r"\:material/home: \:red\[x\]"),
    ],
)
def test_an_error_that_quotes_a_name_quotes_it_as_it_is(message, shown):
    assert escaped(message) == shown


def test_a_class_of_a_card_that_is_a_link_or_nothing_is_drawn_as_text(tmp_path):
    folder = shutil.copytree(FINISHED, tmp_path / "model")
    card = json.loads((folder / "card.json").read_text())
    classes = [NAME, "", "_", *"3456789"]
    (folder / "card.json").write_text(json.dumps(card | {"classes": classes}))
    model = zoo.find_model(str(folder))
    assert [called(model, label) for label in range(3)] == [DRAWN, "?", "?"]
