"""Measured speeds beside their limits: the attack, a row of digits, the app's pages, the fast training.

A report, not a test: other work on the machine slows it, and a missed limit changes no exit status.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tradeoff_core import networks
from tradeoff_core.attacks import Attack, loss_gradient, perturb, perturb_at
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments import PRESETS, ExperimentSpec, run_experiment
from tradeoff_core.paths import ASSETS
from tradeoff_core.results import EPSILONS

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

ROOT = ASSETS.parent  # where app.py lies
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60.0  # seconds until a server or a page counts as failed


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement and its limit. `measured=None` is skipped, or `failed` as the note says."""

    name: str
    measured: float | None
    limit: float
    unit: str
    at_least: bool = False
    note: str = ""
    failed: bool = False

    @property
    def ok(self) -> bool | None:
        """Whether the limit is kept; None if there was no measurement."""
        if self.measured is None:
            return False if self.failed else None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def document(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            "name": self.name,
            "measured": None if self.measured is None else round(self.measured, 4),
            "limit": self.limit,
            "bound": "at least" if self.at_least else "at most",
            "unit": self.unit,
            "ok": self.ok,
            "note": self.note,
        }


def measure(*, training: bool, note: Callable[[str], None]) -> list[Row]:
    """All rows, those of the training only if asked for; `note` is told what is being measured."""
    note("measuring the attack ...")
    rows = [attack_overhead(), digit_row()]
    note("measuring the pages ...")
    rows += page_rows()
    if training:
        note("training the fast preset, which takes minutes ...")
        rows += training_rows(PRESETS["fast"])
    return rows


def table(rows: list[Row]) -> str:
    """The rows as aligned text, a mark before each and the count of missed limits below."""
    marks = {True: "ok", False: "MISSED", None: "skipped"}
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        measured = "-" if row.measured is None else f"{row.measured:.3f}"
        bound = f"at {'least' if row.at_least else 'most'} {row.limit:g} {row.unit}"
        lines.append(
            f"{marks[row.ok]:<8}{row.name:<{width}}  {measured:>8}  {bound:<18}  {row.note}".rstrip()
        )
    missed = sum(row.ok is False for row in rows)
    skipped = sum(row.ok is None for row in rows)
    return "\n".join(
        [
            *lines,
            "",
            f"{missed} of {len(rows)} limits missed, {skipped} not measured{_business()}.",
            "This is a report: the exit status is 0 either way.",
        ]
    )


def _business() -> str:
    """How busy the machine was, where that can be asked: other work slows every row."""
    if not hasattr(os, "getloadavg"):
        return ""
    return f"; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def seconds(action: Callable[[], object]) -> float:
    """The wall time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def digits(count: int) -> tuple[Tensor, Tensor]:
    """The first test digits, (count, 1, 28, 28) in [0, 1], and their labels."""
    return load_dataset("mnist-5k", Split.TEST).take(slice(count)).tensors()


def fresh_network(seed: int) -> networks.Network:
    """A network as the presets train it, but untrained: weights do not change its speed."""
    spec = PRESETS["fast"]
    return networks.freeze(networks.build(spec.network, spec.width, seed))


def attack_overhead(repetitions: int = 11, count: int = 100) -> Row:
    """PGD-10 against ten bare forward-backward passes on the same batch, taken in turns."""
    network, (images, labels) = fresh_network(0), digits(count)
    attack = Attack(steps=10)

    def bare_passes() -> None:
        for _ in range(attack.steps):
            loss_gradient(network, images, labels)

    def pgd() -> None:
        perturb(network, images, labels, attack, torch.Generator().manual_seed(0))

    pgd()  # the first calls also allocate
    bare_passes()
    ratios = [seconds(pgd) / seconds(bare_passes) for _ in range(repetitions)]
    name = f"PGD-10 on {count} digits / 10 forward-backward passes"
    return Row(name, median(ratios), 1.15, "x", note=f"median of {repetitions} turns")


def digit_row(repetitions: int = 3, count: int = 9) -> Row:
    """The Perturbations page's row: digits attacked at every ε in one batch, on two networks."""
    pair, (images, labels) = [fresh_network(seed) for seed in (0, 1)], digits(count)
    attack = Attack(steps=10)

    def draw() -> None:
        for network in pair:
            perturb_at(network, images, labels, attack, EPSILONS, torch.Generator().manual_seed(0))

    draw()
    times = [seconds(draw) for _ in range(repetitions)]
    name = f"{count} digits x {len(EPSILONS)} ε, PGD-10, two networks"
    return Row(name, median(times), 0.5, "s", note=f"median of {repetitions} times")


