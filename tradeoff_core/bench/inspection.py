"""Inspect in a real browser: its first grid, sorting and filtering it, a key's decision drawn and saved."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from tradeoff_core.bench.app import PATIENCE, chromium, first_line, lacking_for, server, wait_until_drawn
from tradeoff_core.bench.rows import Row
from tradeoff_core.common.paths import ROOT
from tradeoff_core.datasets import available, how_to_get, import_torchvision, title
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import describe
from tradeoff_core.models.imported import import_model
from tradeoff_core.models.zoo import Model

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

TURNS = 9
LIMITS = {  # seconds by what is measured: of up to 5,000 images, and of CIFAR-10's 6,750
    "mnist-5k-dirty-label-standard": (1.0, 0.15),
    "cifar10-clean-label-standard": (1.0, 0.15),
    "cifar10-dirty-label-standard": (1.5, 0.3),
}
OWN, OWN_NETWORK, OWN_LIMITS = 3000, "mobilenet_v3_small", (2.0, 0.15)
DRAWN, SAVED = 0.05, 0.5
# An act of the grid's own controls, and how long until what it draws is on the screen: the frame after the next
TIMED = """(grid, act) => new Promise((done) => {
    const root = grid.getRootNode(), find = (selector) => root.querySelector(selector);
    const change = (selector, value) => {
        const menu = find(selector);
        menu.value = value;
        menu.dispatchEvent(new Event("change"));
    };
    const acts = {
        sort: () => change(".sort", find(".sort").value === "loss" ? "spectral" : "loss"),
        filter: () => change(".least", find(".least").value ? "" : "0.001"),
        key: () => grid.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true })),
    };
    const began = performance.now();
    acts[act]();
    requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
})"""
UNTIL_SAVED = """(grid) => new Promise((done) => {
    const told = () => grid.getRootNode().querySelector(".told .saved")?.textContent;
    const began = performance.now();
    grid.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true }));
    const look = () => told() === "saved" ? done((performance.now() - began) / 1000) : setTimeout(look, 5);
    look();
})"""


def inspection_rows(root: Path = ROOT) -> list[Row]:
    """The rows of each network whose pictures are here."""
    if lacking := lacking_for(root):
        return [Row("Inspect: first grid", None, 1, "s", note=f"skipped: {lacking}")]
    rows = []
    with chromium() as browser:
        for name in LIMITS:
            rows += _of_the_zoo(root, browser, name)
        with tempfile.TemporaryDirectory() as place:
            model = own_photographs(Path(place), OWN)
            rows += _rows(root, browser, model, "own photographs of 224", OWN_LIMITS, Path(place))
    return rows


def own_photographs(place: Path, count: int) -> Model:
    """A model in `place` of `count` made-up photographs of two classes, by a small network with random weights."""
    draw = np.random.default_rng(0)
    for number in range(count):
        part, label = "test" if number % 30 == 0 else "train", "few" if number % 60 < 2 else "many"
        folder = place / "pictures" / part / label
        folder.mkdir(parents=True, exist_ok=True)
        rough = Image.fromarray(draw.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        rough.resize((224, 224), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)
    import_torchvision()
    from torchvision.models import get_model

    torch.manual_seed(0)
    save_file(get_model(OWN_NETWORK, num_classes=2).state_dict(), place / "own.safetensors")
    return import_model(place / "own.safetensors", OWN_NETWORK, str(place / "pictures"), place)


def _of_the_zoo(root: Path, browser: "BrowserContext", name: str) -> list[Row]:
    first = Row(f"Inspect, {name}: first grid", None, LIMITS[name][0], "s")
    if name not in zoo.model_ids():
        return [_skipped(first, f"there is no model {name}")]
    model = zoo.find_model(name)
    if not available(model.spec.dataset):
        return [_skipped(first, how_to_get(model.spec.dataset))]
    with tempfile.TemporaryDirectory() as runs:
        return _rows(root, browser, model, name, LIMITS[name], Path(runs))


def _rows(
    root: Path, browser: "BrowserContext", model: Model, name: str, limits: tuple[float, float], runs: Path
) -> list[Row]:
    from playwright.sync_api import Error

    grid_limit, sort_limit = limits
    first = Row(f"Inspect, {name}: first grid", None, grid_limit, "s")
    query = f"data={title(model.spec.dataset)}&suspect={describe(model)}"
    with server(root, {"TRADEOFF_RUNS": str(runs)}) as (address, _):
        try:
            with _shown(browser, f"{address}/inspect_examples?{query}"):
                pass  # whoever opens it first scores the images, and everybody else finds the scores
            with _shown(browser, f"{address}/inspect_examples?{query}") as (page, grid):
                measured = _first_grid(page)
                shown = grid.evaluate("grid => grid.getRootNode().querySelector('.told').textContent")
                sort, filtered, key = (_timed(grid, act) for act in ("sort", "filter", "key"))
                saved = median(float(grid.evaluate(UNTIL_SAVED)) for _ in range(TURNS))
        except Error as error:
            return [_skipped(first, first_line(error), failed=True)]
    note = shown.split(" shown")[0]
    return [
        Row(first.name, measured, grid_limit, "s", note=f"{note} images, scored before"),
        Row(f"Inspect, {name}: sorted", sort, sort_limit, "s"),
        Row(f"Inspect, {name}: filtered", filtered, sort_limit, "s"),
        Row(f"Inspect, {name}: a key's decision drawn", key, DRAWN, "s"),
        Row(f"Inspect, {name}: a key's decision saved", saved, SAVED, "s"),
    ]


def _skipped(row: Row, note: str, failed: bool = False) -> Row:
    said = note if failed else f"skipped: {note}"
    return Row(row.name, None, row.limit, row.unit, note=said, failed=failed)


@contextmanager
def _shown(browser: "BrowserContext", address: str) -> Iterator[tuple["Page", "Locator"]]:
    """The page in a new tab, with its grid."""
    page = browser.new_page()
    try:
        page.goto(address)
        page.locator(".grid .tile").first.wait_for(timeout=10_000 * PATIENCE)
        wait_until_drawn(page)
        yield page, page.locator(".grid")
    finally:
        page.close()


def _first_grid(page: "Page") -> float:
    """From another page of the same visit: the link clicked, until the first image stands there."""
    links = page.locator("[data-testid='stSidebarNavLink']")
    links.filter(has_text="Glossary").click()
    page.get_by_role("heading", level=1).filter(has_text="?").wait_for()
    page.locator(".grid .tile").first.wait_for(state="detached")
    wait_until_drawn(page)
    started = time.perf_counter()
    links.filter(has_text="Inspect").click()
    page.locator(".grid .tile").first.wait_for()
    measured = time.perf_counter() - started
    wait_until_drawn(page)
    return measured


def _timed(grid: "Locator", act: str) -> float:
    times = []
    for _ in range(TURNS):
        times.append(float(grid.evaluate(TIMED, act)))
        time.sleep(0.3)  # until what it sent is answered
    return median(times)
