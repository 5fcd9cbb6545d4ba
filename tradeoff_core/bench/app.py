"""The app in a real browser: cold start, every page's first draw, a control's change, peak memory."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tradeoff_core.bench.rows import Row
from tradeoff_core.common.paths import ROOT, cache_folder
from tradeoff_core.datasets import available, has_pictures, how_to_get
from tradeoff_core.models import zoo

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

CHROMIUM = Path(shutil.which("chromium-headless-shell") or shutil.which("chromium") or "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--js-flags=--no-enable-lazy-source-positions",  # else a page that is driven reads plotly's code a second time
)
PATIENCE = 120.0  # seconds until a server or a page counts as failed
VISITED = ("Overview", "Stickers", "Perturbations", "Spectral signatures")  # while memory is watched


def page_rows(root: Path = ROOT) -> list[Row]:
    """The app in `root` in a real browser: cold start, every page's first draw, a control's change."""
    if lacking := lacking_for(root):
        return [_cold_row(note=f"skipped: {lacking}")]
    with chromium() as browser:
        return _measure_app(root, browser)


def memory_row(root: Path = ROOT) -> Row:
    """What the server of the app in `root` takes at most while pages show CIFAR-10; Linux alone tells."""
    row = Row("app: peak memory with CIFAR-10 loaded", None, 2, "GiB")
    lacking = lacking_for(root)
    if sys.platform != "linux":
        lacking = "needs Linux, which tells a process's peak"
    elif not _cifar10_models():
        lacking = "there is no model of CIFAR-10"
    elif not available("cifar10"):
        lacking = how_to_get("cifar10")
    if lacking:
        return replace(row, note=f"skipped: {lacking}")
    with chromium() as browser:
        return _measure_memory(row, root, browser)


def lacking_for(root: Path) -> str:
    """Why the app cannot be drawn here; nothing if it can."""
    if not (root / "app.py").is_file():
        return f"there is no {root / 'app.py'}"
    if importlib.util.find_spec("playwright") is None or not CHROMIUM.exists():
        return "needs playwright and chromium"
    return ""


@contextmanager
def chromium() -> Iterator["BrowserContext"]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            context = browser.new_context()
            context.add_init_script(WATCH)
            context.add_init_script(UNFOLDED)
            context.set_default_timeout(1000 * PATIENCE)
            yield context
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
    started = time.perf_counter()
    with server(root) as (address, _):
        try:
            page.goto(address)
            wait_until_drawn(page)
        except Error as error:
            return [_cold_row(note=first_line(error), failed=True)]
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
    try:
        page.goto(elsewhere)
        wait_until_drawn(page)
        link = page.locator("[data-testid='stSidebarNavLink']").filter(has_text=title).first
        drawn = _draw_row(title, time_rerun(page, link.click))
    except Error as error:
        return [_draw_row(title, note=first_line(error), failed=True)]
    try:
        if page.locator("[data-testid='stException']").count():
            return [_draw_row(title, note="failed: the page shows an error", failed=True)]
        change = _first_control(page)
        if change is None:
            return [drawn, _control_row(title, note="skipped: no slider, choice or checkbox")]
        what, act = change
        return [drawn, _control_row(title, time_rerun(page, act), what)]
    except Error as error:
        return [drawn, _control_row(title, note=first_line(error), failed=True)]
    finally:
        page.close()


def _cifar10_models() -> list[str]:
    return [name for name in zoo.model_ids() if zoo.find_model(name).spec.dataset == "cifar10"]


def _measure_memory(row: Row, root: Path, browser: "BrowserContext") -> Row:
    """One page after the other is opened by its address, with the models that it then starts with."""
    from playwright.sync_api import Error

    page = browser.new_page()
    with server(root) as (address, process):
        try:
            page.goto(address)
            wait_until_drawn(page)
            addresses = _pages(page)
            for title in VISITED:
                if title not in addresses:
                    return replace(row, note=f"failed: there is no page '{title}'", failed=True)
                page.goto(f"{addresses[title]}?data=CIFAR-10")
                wait_until_drawn(page)
                if page.locator(ERROR).count():
                    return replace(row, note=f"failed: the page '{title}' shows an error", failed=True)
            peak = _peak(process)
            loaded = not has_pictures("cifar10") or _maps(process, cache_folder() / "cifar10")
        except Error as error:
            return replace(row, note=first_line(error), failed=True)
    if not loaded:
        return replace(row, note="failed: no page has loaded CIFAR-10", failed=True)
    return replace(row, measured=peak, note=f"{len(VISITED)} pages drawn")


def _peak(process: int) -> float:
    """The most memory that a process ever held, in GiB."""
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 2**20  # it is given in KiB


def _maps(process: int, folder: Path) -> bool:
    """Whether a process has a file of the folder mapped into its memory, as decoded pictures are."""
    return f"{folder.resolve()}/" in Path(f"/proc/{process}/maps").read_text()


@contextmanager
def server(root: Path, environment: Mapping[str, str] | None = None) -> Iterator[tuple[str, int]]:
    """The app's address, as soon as its server answers, and the server's process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", str(port), "--browser.gatherUsageStats", "false"]
    process = subprocess.Popen(
        command,
        cwd=root,
        env=os.environ | (environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.perf_counter() + PATIENCE
        while process.poll() is None and time.perf_counter() < deadline and not _answers(port):
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


ERROR = "[data-testid='stException'], [data-testid='stAlertContentError']"
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
const seen = ({target}) => !(target.closest ? target : target.parentElement)?.closest("[role='log']"); // what screen readers say
const changes = new MutationObserver((all) => { if (all.some(seen)) window.changed = performance.now(); });
const watch = node => changes.observe(node, {subtree: true, childList: true, attributes: true, characterData: true});
watch(document);
const attach = Element.prototype.attachShadow; // a component of ours draws in its own shadow
Element.prototype.attachShadow = function (...given) {
    const shadow = attach.apply(this, given);
    watch(shadow);
    return shadow;
};
"""
UNFOLDED = "try { localStorage.setItem('sections-folded', 'folded') } catch { }"  # as by who was here before, and opened them
LAST = "Math.max(window.changed, window.touched)"  # a late message may settle it before anything has changed
# some controls need no server
ANSWERED = "(window.messages > 0 || performance.now() - window.touched > 5000)"
SETTLED = f"() => {ANSWERED} && performance.now() - {LAST} > 500 && ({DRAWN})()"


def wait_until_drawn(page: "Page") -> None:
    """Until the script has run, something is on the page and nothing is a placeholder any more."""
    page.wait_for_function(DRAWN)


def time_rerun(page: "Page", act: Callable[[], object]) -> float:
    """Seconds from a touch by `act` to the last change on the screen before half a second of rest."""
    act()
    page.wait_for_function(SETTLED)
    return float(page.evaluate(f"() => ({LAST} - window.touched) / 1000"))


def _pages(page: "Page") -> dict[str, str]:
    """Title and address of every page that the navigation lists, or of the only one."""
    links = page.locator("[data-testid='stSidebarNavLink']").all()  # their text: an icon's name, the title
    addresses = {
        link.inner_text().splitlines()[-1]: str(link.evaluate("link => link.href")) for link in links
    }
    return addresses or {page.title(): page.url}


def _first_control(page: "Page") -> tuple[str, Callable[[], object]] | None:
    """The first control of a kind that can be changed, and what changes it."""

    def first(selector: str) -> "Locator":
        return page.locator(selector).locator("visible=true").first  # some are folded away

    slider = first("[data-testid='stMain'] input[type='range']:not(:disabled)")
    if slider.count():
        at_end = slider.evaluate("input => input.value === input.max")
        return "a slider", lambda: slider.press("ArrowLeft" if at_end else "ArrowRight")
    for what, selector in (
        ("a choice", "[data-testid='stRadio'] label:has(input:not(:checked):not(:disabled))"),
        ("a segment", "[data-testid='stButtonGroup'] button[aria-checked='false']"),
        ("a checkbox", "[data-testid='stCheckbox'] label:has(input:not(:disabled))"),
    ):
        control = first(selector)
        if control.count():
            return what, control.click
    box = first("[data-testid='stSelectbox'] input:not(:disabled)")
    if box.count():
        return "a select box", lambda: _choose_another(page, box)
    return None


def _choose_another(page: "Page", box: "Locator") -> None:
    """Open a select box by a key and take the first option that is not the chosen one; a list that is drawn anew is opened again."""
    from playwright.sync_api import Error

    other = page.locator("[role='option']:not([aria-selected='true'])").first
    with suppress(Error):
        box.press("ArrowDown")
        other.click(timeout=2000)
        return
    box.press("ArrowDown")
    other.click()


def first_line(error: Exception) -> str:
    return "failed: " + str(error).splitlines()[0]
