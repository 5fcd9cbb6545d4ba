"""The scores of later detectors on Inspect: computed when they are asked for, once, and refused in a sentence."""

from types import SimpleNamespace

import numpy as np
import pytest
from opening import everything_said, opened

from pages.components import cache, inspection
from pages.components.inspection import further
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.finding import LATER, WORDS, Evidence, Finder, suspicion
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.inspection.table import Score, ranks
from tradeoff_core.models import zoo

PAGE, DIRTY = "inspect_examples", "mnist-5k-dirty-label-standard"
SPECTRE, SCALE_UP, ISOLATION = "SPECTRE (2021)", "SCALE-UP (2023)", "ABL's loss isolation (2021)"


@pytest.fixture(autouse=True)
def _runs(tmp_path, runs_at):
    runs_at(tmp_path)


@pytest.fixture
def grids(monkeypatch):
    """What the grid is given."""
    given, drawn = [], inspection.grid
    monkeypatch.setattr(inspection, "grid", lambda **all_of_it: given.append(all_of_it) or drawn(**all_of_it))
    return given


def looks(app, score):
    """How many looks a score takes, by the table that the truth reveals."""
    table = app.table[0].value
    return table.loc[score, "looks until 90%"]


def test_what_is_asked_for_is_a_column_and_changes_no_other(grids):
    usual = opened(PAGE, truth="true")
    app = opened(PAGE, truth="true", scores=[SPECTRE, SCALE_UP])
    assert not app.exception
    model = zoo.find_model(DIRTY)
    seen = cache.examples(model, 7, "penultimate").seen
    evidence = Evidence(
        cache.network(model), cache.poisoned(model), seen, load_dataset("mnist-5k", Split.VALIDATION)
    )
    before, after = grids[0]["data"], grids[-1]["data"]
    assert before["others"] == []
    for column, title, finder in zip(
        after["others"], (SPECTRE, SCALE_UP), (Finder.SPECTRE, Finder.SCALE_UP), strict=True
    ):
        scores = suspicion(finder, evidence, 0.1)
        assert (column["name"], column["title"]) == (finder.value, title)
        np.testing.assert_array_equal(column["values"], scores)
        np.testing.assert_array_equal(column["rank"], np.floor(100 * ranks(scores)))
        assert f"**{title}**: {WORDS[finder]}." in "\n".join(caption.value for caption in app.caption)
    assert set(app.table[0].value.index) - set(usual.table[0].value.index) == {SPECTRE, SCALE_UP}
    for score in usual.table[0].value.index:
        assert looks(app, score) == looks(usual, score)


def test_it_is_asked_once_and_again_of_another_class(monkeypatch):
    asked = []

    def counted(finder, evidence, progress):
        asked.append((finder, evidence.seen.label))
        progress(0.5)
        return np.arange(len(evidence.seen.index), dtype=np.float64)

    monkeypatch.setattr(further, "suspicion", counted)
    cache.place_of.clear()
    for number in ("7", "7", "3"):
        assert not opened(PAGE, scores=["ASSET (2023)"], **{"class": number}).exception
    cache.place_of.clear()
    assert asked == [(Finder.ASSET, 7), (Finder.ASSET, 3)]


def test_a_network_without_its_losses_says_so_and_a_run_of_ones_own_has_them(finished_run, runs_at):
    app = opened(PAGE, scores=[ISOLATION])
    assert not app.exception
    (said,) = [caption.value for caption in app.caption if ISOLATION in caption.value]
    assert said.endswith("were not kept when this network was trained.")
    runs_at(finished_run.parent)
    own = zoo.find_model(str(finished_run))
    table = cache.table(own, 7, "penultimate")
    assert further.why_not(Finder.ISOLATION, own, table) == ""
    losses = np.array(RunFolder(own.folder).losses(7, len(table.index)))
    bar = SimpleNamespace(seen=[])
    found = further.ask(Finder.ISOLATION, own, table, bar.seen.append)
    np.testing.assert_allclose(found, -losses[:4].mean(axis=0))


def test_what_takes_long_is_not_asked_of_photographs():
    model = zoo.find_model("cifar10-clean-label-standard")
    table = SimpleNamespace(label=7, index=np.arange(3))
    refused = {finder for finder in LATER if further.why_not(finder, model, table)}
    assert refused == {Finder.STRIP, Finder.SCALE_UP, Finder.ASSET, Finder.ISOLATION}
    assert "digits alone" in further.why_not(Finder.STRIP, model, table)


def test_an_address_that_sorts_by_what_was_not_asked_for_opens():
    app = opened(PAGE, view="strip.down")
    assert not app.exception
    assert "540 training images labelled 7" in everything_said(app)


def test_no_later_detectors_column_is_called_as_one_of_the_table():
    assert not {finder.value for finder in LATER} & {score.value for score in Score}
