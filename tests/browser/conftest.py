"""A browser and a server of the app, started once for all files of this folder."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import PATIENCE, served

from tradeoff_core.bench.app import CHROMIUM, FLAGS


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """The tests that need it are skipped where it is not installed, except where CI promises it."""
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium-headless-shell)")
    sync_api = pytest.importorskip("playwright.sync_api")
    sync_api.expect.set_options(timeout=PATIENCE)
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    """Chromium as a newcomer's: what pages kept in it is gone after each file."""
    yield chromium
    for context in chromium.contexts:
        context.close()


@pytest.fixture(scope="package")
def address(chromium: Any) -> Iterator[str]:  # noqa: ARG001  # which may skip
    """Where a server has the app."""
    with served() as (address, _):
        yield address


@pytest.fixture(scope="module")
def own_address(chromium: Any) -> Iterator[str]:  # noqa: ARG001  # which may skip
    """Where a server of a file's own has it, for tests that leave runs behind."""
    with served() as (address, _):
        yield address
