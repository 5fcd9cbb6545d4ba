"""A page that is drawn again with nothing changed computes nothing anew, and takes no time to speak of."""

from collections import Counter

import plotly.basedatatypes
import pytest
from opening import PAGES, PARTS, everything_said, opened
from pace import least_seconds
from PIL import Image

from tradeoff_core.figures.plain import Figure
from tradeoff_core.networks import Network

MOST_SECONDS = 0.15  # of one processor
COUNTED = (  # what is counted: its class, and what is called
    ("networks called", Network, "__call__"),
    ("pictures encoded", Image.Image, "save"),
    ("figures drawn", Figure, "__init__"),
    ("figures checked", plotly.basedatatypes.BaseFigure, "__init__"),
)


@pytest.fixture
def made(monkeypatch):
    """How often what is counted happened."""
    counts: Counter[str] = Counter()

    def counting(what, call):
        def counted(*given, **named):
            counts[what] += 1
            return call(*given, **named)

        return counted

    for what, owner, name in COUNTED:
        monkeypatch.setattr(owner, name, counting(what, getattr(owner, name)))
    return counts


@pytest.mark.parametrize(
    ("page", "address"), [*((page, {}) for page in PAGES), *((page, {"part": part}) for page, part in PARTS)]
)
def test_nothing_is_computed_twice(page, address, made):
    app = opened(page, **address)
    assert not app.exception
    said = everything_said(app)
    made.clear()
    seconds = least_seconds(app.run)
    assert not made, dict(made)
    assert seconds < MOST_SECONDS
    assert not app.exception
    assert everything_said(app) == said


def test_what_is_counted_happens_when_something_changes(made):
    app = opened("stickers")
    made.clear()
    app.slider(key="size").set_value(5).run()
    assert not app.exception
    assert set(made) == {"networks called", "pictures encoded", "figures drawn"}
