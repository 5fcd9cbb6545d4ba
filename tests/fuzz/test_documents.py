"""Mutated specs, grids, cards, run folders and archives: each gives a result or one sentence, and nothing is lost.

A few of each kind in the usual suite; `python -m pytest -m fuzz` tries 500.
"""

import io
import json
import os
import random
import shutil
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest
from mutations import mutated_bytes, mutated_json, mutated_toml
from opening import opened

from pages.components import training
from pages.components.words.models import class_names, poison_in_words, stronger
from tradeoff_core.commands.models import _model_text
from tradeoff_core.commands.runs import document
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.experiments import stored_runs
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run_folder import CARD, ORDER, PROGRESS, RESULT, SPEC
from tradeoff_core.experiments.spec import read_spec, spec_from_dict, spec_to_dict
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.figures import training_curves
from tradeoff_core.figures.exports import as_toml
from tradeoff_core.models.compared import describe
from tradeoff_core.models.zoo import find_model, load_network

FINISHED = next((Path(__file__).parents[1] / "fixtures" / "runs").glob("mnist-*"))
GRID = {
    "grid": [
        {
            "name": "a",
            "preset": "fast",
            "set": {"width": 0.5},
            "vary": {"seed": [0, 1, 2], "training.epochs": [1, 2]},
        },
        {"preset": "ibp", "vary": {"training": {"learning_rate": [0.1, 0.2]}}},
    ]
}
SECONDS = 5  # that a document may take, on a machine that does other things too
LONGEST = 2000  # characters of a sentence: the longest lists all networks
SHORT = 4


def draw_of(kind, number):
    return random.Random(f"{kind}-{number}")


def tried(act, *arguments):
    """What a mutated document gives, or the sentence that refuses it; a failure for whatever else happens."""
    began = time.monotonic()
    try:
        found = act(*arguments)
    except TradeoffError as error:
        said = str(error)
        assert 0 < len(said) < LONGEST
        assert "\n" not in said
        assert not any(unicodedata.category(char) == "Cs" for char in said)
        found = said
    assert time.monotonic() - began < SECONDS
    return found


def read_and_written(place):
    """A spec from its file, used as commands and pages use it, and the same again from what it is written as."""
    spec = spec_from_dict(read_spec(place))
    assert spec_from_dict(spec_to_dict(spec)) == spec
    assert spec_from_dict(json.loads(json.dumps(spec_to_dict(spec)))).id == spec.id
    return spec.title, spec.training_in_words, spec.epochs, spec.trigger, as_toml(spec)


def mutated_spec(number, folder):
    draw = draw_of("spec", number)
    of = spec_to_dict(PRESETS[draw.choice(list(PRESETS))])
    place = folder / f"spec-{number}.{draw.choice(('toml', 'json'))}"
    place.write_bytes((mutated_json if place.suffix == ".json" else mutated_toml)(of, draw))
    tried(read_and_written, place)


def mutated_grid(number, folder):
    draw = draw_of("grid", number)
    place = folder / f"grid-{number}.toml"
    place.write_bytes(mutated_toml(GRID, draw))
    tried(read_grid, place)


def used(place):
    """A model as commands and pages use it: read, described, loaded."""
    model = find_model(str(place))
    told = (
        model.summary(),
        _model_text(model),
        class_names(model),
        poison_in_words(model),
        describe(model),
        stronger(model),
    )
    load_network(model)
    return told


def mutated_card(number, folder):
    draw = draw_of("card", number)
    place = shutil.copytree(FINISHED, folder / f"card-{number}")
    (place / CARD).write_bytes(mutated_json(json.loads((place / CARD).read_text()), draw))
    tried(used, place)


def mutated_run(number, root):
    """A finished run or an interrupted one with a mutated file, in a folder that holds others."""
    draw = draw_of("run", number)
    place = shutil.copytree(draw.choice((FINISHED, FINISHED.parent / "interrupted")), root / f"run-{number}")
    file = place / draw.choice((SPEC, PROGRESS, RESULT, ORDER, CARD))
    if not file.exists():
        file.write_text("{}")
    if file.name == PROGRESS:
        lines = [mutated_json(json.loads(line), draw) for line in file.read_text().splitlines()]
        file.write_bytes(b"\n".join(lines))
    else:
        file.write_bytes(mutated_json(json.loads(file.read_text()), draw))
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    run = tried(stored_runs.find_run, root, place.name)
    assert run.id == place.name
    if run.problem:
        assert "\n" not in run.problem
    json.dumps(document(run))
    if epochs := run.progress():
        training_curves(epochs)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    return place


def mutated_archive(number, folder):
    """An exported run with other bytes, other names, other files or mutated ones, brought in beside another run."""
    draw = draw_of("archive", number)
    root = folder / f"root-{number}"
    shutil.copytree(FINISHED, root / "mine")
    archive = io.BytesIO()
    odd = ("..", "/", "a/b", "CON", "\x1b[2J", "x" * 300, "", "__MACOSX", "ä", "a\\b", "a" * 40)
    name = draw.choice(("run", "run", "run", *odd))
    with zipfile.ZipFile(
        archive, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    ) as pack:
        for file in FINISHED.iterdir():
            content = file.read_bytes()
            if file.suffix == ".json" and draw.randrange(8) == 0:
                content = mutated_json(json.loads(content), draw)
            elif draw.randrange(30) == 0:
                content = mutated_bytes(content, draw)
            if draw.randrange(40):
                pack.writestr(f"{name}/{draw.choice((file.name,) * 300 + odd)}", content)
    content = archive.getvalue()
    if draw.randrange(3) == 0:
        content = mutated_bytes(content, draw)
    before = tree(folder)
    found = tried(stored_runs.imported, root, content)
    after = tree(folder)
    assert {path: kept for path, kept in after.items() if path in before} == before
    new = {path.parent for path in set(after) - set(before)}
    assert new == (set() if isinstance(found, str) else {found.folder})
    if not isinstance(found, str):
        tried(used, found.folder)
    shutil.rmtree(root)


def tree(folder):
    """Every file under a folder with its content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


KINDS = (mutated_spec, mutated_grid, mutated_card, mutated_run, mutated_archive)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_mutated_document_gives_a_result_or_one_sentence(kind, tmp_path):
    for number in range(SHORT):
        kind(number, tmp_path)


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_hundred_mutated_documents_of_each_kind(kind, tmp_path):
    for number in range(100):
        kind(number, tmp_path)


@pytest.mark.fuzz
def test_mutated_runs_are_on_the_pages_beside_whole_ones(tmp_path, runs_at, monkeypatch):
    found = {"epoch_seconds": 10.0, "measuring_seconds": 20.0, "megabytes": 500.0}
    monkeypatch.setattr(training, "cost", lambda _: found)  # which another process would measure
    runs_at(tmp_path)
    shutil.copytree(FINISHED, tmp_path / "whole")
    os.utime(tmp_path / "whole" / SPEC)
    for number in range(100):
        mutated_run(number, tmp_path)
    for page in ("runs", "train", "tradeoff", "overview"):
        app = opened(page)
        assert not app.exception
        if page == "runs":
            assert len(app.dataframe[0].value) > 101
