"""Every figure that a test of this folder draws is one that plotly knows."""

import pytest
from plotted import assert_as_plotly_sends

from tradeoff_core.figures import kept
from tradeoff_core.figures.plain import Figure


@pytest.fixture(autouse=True)
def known_to_plotly(monkeypatch):
    put = kept.Shelf.put

    def checked(self, key, value, size):
        if isinstance(value, Figure):
            assert_as_plotly_sends(value)
        put(self, key, value, size)

    monkeypatch.setattr(kept.Shelf, "put", checked)
    monkeypatch.setattr(kept, "SHELF", kept.Shelf())
