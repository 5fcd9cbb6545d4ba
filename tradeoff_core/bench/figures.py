"""The app's own table: how long pages take, over its socket and in a browser, alone and with a class, and the server's memory.

What speaks the socket is a script beside the tests, which needs Streamlit; this room knows nothing of it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tradeoff_core.bench import app
from tradeoff_core.bench.rows import Row
from tradeoff_core.common.files import write_json
from tradeoff_core.common.paths import ROOT
from tradeoff_core.findings.results import APP_FIGURES

SCRIPT = ROOT / "tests" / "app_figures.py"
SECONDS = 60  # that twenty visitors come for, each of two times


def app_figures(note: Callable[[str], None], seconds: float = SECONDS) -> list[Row]:
    """All rows of the table; about five minutes."""
    note("the app in a browser ...")
    rows = in_a_browser()
    note("the app over its socket, alone, then with twenty visitors twice ...")
    return [*rows, *over_the_socket(seconds)]


def in_a_browser() -> list[Row]:
    """Cold start, the slowest first draw, and the slowest change of a control, of all pages."""
    cold, *rows = app.page_rows()
    made = [Row("cold start to first page, whole, headless Chromium", cold.measured, 6, "s", note=cold.note)]
    for what, name, limit in (
        ("first draw", "first draw in a new tab, warm server, whole, worst page", 2.0),
        ("a control changed", "key to last change on the screen, headless Chromium, worst page", 0.35),
    ):
        found = [row for row in rows if row.name.endswith(what)]
        if failed := [row for row in found if row.failed]:
            made.append(Row(name, None, limit, "s", note=f"{failed[0].name}: {failed[0].note}", failed=True))
            continue
        known = {row.name.split("'")[1]: row.measured for row in found if row.measured is not None}
        if not known:
            made.append(Row(name, None, limit, "s", note="skipped: " + cold.note.removeprefix("skipped: ")))
            continue
        worst = max(known, key=known.__getitem__)
        made.append(
            Row(name, known[worst], limit, "s", note=f"{worst}; the median {median(known.values()):.2f} s")
        )
    return made


def over_the_socket(seconds: float) -> list[Row]:
    """What the script measures; one row that says why where it cannot."""
    if not SCRIPT.is_file():
        return [Row("the app over its socket", None, 0, "s", note="skipped: needs the repository's tests/")]
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), f"{seconds:g}"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=False,
    )
    if ended.returncode:
        return [Row("the app over its socket", None, 0, "s", note="failed: see above", failed=True)]
    return [Row(**found) for found in json.loads(ended.stdout)]


def keep(rows: list[Row]) -> None:
    """Write the table to assets/results/, with the day and the machine."""
    write_json(
        APP_FIGURES,
        {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "rows": [row.document() for row in rows],
        },
    )


def machine() -> str:
    """What it was measured on: cores, processor, and how much else the machine did in the last quarter of an hour."""
    said = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    names = [line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("model name")]
    busy = f", load {os.getloadavg()[2]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{os.cpu_count()} cores, {names[0] if names else 'processor unknown'}{busy}"
