"""Every page in a real Chromium: nothing serious for axe-core, and nothing cut or on top of another at any width."""

from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import opened, served, settle, tick
from opening import PAGES, PARTS

pytestmark = [pytest.mark.browser, pytest.mark.looks]

SERIOUS = ("serious", "critical")
WRONG = Path(__file__).with_name("looks.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address(browser, finished_run):  # noqa: ARG001  # which may skip
    """A server whose visitor has a run of their own."""
    with served(runs=finished_run.parent) as (address, _):
        yield address


def unfolded(page):
    """What is folded away is looked at too."""
    page.locator("[data-testid='stMain'] details:not([open]) > summary").evaluate_all(
        "folds => folds.forEach(fold => fold.click())"
    )


def ticked(rows):
    return lambda page: [tick(page, row) for row in range(rows)]


def dialog(figure):
    """What takes a figure along."""

    def open_it(page):
        page.locator(f".st-key-{figure}-take-along button").click()
        page.locator(".print img[src^='data:']").wait_for()

    return open_it


def popover(page):
    page.get_by_role("button", name="Bring a run along").click()


MORE = {  # of a page, and what is done there before it is looked at
    "one run": ("runs", ticked(1)),
    "two runs": ("runs", ticked(2)),
    "an archive": ("runs", popover),
    "a curve's dialog": ("tradeoff", dialog("plane")),
    "a map's dialog": ("stickers", dialog("stamped-by-class-B")),
}
PAGES_AND_PARTS = (*PAGES, *(f"{page}?part={quote(part)}" for page, part in PARTS))
VIEWS = {page: (page, unfolded) for page in PAGES_AND_PARTS} | MORE


@pytest.fixture(scope="module", params=VIEWS)
def page(request, browser, address):
    """A page that its own tests look at one after the other, in other windows and themes."""
    name, prepare = VIEWS[request.param]
    asked: list[str] = []
    page = opened(browser, address, "" if name == "overview" else name, asked=asked)
    page.asked = asked
    page.wait_for_selector(
        "[data-testid='stSidebarNavItems'][role]", state="attached"
    )  # the last to be mended
    prepare(page)
    settle(page)
    yield page
    page.close()


def turned(page, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function(
        "dark => (getComputedStyle(document.querySelector('.stApp')).colorScheme === 'dark') === dark",
        arg=scheme == "dark",
    )
    settle(page)


def test_it_asks_a_question_and_no_other_host_and_shows_no_error(page, address):
    assert page.locator("h1").inner_text().endswith("?")
    hosts = {urlsplit(one).netloc for one in page.asked if one.startswith(("http", "ws"))}
    assert hosts == {urlsplit(address).netloc}
    assert page.locator("[data-testid='stException'], [data-testid='stAlertContentError']").count() == 0


def test_the_tab_is_called_as_the_page_is_in_the_navigation(page):
    link = page.locator("[data-testid='stSidebarNavLink'][aria-current='page']")
    assert page.title() == f"{link.inner_text().splitlines()[-1]} · Robustness and back doors"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(page, scheme):
    turned(page, 1280, scheme)
    violations = Axe().run(page).response["violations"]
    assert [
        (one["id"], node["target"], node["failureSummary"])
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ] == []


@pytest.mark.parametrize("width", [1280, 1024, 853, 390])  # 853: a zoom of 150%
def test_no_text_is_cut_or_on_top_of_another_and_the_page_is_no_wider_than_the_window(page, width):
    turned(page, width, "light")
    assert page.evaluate(WRONG) == []
