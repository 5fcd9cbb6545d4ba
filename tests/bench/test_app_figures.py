"""The app's table: the worst of all pages stands in it, what failed is said, and what is kept is what the page of results shows."""

import json
from pathlib import Path

import pytest

from tradeoff_core.__main__ import main
from tradeoff_core.bench import Row, app, figures
from tradeoff_core.findings import results
from tradeoff_core.tools.tables import app as page

PAGES = [
    Row("app: server start to first page drawn", 5.5, 10, "s"),
    Row("page 'Overview': first draw", 1.5, 2, "s"),
    Row("page 'Overview': a control changed", 0.3, 0.5, "s"),
    Row("page 'Features': first draw", 2.5, 2, "s"),
    Row("page 'Features': a control changed", None, 0.5, "s", note="skipped: no slider"),
    Row("page 'Paper': first draw", 0.5, 2, "s"),
]


def test_the_worst_page_stands_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "page_rows", lambda: PAGES)
    cold, first, key = figures.in_a_browser()
    assert (cold.measured, cold.ok) == (5.5, True)
    assert (first.measured, first.ok, first.note) == (2.5, False, "Features; the median 1.50 s")
    assert (key.measured, key.ok, key.note) == (0.3, True, "Overview; the median 0.30 s")


def test_what_failed_or_is_lacking_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failed = Row("page 'Paper': first draw", None, 2, "s", note="failed: it shows an error", failed=True)
    monkeypatch.setattr(app, "page_rows", lambda: [*PAGES[:-1], failed])
    _, first, _ = figures.in_a_browser()
    assert first.ok is False
    assert "Paper" in first.note
    monkeypatch.setattr(app, "page_rows", lambda: [Row("app", None, 10, "s", note="skipped: no browser")])
    assert [row.ok for row in figures.in_a_browser()] == [None] * 3
    monkeypatch.setattr(figures, "SCRIPT", tmp_path / "script.py")
    assert figures.over_the_socket(1)[0].ok is None
    figures.SCRIPT.write_text("raise SystemExit(1)")
    assert figures.over_the_socket(1)[0].ok is False
    figures.SCRIPT.write_text(
        'import json, sys\nprint(json.dumps([{"name": sys.argv[1], "measured": 1, "limit": 2, "unit": "s"}]))'
    )
    assert figures.over_the_socket(1) == [Row("1", 1, 2, "s")]


def test_the_command_keeps_the_table_that_the_page_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    for module in (figures, page):
        monkeypatch.setattr(module, "APP_FIGURES", kept)
    rows = [
        Row("quick", 0.05, 0.1, "s", note="overview"),
        Row("slow", 3.0, 2.0, "s"),
        Row("none", None, 1, "s"),
    ]
    monkeypatch.setattr(figures, "app_figures", lambda _: rows)
    assert main(["bench", "--app", "--json"]) == 0
    assert json.loads(kept.read_text())["rows"] == json.loads(capsys.readouterr().out)
    shown = page.speeds()
    assert "cores" in shown
    assert "| quick | 0.05 s | 0.1 s | overview |" in shown
    assert "| slow | 3.00 s, missed | 2 s |  |" in shown
    assert "| none | – | 1 s |  |" in shown


def test_the_kept_table_has_every_figure_of_a_class_and_of_one_visitor() -> None:
    names = "\n".join(row["name"] for row in json.loads(results.APP_FIGURES.read_text())["rows"])
    for part in (
        "cold start",
        "first draw",
        "nothing new",
        "CIFAR-10",
        "integrated gradients",
        "20 visitors",
        "memory",
    ):
        assert part in names
