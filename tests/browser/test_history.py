"""One action is one step of the browser's history: Back undoes exactly it, and reload or a shared address restore the view."""

import re

import pytest
from browsing import follow, opened, settle

pytestmark = pytest.mark.browser


def choose(page, key, option):
    field = page.locator(f".st-key-{key} input")
    field.click()
    field.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    page.keyboard.press("Escape")


def press(page, key, arrow):
    page.locator(f".st-key-{key} input[type='range']").press(arrow)


def play(page):
    page.get_by_text("1: poisoned", exact=True).click()
    page.get_by_role("button", name="Show the answer").click()
    page.get_by_role("button", name="Deal this level again").wait_for()


# a page, what its heading begins with, and what is done there: each changes something that is seen
ACTIONS = (
    (
        "Overview",
        "Does robustness",
        (lambda page: page.get_by_role("slider", name="how strong the attacks were").press("ArrowLeft"),),
    ),
    (
        "Trade-off",
        "What does robustness",
        (
            lambda page: page.locator(".st-key-published label").click(),
            lambda page: page.locator(".st-key-seeds").get_by_role("button", name="1", exact=True).click(),
            lambda page: choose(page, "conditions", "PGD in l2, ε 2"),
        ),
    ),
    (
        "Stickers",
        "What does a small",
        (
            lambda page: press(page, "size", "ArrowRight"),
            lambda page: choose(page, "B", "Standard, dirty-label"),
        ),
    ),
    (
        "Perturbations",
        "How little",
        (
            lambda page: page.get_by_role("slider", name="How much the attacker may").press("ArrowRight"),
            lambda page: press(page, "steps", "ArrowLeft"),
        ),
    ),
    (
        "Find it yourself",
        "Can you find",
        (play, lambda page: page.get_by_role("button", name="Next level").click()),
    ),
)


def view(page):
    """Where the visitor is and what the page shows, once it shows the same half a second later."""
    seen = what_shows(page)
    for _ in range(20):
        page.wait_for_timeout(500)
        if (now := what_shows(page)) == seen:
            break
        seen = now
    return seen


def what_shows(page):
    """The page's address, its controls' values, its sentences, its pictures and its curves."""
    settle(page)
    values = page.locator("input:not([type='file'])").evaluate_all(
        "fields => fields.filter(one => one.offsetParent !== null).map(one => one.type === 'checkbox' ? one.checked : one.value)"
    )
    pressed = page.locator("[aria-pressed], [role='switch']").evaluate_all(
        "all => all.map(one => one.ariaPressed ?? one.checked)"
    )
    alerts = page.locator("[data-testid='stAlert']").all_inner_texts()
    said = page.locator("[data-testid='stMarkdownContainer'] p").all_inner_texts()
    pictures = page.locator("img").evaluate_all("all => all.map(one => one.src)")
    curves = page.locator(".legendtext").all_text_contents()
    return page.url, values, pressed, alerts, said, pictures, curves


def shows(page, wanted):
    """Whether the page comes to this view: what the server sends after a step of the browser's may take a moment."""
    for _ in range(20):
        if view(page) == wanted:
            return True
        page.wait_for_timeout(500)
    assert view(page) == wanted
    return True


def done(page, action, before):
    """The view after an action, once the address has followed it."""
    action(page)
    page.wait_for_url(lambda address: address != before[0])
    return view(page)


def test_back_undoes_each_of_ten_actions_on_five_pages_and_reload_keeps_the_view(browser, address):
    page = opened(browser, address, "")
    for link, heading, actions in ACTIONS:
        if link != "Overview":
            follow(page, link)
        page.get_by_role("heading", level=1, name=re.compile(f"^{heading}")).wait_for()
        views = [view(page)]
        for action in actions:
            views.append(done(page, action, views[-1]))
        if link in ("Trade-off", "Perturbations"):
            page.reload()
            assert shows(page, views[-1])
        for before in reversed(views[:-1]):
            page.go_back()
            page.wait_for_url(before[0])
            assert shows(page, before)
    assert sum(len(actions) for *_, actions in ACTIONS) == 10
    page.go_back()  # to the page before, as it was left
    page.get_by_role("heading", level=1, name=re.compile("^How little")).wait_for()
    page.close()
