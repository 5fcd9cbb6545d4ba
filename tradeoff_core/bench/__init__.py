"""Measured speeds beside their limits: attacks, interval bounds, the defenses, attributions, the app's pages, Inspect, runs, photographs, training.

A report, not a test: other work on the machine slows it, and a missed limit changes no exit status.
"""

from collections.abc import Callable

from tradeoff_core.bench import app, core, defenses, inspection, photographs, playground, runs, saliency
from tradeoff_core.bench.rows import Row, table
from tradeoff_core.bench.training import training_rows

__all__ = ["Row", "measure", "table"]


def measure(*, training: bool, note: Callable[[str], None]) -> list[Row]:
    """All rows, those of the training only if asked for; `note` is told what is being measured."""
    note("measuring the attack and interval bounds ...")
    rows = [core.attack_overhead(), core.digit_row(), *core.bounds_rows()]
    note("measuring the defenses, which takes a minute or two ...")
    rows += defenses.defense_rows()
    note("measuring attributions ...")
    rows += saliency.saliency_rows()
    note("measuring the pages ...")
    rows += app.page_rows()
    note("measuring Inspect: grids, sorting, decisions ...")
    rows += inspection.inspection_rows()
    note("measuring the playground ...")
    rows += playground.playground_rows()
    note("measuring a visitor's runs: one started, a thousand listed and compared, one watched ...")
    rows += runs.runs_rows()
    note("measuring photographs: attacks, the data, the app's memory ...")
    rows += photographs.photograph_rows()
    if training:
        note("training: the fast preset, then beside ART, then a sweep; minutes each ...")
        rows += training_rows()
    return rows
