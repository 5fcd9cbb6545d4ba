"""Training from the app in a real browser: start, watch, reload, stop, resume, and use what came out."""

import re

import pytest
from browsing import follow, opened, settle, start_quick_run
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
LONG = {"timeout": 120_000}  # a process starts, epochs pass


def test_a_quick_run_is_started_watched_stopped_resumed_and_used(browser, own_address):
    page = opened(browser, own_address, "train")
    start_quick_run(page, epochs=15, name="my first")
    # where a run changes its place, both are there for a moment
    run = page.get_by_role("heading", name=re.compile("my first: ")).first
    expect(run).to_contain_text(re.compile("queued|running"), **LONG)
    expect(page.get_by_text(re.compile(r"^Epoch [1-9]\d* of 15"))).to_contain_text(
        re.compile("about .* left|now it is measured, about"), **LONG
    )
    expect(page.locator("[class*='st-key-curves-'] .main-svg").first).to_be_visible(**LONG)

    page.reload()
    expect(page.get_by_text(re.compile(r"^Epoch [1-9]\d* of 15"))).to_be_visible(**LONG)
    settle(page)  # a click while the page is drawn anew would be lost
    page.get_by_role("button", name="Stop").click()
    expect(run).to_contain_text("stopped", **LONG)
    settle(page)
    page.get_by_role("button", name="Resume").click()
    expect(run).to_contain_text(re.compile("running|done"), **LONG)
    expect(run).to_contain_text("done", **LONG)
    settle(page)
    page.get_by_role("button", name="Make it model B").click()
    settle(page)

    follow(page, "Trade-off")
    page.get_by_role("heading", name="What does robustness cost?").wait_for()
    expect(page.locator(".st-key-plane .legendtext").get_by_text("yours", exact=True)).to_be_visible()
    follow(page, "Perturbations")
    page.get_by_role("heading", name="How little does it take").wait_for()
    settle(page)
    expect(page.locator(".st-key-B input")).to_have_value("Adversarial ε 0.3, clean-label, yours: my first")
    expect(page.get_by_role("slider", name="How much the attacker may")).to_be_visible(**LONG)
    assert page.locator("[data-testid='stException']").count() == 0
    page.close()


def test_a_setting_that_cannot_be_is_one_sentence_and_there_is_no_start(browser, own_address):
    page = opened(browser, own_address, "train")
    page.get_by_text("More settings").click()
    more = page.locator(".st-key-more-fast textarea")
    more.fill("training.learning_rate = 7")
    more.press("Control+Enter")
    expect(page.get_by_text("learning_rate 7 is out of range: above 0, at most 1")).to_be_visible()
    expect(page.locator(".st-key-start button")).to_have_count(0)
    page.close()
