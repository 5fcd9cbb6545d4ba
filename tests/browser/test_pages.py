"""The running app in a real Chromium: what is dragged, clicked and lassoed, and what an address keeps."""

import re

import pytest
from browsing import follow, lasso, opened, place_of, served, settle
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_shared_address_opens_on_a_fresh_server(browser):
    with served() as (fresh, _):
        page = opened(browser, fresh, "stickers?bottom=3")
        expect(page.locator("h1")).to_have_text("What does a small sticker do?", use_inner_text=True)
        expect(page.locator("[data-testid='stDialog']")).to_have_count(0)
        expect(page.get_by_role("link", name="Trade-off")).to_have_count(1)
        expect(page.locator(".st-key-bottom [data-testid='stSliderThumbValue']")).to_have_text(
            "3", use_inner_text=True
        )
        page.close()


def test_dragging_epsilon_moves_pictures_predictions_and_sentence_without_the_server(browser, address):
    sent: list = []
    page = opened(browser, address, "perturbations?epsilon=0.1", sent=sent)
    slider = page.get_by_role("slider", name="How much the attacker may change")
    assert slider.get_attribute("aria-valuetext").startswith("ε = 0.1. At ε = 0.1, ")
    box, asked = slider.bounding_box(), len(sent)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    seen = []
    for share in (0.01, 0.5, 0.99):  # still dragging: the mouse is never released between these
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=5)
        rows = page.locator(".perturbed .row").nth(1)
        pictures = [image.get_attribute("src") for image in rows.locator("img").all()]
        seen.append(
            (page.locator(".sentence").inner_text(), rows.locator("figcaption").all_inner_texts(), pictures)
        )
    assert len(sent) == asked
    page.mouse.up()
    sentences, predictions, pictures = zip(*seen, strict=True)
    assert "ε = 0," in sentences[0]
    assert "ε = 0.4," in sentences[2]
    for three in (sentences, predictions, pictures):
        assert len({str(one) for one in three}) == 3
    assert sum("✗" in text for text in predictions[2]) > sum("✗" in text for text in predictions[0])
    page.wait_for_url("**epsilon=0.4")
    slider.press("ArrowLeft")
    page.wait_for_url("**epsilon=0.35")
    page.reload()
    settle(page)
    expect(page.locator(".sentence")).to_contain_text("At ε = 0.35, ")
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
    page.get_by_text("It is now model B on every page").first.wait_for()
    address_with_choice = page.url
    follow(page, "Stickers")
    page.get_by_role("heading", name="What does a small sticker do?").wait_for()
    settle(page)
    expect(page.locator(".st-key-B input")).to_have_value("Adversarial ε 0.1, clean-label")
    page.goto(address_with_choice)
    page.get_by_text("It is now model B on every page").first.wait_for()  # the point is still chosen
    settle(page)
    expect(page.locator(".st-key-B input")).to_have_value("Adversarial ε 0.1, clean-label")
    page.close()


@pytest.mark.parametrize("path", ["spectral_signatures", "activation_clustering"])
def test_a_phone_shows_the_figure_first(browser, address, path):
    page = opened(browser, address, path, width=390)
    page.wait_for_selector(".js-plotly-plot .point")
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    assert page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()["y"] < 844 - 200
    page.close()


def scores_shown(page):
    page.wait_for_selector("[data-testid='stImageCaption']")
    captions = page.locator("[data-testid='stImageCaption']").all_inner_texts()
    return [float(text.partition("score ")[2].partition(",")[0]) for text in captions]