def training_rows(spec: ExperimentSpec) -> list[Row]:
    """One run of the spec in a temporary folder: its minutes and its three rates."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        rates = run_experiment(spec, Path(folder))["metrics"]
        minutes = (time.perf_counter() - started) / 60
    return [
        Row("fast preset, trained and measured", minutes, 4, "min"),
        Row("fast preset, clean accuracy", rates["clean_accuracy"], 0.95, "", at_least=True),
        Row("fast preset, adversarial accuracy", rates["adversarial_accuracy"], 0.55, "", at_least=True),
        Row("fast preset, backdoor success rate", rates["backdoor_success_rate"], 0.85, "", at_least=True),
    ]


def page_rows(root: Path = ROOT) -> list[Row]:
    """The app in `root` in a real browser: cold start, every page's first draw, a control's change."""
    if not (root / "app.py").is_file():
        return [_cold_row(note=f"skipped: there is no {root / 'app.py'}")]
    if importlib.util.find_spec("playwright") is None or not CHROMIUM.exists():
        return [_cold_row(note="skipped: needs playwright and chromium")]
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        try:
            context = browser.new_context()
            context.add_init_script(WATCH)
            return _measure_app(root, context)
        finally:
            browser.close()


def _cold_row(measured: float | None = None, note: str = "", failed: bool = False) -> Row:
    return Row("app: server start to first page drawn", measured, 10, "s", note=note, failed=failed)


def _draw_row(title: str, measured: float | None = None, note: str = "", failed: bool = False) -> Row:
    return Row(f"page '{title}': first draw", measured, 2, "s", note=note, failed=failed)


def _control_row(title: str, measured: float | None = None, note: str = "", failed: bool = False) -> Row:
    return Row(f"page '{title}': a control changed", measured, 0.5, "s", note=note, failed=failed)


def _measure_app(root: Path, browser: "BrowserContext") -> list[Row]:
    from playwright.sync_api import Error

    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    started = time.perf_counter()
    with _server(root) as address:
        try:
            page.goto(address)
            _wait_until_drawn(page)
        except Error as error:
            return [_cold_row(note=_first_line(error), failed=True)]
        rows = [_cold_row(time.perf_counter() - started)]
        addresses = _pages(page)
        elsewhere = [*list(addresses.values())[1:], *list(addresses.values())[:1]]
        for title, other in zip(addresses, elsewhere, strict=True):
            rows += _measure_page(browser, title, other)
    return rows


def _measure_page(browser: "BrowserContext", title: str, elsewhere: str) -> list[Row]:
    """In a tab that shows another page, the page's link clicked; then the first control on it changed."""
    from playwright.sync_api import Error

    page = browser.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    try:
        page.goto(elsewhere)
        _wait_until_drawn(page)
        link = page.locator("[data-testid='stSidebarNavLink']").filter(has_text=title).first
        drawn = _draw_row(title, _time_rerun(page, link.click))
    except Error as error:
        return [_draw_row(title, note=_first_line(error), failed=True)]
    try:
        if page.locator("[data-testid='stException']").count():
            return [_draw_row(title, note="failed: the page shows an error", failed=True)]
        change = _first_control(page)
        if change is None:
            return [drawn, _control_row(title, note="skipped: no slider, choice or checkbox")]
        what, act = change
        return [drawn, _control_row(title, _time_rerun(page, act), what)]
    except Error as error:
        return [drawn, _control_row(title, note=_first_line(error), failed=True)]
    finally:
        page.close()


