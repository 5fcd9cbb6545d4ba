"""The tour by keyboard in a real browser: eight steps, a reload in the middle, left and taken up again; the projector's look."""

import re

import pytest
from browsing import opened, settle
from playwright.sync_api import expect

from pages.components.words.tour import PAIR, STEPS

pytestmark = pytest.mark.browser
WITHIN = """() => {
    const bar = document.querySelector("#tour"), ring = document.querySelector("#tour-ring");
    if (!bar || !ring) return false;
    const over = ring.getBoundingClientRect(), under = bar.getBoundingClientRect();
    return over.height > 40 && over.top < under.top - 40 && over.bottom > 60;
}"""


@pytest.fixture
def page(browser, address):
    page = opened(browser, address, "?tour=1", width=1024)
    page.set_viewport_size({"width": 1024, "height": 768})
    yield page
    page.close()


def stands_at(page, number):
    """The step of this number is shown: its sentence, its page, both networks, and a ring around what it is about."""
    step = STEPS[number - 1]
    page.wait_for_url(re.compile(rf"[?&]tour={number}(&|$)"))
    page.locator("#tour p", has_text=step.sentence).wait_for()
    page.locator("#tour span", has_text=f"{number} / {len(STEPS)}").wait_for()
    path = page.evaluate("location.pathname")
    assert path == ("/" if step.page == "overview" else f"/{step.page}")
    page.wait_for_function(WITHIN)
    settle(page)
    if page.locator(".st-key-B input").count():
        assert [page.locator(f".st-key-{letter} input").input_value() for letter in "AB"] == list(
            PAIR.values()
        )
    assert page.locator("[data-testid='stException']").count() == 0


def test_eight_steps_are_walked_by_keys_and_a_reload_keeps_the_place(page):
    assert len(STEPS) == 8
    stands_at(page, 1)
    for number in range(2, 9):
        page.keyboard.press("ArrowRight" if number % 2 else "PageDown")
        stands_at(page, number)
        if number == 4:
            page.reload()
            stands_at(page, number)
    page.keyboard.press("ArrowRight")  # there is nothing beyond
    page.keyboard.press("PageUp")
    stands_at(page, 7)


def test_it_can_be_left_and_taken_up_again_anywhere(page):
    stands_at(page, 1)
    page.keyboard.press("ArrowRight")
    stands_at(page, 2)
    page.keyboard.press("Escape")
    page.locator("#tour").wait_for(state="detached")
    expect(page.locator("#tour-ring")).to_have_count(0)
    expect(page).not_to_have_url(re.compile(re.escape("tour=")))
    page.get_by_role("link", name="Glossary").click()
    page.get_by_role("heading", name=re.compile("mean", re.IGNORECASE)).first.wait_for()
    settle(page)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tour")).to_have_count(0)
    page.keyboard.press("t")
    stands_at(page, 2)


def test_keys_that_a_field_needs_are_left_to_it(page):
    stands_at(page, 1)
    slider = page.locator(".slider input")
    before = slider.input_value()
    slider.press("ArrowLeft")
    expect(slider).not_to_have_value(before)
    expect(page).to_have_url(re.compile(re.escape("tour=1")))
    slider.press("PageDown")  # a clicker's key goes on wherever the hand was
    stands_at(page, 2)


def test_the_notes_follow_in_a_window_of_their_own(page):
    stands_at(page, 1)
    with page.expect_popup() as window:
        page.keyboard.press("n")
    notes = window.value
    expect(notes.locator("li")).to_have_count(len(STEPS))
    assert STEPS[2].note in notes.locator("li").nth(2).inner_text()
    notes.locator("li.now", has_text=STEPS[0].sentence).wait_for()
    page.keyboard.press("PageDown")
    stands_at(page, 2)
    notes.locator("li.now", has_text=STEPS[1].sentence).wait_for()
    notes.close()


LOOKS = """large => (document.documentElement.dataset.look === 'projector') === large
    && (document.querySelector("[data-testid='stSidebar']")?.dataset.collapsed === 'true') === large"""


def looks(page):
    """The size of the type, and whether the sidebar is there."""
    size = float(page.evaluate("getComputedStyle(document.documentElement).fontSize").removesuffix("px"))
    return size, page.locator("[data-testid='stSidebar']").get_attribute("data-collapsed") == "false"


def test_a_key_and_an_address_give_the_projectors_look_and_take_it_back(browser, address):
    page = opened(browser, address, "glossary")
    usual, there = looks(page)
    assert there
    page.keyboard.press("p")
    page.wait_for_function(LOOKS, arg=True)
    large, _ = looks(page)
    assert large > 1.25 * usual
    page.reload()
    page.wait_for_function(LOOKS, arg=True)
    assert looks(page) == (large, False)
    page.keyboard.press("p")
    page.wait_for_function(LOOKS, arg=False)
    assert looks(page) == (usual, True)
    page.close()
    page = opened(browser, address, "tradeoff?look=projector")
    page.wait_for_function(LOOKS, arg=True)
    assert looks(page) == (large, False)
    page.close()
