"""The running app, and its pages in a real Chromium."""

import os
import re
import shutil
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
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PATIENCE = 180_000


@contextmanager
def served(runs=None):
    """The address of a server of the app, whose runs lie in `runs`, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    own = TemporaryDirectory()
    server = subprocess.Popen(
        [*command, "--server.address", "127.0.0.1", "--server.port", str(port)],
        cwd=ROOT,
        env=os.environ
        | {"TRADEOFF_RUNS": str(runs or own.name), "TRADEOFF_JOBS": str(os.cpu_count())},  # a thread each
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
            break
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    try:
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        server.wait(60)
        own.cleanup()


def opened(browser, address, path, width=1280, scheme="light"):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}/{path}")
    settle(page)
    return page


def settle(page):
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")
    page.wait_for_selector("h1")
    page.wait_for_timeout(500)


def start_quick_run(page, epochs):
    """On the Train page: start the quick preset, made quicker still."""
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
    page.locator(".st-key-start button").click()


def lasso(page, x, y):
    """Draw a lasso around a position on the screen."""
    page.mouse.move(x - 8, y - 8)
    page.mouse.down()
    for corner in ((x + 8, y - 8), (x + 8, y + 8), (x - 8, y + 8), (x - 8, y - 8)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()


def place_of(page, trace, at, figure=""):
    """The screen position of a point of a trace of a figure, the first on the page unless a selector says which."""
    return page.locator(f"{figure} .js-plotly-plot").first.evaluate(
        """(plot, [trace, at]) => {
            const {x, y, p, s} = plot.calcdata[trace][at];  // p, s: a bar's place and height
            const box = plot.getBoundingClientRect(), layout = plot._fullLayout;
            return [box.x + layout.xaxis._offset + layout.xaxis.d2p(p ?? x),
                    box.y + layout.yaxis._offset + layout.yaxis.d2p(s ?? y)];
        }""",
        [trace, at],
    )