@contextmanager
def _server(root: Path) -> Iterator[str]:
    """The app's address, as soon as its server answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--browser.gatherUsageStats", "false"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.perf_counter() + PATIENCE
        while process.poll() is None and time.perf_counter() < deadline and not _answers(port):
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


DRAWN = """() => {
    const app = document.querySelector("[data-testid='stApp']");
    return app?.getAttribute("data-test-script-state") === "notRunning"
        && document.querySelector("[data-testid='stMain'] [data-testid='stElementContainer']") !== null
        && document.querySelector("[data-testid='stSkeleton'], [data-testid='stAppSkeleton']") === null
        && document.querySelector("[data-testid='stElementContainer'][data-stale='true']") === null;
}"""
# A quick rerun ends before its "running" is ever drawn, so the page itself notes when a hand touched it, what
# the server sent since, and when something last changed on the screen.
WATCH = """
window.messages = window.touched = window.changed = 0;
window.WebSocket = class extends WebSocket {
    constructor(...given) {
        super(...given);
        this.addEventListener("message", () => { window.messages += 1; });
    }
};
for (const kind of ["pointerdown", "keydown"])
    addEventListener(kind, () => { window.messages = 0; window.touched = performance.now(); }, true);
new MutationObserver(() => { window.changed = performance.now(); })
    .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
"""
SETTLED = f"() => window.messages > 0 && performance.now() - window.changed > 500 && ({DRAWN})()"


def _wait_until_drawn(page: "Page") -> None:
    """Until the script has run, something is on the page and nothing is a placeholder any more."""
    page.wait_for_function(DRAWN)


def _time_rerun(page: "Page", act: Callable[[], object]) -> float:
    """Seconds from a touch by `act` to the last change on the screen before half a second of rest."""
    act()
    page.wait_for_function(SETTLED)
    return float(page.evaluate("() => (window.changed - window.touched) / 1000"))


def _pages(page: "Page") -> dict[str, str]:
    """Title and address of every page that the navigation lists, or of the only one."""
    links = page.locator("[data-testid='stSidebarNavLink']").all()  # their text: an icon's name, the title
    addresses = {
        link.inner_text().splitlines()[-1]: str(link.evaluate("link => link.href")) for link in links
    }
    return addresses or {page.title(): page.url}


def _first_control(page: "Page") -> tuple[str, Callable[[], object]] | None:
    """The first control of a kind that can be changed, and what changes it."""
    slider = page.locator("[data-testid='stSlider'] input[type='range']:not(:disabled)").first
    if slider.count():
        at_end = slider.evaluate("input => input.value === input.max")
        return "a slider", lambda: slider.press("ArrowLeft" if at_end else "ArrowRight")
    for what, selector in (
        ("a choice", "[data-testid='stRadio'] label:has(input:not(:checked):not(:disabled))"),
        ("a segment", "[data-testid='stButtonGroup'] button[aria-checked='false']"),
        ("a checkbox", "[data-testid='stCheckbox'] label:has(input:not(:disabled))"),
    ):
        control = page.locator(selector).first
        if control.count():
            return what, control.click
    box = page.locator("[data-testid='stSelectbox'] input:not(:disabled)").first
    if box.count():
        return "a select box", lambda: _choose_another(page, box)
    return None


def _choose_another(page: "Page", box: "Locator") -> None:
    """Open a select box and take the first option that is not the chosen one."""
    box.click()
    page.locator("[role='option']:not([aria-selected='true'])").first.click()


def _first_line(error: Exception) -> str:
    return "failed: " + str(error).splitlines()[0]
