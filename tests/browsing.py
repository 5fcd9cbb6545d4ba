"""The running app, and its pages in a real Chromium."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
PATIENCE = 180_000
QUIET = 200  # milliseconds in which nothing on a page changes; a click reaches the server in less
STANDS_STILL = """quiet => {
    if (!window.changed) {
        window.changed = performance.now();
        new MutationObserver(() => { window.changed = performance.now(); })
            .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
    }
    const app = document.querySelector("[data-testid='stApp']");
    const placeholders = "[data-testid='stSkeleton'], [data-testid='stAppSkeleton']";  // their code is on its way
    if (app?.dataset.testScriptState !== 'notRunning' || !document.querySelector('h1') || document.querySelector(placeholders))
        window.changed = performance.now();
    return performance.now() - window.changed > quiet;
}"""


@contextmanager
def served(runs=None, log=subprocess.DEVNULL, base="", **environment):
    """The address of a server of the app, whose runs lie in `runs`, and its process; it writes into an open file `log`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = f"http://127.0.0.1:{port}" + f"/{base}" * bool(base)
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    own = TemporaryDirectory()
    server = subprocess.Popen(
        [*command, "--server.address", "127.0.0.1", "--server.port", str(port), "--server.baseUrlPath", base],
        cwd=ROOT,
        env=os.environ
        | {"TRADEOFF_RUNS": str(runs or own.name), "TRADEOFF_JOBS": str(os.cpu_count())}  # a thread each
        | environment,
        stdout=log,
        stderr=log,
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{root}/_stcore/health", timeout=1)
            break
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    try:
        yield root, server
    finally:
        server.terminate()
        server.wait(60)
        own.cleanup()


def opened(browser, address, path, width=1280, scheme="light", sent=None, asked=None):
    """The page, once it stands still; what it sends over its socket is added to `sent`, the addresses it asks for to `asked`."""
    # one context, whose pages load the app's code once
    context = browser.contexts[0] if browser.contexts else browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    if sent is not None:
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    if asked is not None:
        page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/{path}")
    settle(page)
    return page


def settle(page):
    """Wait until the page's script has ended and what it draws stands still, from now on."""
    page.evaluate("window.changed &&= performance.now()")
    page.wait_for_function(STANDS_STILL, arg=QUIET)


def follow(page, name):
    """Click a page's link in the sidebar, whose folded sections are opened until it is there."""
    link = page.get_by_role("link", name=name, exact=True)
    folded = page.locator("[data-testid='stNavSectionHeader'] [aria-expanded='false']")
    while not link.count() and folded.count():
        folded.first.click()
    link.click()


def start_quick_run(page, epochs, name=""):
    """On the Train page: start the quick preset, made quicker still, under a name."""
    page.get_by_text(re.compile("^About .* for 18 epochs and the measuring")).wait_for()
    page.get_by_text("More settings").click()
    more = page.locator(".st-key-more-fast textarea")
    more.fill("width = 0.05\ntraining.attack.steps = 1\nevaluation.steps = 40")
    more.press("Control+Enter")
    settle(page)
    field = page.locator(".st-key-epochs-fast input")
    field.fill(str(epochs))
    field.press("Enter")
    settle(page)
    if name:
        page.locator(".st-key-run-name input").fill(name)  # and at once
    page.locator(".st-key-start button").click()


HEADER, ROW = 35, 35  # pixels of a table, which is drawn on a canvas


def tick(page, row):
    """On the Runs page: tick a row of the table."""
    table = page.locator(".st-key-runs-table [data-testid='stDataFrame']")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 18, box["y"] + HEADER + ROW * row + ROW // 2)
    settle(page)


def lasso(page, x, y):
    """Draw a lasso around a position on the screen."""
    page.mouse.move(x - 8, y - 8)
    page.mouse.down()
    for corner in ((x + 8, y - 8), (x + 8, y + 8), (x - 8, y + 8), (x - 8, y - 8)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def place_of(page, trace, at, figure=""):
    """The screen position of a point of a trace of a figure, the first on the page unless a selector says which."""
    return page.wait_for_function(  # a plot that was just put there has no points yet
        """([figure, trace, at]) => {
            const plot = document.querySelector(`${figure} .js-plotly-plot`), point = plot?.calcdata?.[trace]?.[at];
            if (!point) return null;
            const {x, y, p, s} = point;  // p, s: a bar's place and height
            const box = plot.getBoundingClientRect(), layout = plot._fullLayout;
            return [box.x + layout.xaxis._offset + layout.xaxis.d2p(p ?? x),
                    box.y + layout.yaxis._offset + layout.yaxis.d2p(s ?? y)];
        }""",
        arg=[figure, trace, at],
    ).json_value()