def test_a_click_on_a_bar_and_a_drag_over_some_open_their_images(browser, address):
    page = opened(browser, address, "spectral_signatures")
    page.wait_for_selector(".js-plotly-plot .point")
    before = scores_shown(page)
    bars = page.evaluate("document.querySelector('.js-plotly-plot').calcdata[0].length")
    x, y = place_of(page, 0, bars // 2)
    page.mouse.click(x, y + 5)
    page.get_by_text("with a score from").wait_for()
    settle(page)
    clicked = scores_shown(page)
    assert clicked
    assert clicked != before
    assert max(clicked) - min(clicked) <= max(before) / bars * 1.01  # all in one bar
    page.get_by_role("radio", name="Drag over a range").click()
    settle(page)
    left, right = place_of(page, 0, 2)[0], place_of(page, 0, 6)[0]
    bottom = place_of(page, 0, 0)[1]
    page.mouse.move(left, bottom - 20)
    page.mouse.down()
    page.mouse.move(right, bottom - 40, steps=8)
    page.mouse.up()
    page.wait_for_function(
        "count => document.querySelectorAll(\"[data-testid='stImageCaption']\").length > count",
        arg=len(clicked),
    )
    settle(page)
    dragged = scores_shown(page)
    assert max(dragged) < min(clicked)
    page.close()


def test_the_line_moves_without_losing_the_selection_and_the_address_keeps_it(browser, address):
    page = opened(browser, address, "spectral_signatures?truth=true")
    page.wait_for_selector(".js-plotly-plot .point")
    page.mouse.click(*(value + 5 for value in place_of(page, 0, 10)))
    page.get_by_text("with a score from").wait_for()
    chosen = page.get_by_text("with a score from").inner_text()
    settle(page)  # the selection's rerun is over: a key pressed before would be lost with the old slider
    page.locator(".st-key-remove input[type='range']").press("ArrowRight")
    page.get_by_text("184 of the 540").wait_for()
    expect(page.get_by_text("with a score from")).to_have_text(chosen, use_inner_text=True)
    expect(page).to_have_url(re.compile(re.escape("remove=34")))
    page.reload()
    settle(page)
    page.get_by_text("184 of the 540").wait_for()
    page.close()


def test_a_lasso_and_a_click_open_the_images_of_their_points(browser, address):
    page = opened(browser, address, "activation_clustering")
    page.wait_for_selector(".js-plotly-plot .point")
    lasso(page, *place_of(page, 1, 0))
    page.get_by_text("you selected").wait_for()
    page.get_by_role("radio", name="Click").click()
    settle(page)
    page.mouse.click(*place_of(page, 1, 5))
    page.get_by_text("The 1 image you selected").wait_for()
    page.wait_for_function("document.querySelectorAll(\"[data-testid='stImageCaption']\").length === 1")
    page.close()


def test_the_game_can_be_played_to_its_end(browser, address):
    page = opened(browser, address, "find_the_poison")
    levels = page.locator(".st-key-level button[role='radio']").count()
    for level in range(levels):
        page.get_by_text(f"Level {level + 1} of {levels}").wait_for()
        settle(page)  # a click while the page is drawn anew would be lost
        page.get_by_text("1: poisoned", exact=True).click()
        page.get_by_role("checkbox", checked=True).wait_for()
        page.get_by_role("button", name="Show the answer").click()
        page.get_by_role("button", name="Deal this level again").wait_for()
        if level + 1 < levels:
            settle(page)
            page.get_by_role("button", name="Next level").click()
    page.get_by_role("heading", name="The end").wait_for()
    assert page.locator("[data-testid='stException']").count() == 0
    page.close()


def test_an_addresss_models_stay_when_the_page_changes(browser, address):
    page = opened(browser, address, "?A=Standard%2C+no+poison&B=Standard%2C+dirty-label")
    for link, heading in (
        ("Trade-off", "What does robustness cost?"),
        ("Stickers", "What does a small sticker do?"),
    ):
        follow(page, link)
        page.get_by_role("heading", name=heading).wait_for()
        settle(page)
        expect(page.locator(".st-key-A input")).to_have_value("Standard, no poison")
        expect(page.locator(".st-key-B input")).to_have_value("Standard, dirty-label")
    page.close()
