"""The running app in a real Chromium: every page at both widths and themes, and a slider that is dragged."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PATHS = {"overview": "", "tradeoff": "tradeoff", "stickers": "stickers", "perturbations": "perturbations"}

pytestmark = pytest.mark.browser
if not Path(CHROMIUM).exists() and not os.environ.get("CI"):
    pytest.skip("Chromium is not installed (Debian: apt-get install chromium)", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")


@contextmanager
def served():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    server = subprocess.Popen(
        [*command, "--server.address", "127.0.0.1", "--server.port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
            break
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def address():
    with served() as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )


def opened(browser, address, path, width=1280, scheme="light"):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(60_000)
    page.goto(f"{address}/{path}")
    settle(page)
    return page


def settle(page):
    page.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']")
    page.wait_for_selector("h1")
    page.wait_for_timeout(500)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (600, "dark")])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_every_page_draws_from_its_own_address(browser, address, path, width, scheme):
    page = opened(browser, address, path, width, scheme)
    page.wait_for_selector(".js-plotly-plot .main-svg")
    assert page.locator("h1").inner_text().endswith("?")
    assert page.locator("[data-testid='stException'], [data-testid='stAlertContentError']").count() == 0
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    page.close()


def test_a_shared_address_opens_on_a_fresh_server(browser):
    with served() as fresh:
        page = opened(browser, fresh, "stickers?bottom=3")
        assert page.locator("h1").inner_text() == "What does a small sticker do?"
        assert page.locator("[data-testid='stDialog']").count() == 0
        assert page.get_by_role("link", name="Trade-off").count() == 1
        assert page.locator(".st-key-bottom [data-testid='stSliderThumbValue']").inner_text() == "3"
        page.close()


def test_dragging_epsilon_moves_predictions_and_sentence(browser, address):
    page = opened(browser, address, "perturbations")
    slider = page.locator(".slider-rail-touch-rect")
    slider.wait_for()
    box = slider.bounding_box()
    seen = []
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.01, 0.5, 0.99):  # still dragging: the mouse is never released between these
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=5)
        page.wait_for_timeout(700)
        predictions = page.locator(".js-plotly-plot .textpoint").all_text_contents()
        seen.append((page.locator(".gtitle").text_content(), predictions))
    page.mouse.up()
    sentences, predictions = zip(*seen, strict=True)
    assert "ε = 0," in sentences[0]
    assert "ε = 0.4," in sentences[2]
    assert len(set(sentences)) == 3
    assert predictions[0] != predictions[1] != predictions[2]
    assert sum("✗" in text for text in predictions[2]) > sum("✗" in text for text in predictions[0])
    page.close()


def test_a_click_on_the_curve_makes_that_network_model_b_on_every_page_and_in_the_address(browser, address):
    page = opened(browser, address, "tradeoff")
    page.wait_for_selector(".js-plotly-plot .point")
    where = page.evaluate(
        """() => {  // the screen position of the run of seed 0 at ε 0.1
            const plot = document.querySelector('.js-plotly-plot');
            const trace = plot.data.find(t => t.name === 'Backdoor success, each seed');
            const at = trace.customdata.findIndex(name => name.includes('pgd-0.1-seed0'));
            const box = plot.getBoundingClientRect(), layout = plot._fullLayout;
            return [box.x + layout.xaxis._offset + layout.xaxis.d2p(trace.x[at]),
                    box.y + layout.yaxis._offset + layout.yaxis.d2p(trace.y[at])];
        }"""
    )
    page.mouse.click(*where)
    page.get_by_text("It is now model B on every page").wait_for()
    address_with_choice = page.url
    page.get_by_role("link", name="Stickers").click()
    page.get_by_role("heading", name="What does a small sticker do?").wait_for()
    settle(page)
    assert page.locator(".st-key-B input").input_value() == "Adversarial ε 0.1, clean-label"
    page.goto(address_with_choice)
    settle(page)
    assert page.locator(".st-key-B input").input_value() == "Adversarial ε 0.1, clean-label"
    page.close()
