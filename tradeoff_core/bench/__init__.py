"""Measured speeds beside their limits: the attack, a row of digits, the defenses, interval bounds, the app's pages,
training.

A report, not a test: other work on the machine slows it, and a missed limit changes no exit status.
"""

from collections.abc import Callable

from tradeoff_core.bench import app, core, defenses
from tradeoff_core.bench.rows import Row, table
from tradeoff_core.presets import PRESETS

__all__ = ["Row", "measure", "table"]


def measure(*, training: bool, note: Callable[[str], None]) -> list[Row]:
    """All rows, those of the training only if asked for; `note` is told what is being measured."""
    note("measuring the attack ...")
    rows = [core.attack_overhead(), core.digit_row()]
    note("measuring the defenses, which takes a minute or two ...")
    rows += defenses.defense_rows()
    note("measuring the pages ...")
    rows += app.page_rows()
    if training:
        note("training the fast preset, which takes minutes ...")
        rows += core.training_rows(PRESETS["fast"])
    return rows
