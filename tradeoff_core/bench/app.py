"""The app in a real browser: cold start, every page's first draw, a control's change."""

import importlib.util
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tradeoff_core.bench.rows import Row
from tradeoff_core.paths import ASSETS

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

ROOT = ASSETS.parent  # where app.py lies
CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60.0  # seconds until a server or a page counts as failed


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
