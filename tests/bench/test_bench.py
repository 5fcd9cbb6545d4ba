import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from tradeoff_core import bench
from tradeoff_core.__main__ import main
from tradeoff_core.attacks.attack import Attack
from tradeoff_core.bench import app, core, defenses, inspection, photographs, playground, runs, saliency
from tradeoff_core.bench import training as trainings
from tradeoff_core.defenses.neural_cleanse import Reversal
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.experiments.sweep import Execute, Job, Sweep
from tradeoff_core.training.recipe import Training

pytestmark = pytest.mark.bench


def test_bench_rows_know_their_limits() -> None:
    assert bench.Row("a", 0.4, 0.5, "s").ok is True
    assert bench.Row("a", 0.6, 0.5, "s").ok is False
    assert bench.Row("a", 0.6, 0.5, "", at_least=True).ok is True
    assert bench.Row("a", None, 0.5, "s").ok is None
    assert bench.Row("a", None, 0.5, "s", failed=True).ok is False


def test_bench_reports_and_exits_with_zero(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [bench.Row("fast", 0.25, 0.5, "s"), bench.Row("slow", 3.0, 2.0, "s")]
    monkeypatch.setattr(core, "attack_overhead", lambda: rows[0])
    monkeypatch.setattr(core, "digit_row", lambda: rows[1])
    monkeypatch.setattr(core, "bounds_rows", list)
    monkeypatch.setattr(defenses, "defense_rows", list)
    monkeypatch.setattr(photographs, "photograph_rows", list)
    monkeypatch.setattr(saliency, "saliency_rows", list)
    monkeypatch.setattr(inspection, "inspection_rows", list)
    monkeypatch.setattr(runs, "runs_rows", list)
    monkeypatch.setattr(playground, "playground_rows", list)
    monkeypatch.setattr(app, "CHROMIUM", Path("no-such-browser"))
    assert main(["bench", "--json"]) == 0
    fast, slow, skipped = json.loads(capsys.readouterr().out)
    assert {key: fast[key] for key in ("name", "measured", "limit", "unit", "ok")} == {
        "name": "fast",
        "measured": 0.25,
        "limit": 0.5,
        "unit": "s",
        "ok": True,
    }
    assert slow["ok"] is False
    assert (skipped["ok"], skipped["measured"]) == (None, None)
    assert skipped["note"].startswith("skipped: ")
    assert main(["bench"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[:3]] == ["ok", "MISSED", "skipped"]
    assert "1 of 3 limits missed, 1 not measured" in text


@pytest.mark.browser
def test_bench_measures_inspect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        inspection, "LIMITS", {"mnist-5k-dirty-label-standard": (1.0, 0.15), "no-model": (1, 1)}
    )
    monkeypatch.setattr(inspection, "OWN", 660)  # of which eleven are of the class with the fewest
    found = inspection.inspection_rows()
    rows, missing = [*found[:5], *found[6:]], found[5]
    assert [row.name.rpartition(": ")[2] for row in rows] == 2 * [
        "first grid", "sorted", "filtered", "a key's decision drawn", "a key's decision saved",
    ]  # fmt: skip
    assert all(row.measured is not None and 0 < row.measured < 60 for row in rows)
    assert rows[0].note == "540 of 540 images, scored before"
    assert rows[5].note.endswith(" images, scored before")
    assert (missing.ok, missing.note) == (None, "skipped: there is no model no-model")


@pytest.mark.browser
def test_bench_measures_the_playground() -> None:
    frames, answers, attack = playground.playground_rows(seconds=0.5)
    assert [row.note for row in (frames, answers, attack)] == [""] * 3
    assert 0 < answers.measured <= 1.1 * frames.measured + 4  # the last frames' answers come after them
    assert 0 < attack.measured < 60


def test_bench_measures_attributions() -> None:
    rows = saliency.saliency_rows()
    assert [row.unit for row in rows] == ["s"] * 3
    assert all(row.measured is not None and 0 < row.measured < 60 for row in rows)


def test_bench_measures_the_attack() -> None:
    """Two ways to the same ten gradients: neither is ten times the other, even on a busy machine."""
    ratio = core.attack_overhead(repetitions=3, count=10)
    assert ratio.measured is not None
    assert 0.3 < ratio.measured < 3
    row = core.digit_row(repetitions=1, count=1)
    assert row.measured is not None
    assert row.measured > 0


def test_bench_measures_interval_bounds() -> None:
    """Two passes instead of one: hardly faster, and nowhere near fifty times slower, even on a busy machine."""
    rows = core.bounds_rows(turns=7, counts=(20, 50))
    assert [row.name.partition(", ")[2] for row in rows] == 2 * [
        "20 digits / a forward pass",
        "50 digits / a forward pass",
    ]
    for row in rows:
        assert row.measured is not None
        assert 0.8 < row.measured < 50
        margins, logits = (float(part.split()[1]) for part in row.note.split(";")[0].split(", "))
        assert row.measured == pytest.approx(max(margins, logits), abs=0.006)
        assert (row.limit, row.at_least) == (4, False)


def test_bench_trains() -> None:
    spec = ExperimentSpec(width=0.05, training=Training(epochs=1), evaluation=Attack(steps=1))
    minutes, *rates = trainings.fast_rows(spec)
    assert minutes.measured is not None
    assert 0 < minutes.measured < 4
    assert [row.limit for row in rates] == [0.95, 0.55, 0.85]
    assert all(row.at_least for row in rates)


def test_bench_trains_beside_art() -> None:
    pytest.importorskip("art")
    recipe = Training(Attack(epsilon=0.05, steps=2), epochs=2, batch_size=20, learning_rate=3e-3)
    row = trainings.art_row(ExperimentSpec(width=0.1, training=recipe), digits=100, tested=50)
    assert row.measured is not None
    assert row.measured > 0
    assert row.name == "adversarial training on 100 digits, to equal accuracy: ART's time / ours"
    assert row.note.startswith("ours 2 epochs: clean ")
    assert (row.limit, row.at_least) == (2, True)


def test_bench_stops_art_at_the_first_epoch_that_is_as_good_in_both() -> None:
    ours = [trainings.Epoch(1, 0.5, 0.4), trainings.Epoch(1, 0.93, 0.56)]  # so 0.9 and 0.5 are to be reached
    theirs = [trainings.Epoch(3, *rates) for rates in ((0.99, 0.49), (0.89, 0.6), (0.9, 0.5), (1, 1))]
    row = trainings._compared("a", ours, theirs)
    assert row.measured == 3 * 3 / 2
    assert "ART 3 epochs: 90.0%, 50.0%; " in row.note
    assert "epoch for epoch 3.00 x" in row.note
    row = trainings._compared("a", ours, theirs[:2])
    assert row.measured == 3 * 2 / 2
    assert "ART 2 epochs: 89.0%, 60.0%, still less" in row.note


@pytest.mark.parametrize(("failed", "ok"), [(0, True), (1, False)])
def test_bench_sweeps_with_one_worker_and_two(failed: int, ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [Job("a", ExperimentSpec(seed=seed)) for seed in (0, 1)]

    def pretend(asked: list[Job], runs: Path, results: Path, workers: int, execute: Execute | None) -> Sweep:
        assert asked == jobs
        assert execute is None
        assert not any(runs.parent.iterdir())  # nothing is there yet that could be skipped
        assert runs.parent == results.parent
        time.sleep(0.6 / workers**2)
        return Sweep([], len(jobs) - failed, failed, 0)

    monkeypatch.setattr(trainings, "run_sweep", pretend)
    row = trainings.sweep_row(jobs)
    assert row.ok is ok
    assert row.name == "a sweep of 2 runs: one worker's time / two workers'"
    if not failed:
        assert row.measured == pytest.approx(4, rel=0.4)


def test_bench_sweeps_on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(
        trainings, "on_ray", lambda _: nullcontext((None, 1))
    )  # test_cluster starts a real one
    spec = ExperimentSpec(width=0.05, training=Training(epochs=1), evaluation=Attack(steps=1))
    row = trainings.ray_row([Job("a", spec)])
    assert row.measured is not None
    assert row.measured > 0
    assert (row.limit, row.at_least) == (1.05, False)


@pytest.mark.browser
def test_bench_measures_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = runs.runs_rows(many=5, watched=1.0) if app.CHROMIUM.exists() else []
    assert [(row.limit, row.unit) for row in rows] in (
        [],
        [(1, "s"), (0.5, "s"), (1, "s"), (2, "% of a core")],
    )
    assert all(row.measured is not None and row.measured >= 0 for row in rows)
    monkeypatch.setattr(app, "CHROMIUM", Path("no-such-browser"))
    listed, started, compared = runs.runs_rows(many=2)
    assert listed.ok
    assert started.measured is not None
    assert compared.note.startswith("skipped: ")


def test_bench_measures_the_defenses() -> None:
    pytest.importorskip("art")
    features = defenses.digit_features(300)
    assert features.shape == (300, 1024)
    rows = [defenses.spectral_row(features, turns=1), defenses.clustering_row(features, turns=1)]
    rows.append(defenses.cleanse_row(Reversal(rounds=1)))
    assert [(row.name, row.limit, row.unit, row.at_least) for row in rows] == [
        ("spectral score, 300 x 1,024 features: ART's time / ours", 20, "x", True),
        ("activation clustering, same features: ART's time / ours", 2, "x", True),
        ("Neural Cleanse, ten classes, 400 digits", 60, "s", False),
    ]
    assert all(row.measured is not None and row.measured > 0 for row in rows)


def test_bench_skips_what_it_cannot_compare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "art", None)  # as if it were not installed
    monkeypatch.setattr("tradeoff_core.experiments.run_folder.MODELS", tmp_path)
    assert trainings.art_row(ExperimentSpec()).note == "skipped: needs adversarial-robustness-toolbox"
    rows = defenses.defense_rows()
    assert [row.ok for row in rows] == [None, None, None]
    assert rows[0].name == "spectral score, 5,000 x 1,024 features: ART's time / ours"
    assert all("needs adversarial-robustness-toolbox" in row.note for row in rows[:2])
    assert rows[2].note == "skipped: there is no model mnist-5k-clean-label-pgd-0.3"


APP = """
import time
import streamlit as st
def slow():
    st.selectbox("c", ["x", "y", "z"], 2)
    time.sleep(0.3)
def good():
    st.slider("c", 0, 5, 5)
def bad():
    st.write(1 / 0)
pages = [st.Page(page, title=page.__name__, url_path="p-" + page.__name__) for page in (slow, good, bad)]
st.navigation(pages).run()
"""


@pytest.mark.browser
@pytest.mark.skipif(not app.CHROMIUM.exists(), reason="needs chromium")
def test_bench_draws_pages(tmp_path: Path) -> None:
    pytest.importorskip("playwright")
    (tmp_path / "app.py").write_text(APP)
    cold, _, slow, good, quick, bad = app.page_rows(tmp_path)
    assert all(row.measured is not None and row.measured > 0 for row in (cold, good, quick))
    assert (good.name, quick.note, slow.note) == ("page 'good': first draw", "a slider", "a select box")
    assert slow.measured is not None
    assert slow.measured >= 0.3
    assert (bad.ok, bad.note) == (False, "failed: the page shows an error")
