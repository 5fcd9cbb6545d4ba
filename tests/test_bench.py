import json
import sys
from pathlib import Path

import pytest

from tradeoff_core import bench, zoo
from tradeoff_core.__main__ import main
from tradeoff_core.attacks import Attack
from tradeoff_core.bench import app, core, defenses
from tradeoff_core.defenses.neural_cleanse import Reversal
from tradeoff_core.experiments import ExperimentSpec
from tradeoff_core.training import Training


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
    monkeypatch.setattr(defenses, "defense_rows", list)
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


def test_bench_measures_the_attack() -> None:
    """Two ways to the same ten gradients: neither is ten times the other, even on a busy machine."""
    ratio = core.attack_overhead(repetitions=3, count=10)
    assert ratio.measured is not None
    assert 0.3 < ratio.measured < 3
    row = core.digit_row(repetitions=1, count=1)
    assert row.measured is not None
    assert row.measured > 0


def test_bench_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ExperimentSpec(width=0.05, training=Training(epochs=1), evaluation=Attack(steps=1))
    monkeypatch.setitem(presets.PRESETS, "fast", spec)
    minutes, *rates = core.training_rows(presets.PRESETS["fast"])
    assert minutes.measured is not None
    assert 0 < minutes.measured < 4
    assert [row.limit for row in rates] == [0.95, 0.55, 0.85]
    assert all(row.at_least for row in rates)


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
    monkeypatch.setattr(zoo, "MODELS", tmp_path)
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
