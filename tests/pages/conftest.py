"""What the tests of pages share."""

from collections.abc import Iterator

import pytest
from streamlit.components.v2 import manifest_scanner

from pages.components import photograph, training
from tradeoff_core.explanations import feature_plane

COST = {"epoch_seconds": 10.0, "measuring_seconds": 20.0, "megabytes": 500.0}


@pytest.fixture(autouse=True)
def cost(request, monkeypatch):
    """What a training costs, not measured: that takes a process of its own. `test_cost` measures it."""
    if request.path.stem != "test_cost":
        monkeypatch.setattr(training, "cost", lambda _: COST)


@pytest.fixture(autouse=True, scope="session")
def few_and_quick() -> Iterator[None]:
    """A small crowd on Features, and a short attack on a photograph: how many does not matter to any test here."""
    gather = feature_plane.gather
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(feature_plane, "gather", lambda *given: gather(*given[:-1], min(given[-1], 20)))
        changed.setattr(photograph, "STEPS", 3)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_components_of_others() -> Iterator[None]:
    """AppTest looks for them among all installed packages whenever it runs a script: a quarter of its time."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(manifest_scanner, "scan_component_manifests", list)
        yield
