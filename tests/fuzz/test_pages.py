"""Hostile values to every control and address field of every page, as a browser of one's own making may send them.

A few in the usual suite; `python -m pytest -m fuzz` tries 2,000. A page answers each with what it has, or with one sentence.
"""

import logging
import random
import time
from contextlib import contextmanager

import pytest
from hostile import TEXTS, hostile
from opening import PAGES, opened
from streamlit.components.v2 import manifest_scanner
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.state.common import WidgetMetadata, user_key_from_element_id
from streamlit.runtime.state.session_state import SessionState

from pages.components import photograph, training
from tradeoff_core.explanations import feature_plane

gather = feature_plane.gather

EACH = 12  # values in a message: a browser sends all of a page's controls at once
SHORT, LONG = 1, 12  # messages to a page, and addresses a third of that
MOST = 2_000
QUICK = (
    "glossary",
    "paper",
    "tradeoff",
    "runs",
    "train",
    "find_the_poison",
    "spectral_signatures",
    "inspect_examples",
)  # with every kind of control
# what writes, or begins a process, has tests of its own; buttons without a key compute for minutes or ask the network
NOT_PRESSED = ("run-archive", "import-run", "own-load", "start", "retrain")
SECONDS = 60  # that a page may take, on a machine that does other things too


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Little is computed, no process begins, and no run is there."""
    monkeypatch.setenv("TRADEOFF_RUNS", str(tmp_path))
    monkeypatch.setattr(
        training, "cost", lambda _: {"epoch_seconds": 1.0, "measuring_seconds": 1.0, "megabytes": 1.0}
    )
    monkeypatch.setattr(photograph, "STEPS", 1)
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", list)  # a quarter of AppTest's time
    monkeypatch.setattr(feature_plane, "gather", lambda *given: gather(*given[:-1], 10))


@contextmanager
def nothing_logged():
    """No traceback, and no complaint of Streamlit's about a value, comes into the log."""
    kept: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR or record.exc_info:
                kept.append(self.format(record))

    keeper = Keeper()
    loggers = [logging.getLogger(name) for name in ("", "streamlit")]
    loggers += [
        logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("streamlit.")
    ]
    for logger in loggers:
        logger.addHandler(keeper)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(keeper)
    assert not kept, kept[0]


def controls(app) -> dict[str, WidgetMetadata]:
    """What a page has registered, by the id that a browser would send; figures and tables too."""
    state = app.session_state
    while not isinstance(state, SessionState):  # AppTest wraps it
        state = vars(state)["_state"]
    return {
        name: metadata
        for name, metadata in state._new_widget_state.widget_metadata.items()
        if user_key_from_element_id(name) not in NOT_PRESSED
        and (user_key_from_element_id(name) or metadata.value_type != "trigger_value")
    }


def attack(app, draw: random.Random) -> int:
    """Send a message with hostile values among those that a browser would send; how many they are."""
    states = {state.id: state for state in app._tree.get_widget_states().widgets}
    known = controls(app)
    chosen = draw.sample(sorted(known), min(EACH, len(known)))
    states |= {name: hostile(name, known[name].value_type, draw) for name in chosen}
    app._run(WidgetStates(widgets=states.values()))
    return len(chosen)


def address(app, draw: random.Random) -> dict[str, list[str]]:
    """Hostile values for all address fields of a page that is open."""
    fields = [user_key_from_element_id(name) for name, one in controls(app).items() if one.bind]
    return {name: [draw.choice(TEXTS) for _ in range(draw.choice((1, 1, 2)))] for name in [*fields, "marks"]}


def tried(page: str, messages: int) -> int:
    """Open a page, send it hostile messages, and open it by hostile addresses; how many values that were."""
    draw, tried = random.Random(page), 0
    with nothing_logged():
        app = opened(page)
        for _ in range(messages):
            began = time.monotonic()
            tried += attack(app, draw)
            stands(app, began)
        for _ in range(-(-messages // 3)):
            began, sent = time.monotonic(), address(app, draw)
            tried += len(sent)
            stands(opened(page, **sent), began)
    return tried


def stands(app, began: float) -> None:
    """The page is there, without an exception, in time."""
    assert not app.exception, app.exception[0].message
    assert app.title
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("page", QUICK)
def test_a_few_hostile_values_break_no_page(page):
    assert tried(page, SHORT) > 3


@pytest.mark.fuzz
def test_two_thousand_hostile_values_break_no_page(monkeypatch):
    alone = {page: tried(page, LONG) for page in PAGES}
    monkeypatch.setenv("TRADEOFF_READ_ONLY", "1")
    shared = {page: tried(page, LONG // 3) for page in PAGES if page not in ("train", "runs")}
    assert sum([*alone.values(), *shared.values()]) >= MOST
