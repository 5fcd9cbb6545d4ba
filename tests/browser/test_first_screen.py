"""The first screen in a real browser: the slider moves everything at once, and the server hears of it afterwards."""

import re

import pytest
from browsing import opened, settle
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def seen(page):
    """The sentence, the beam's turn, the marker's place and the pictures' sources."""
    plank = page.locator(".plank").get_attribute("style")
    sources = [image.get_attribute("src") for image in page.locator(".b .picture img").all()]
    signs = page.locator(".sign").all_text_contents()
    return (
        page.locator(".sentence").inner_text(),
        plank,
        page.locator(".marker").get_attribute("x1"),
        sources,
        signs,
    )


def test_the_slider_tips_the_beam_without_the_server_and_then_chooses_model_b(browser, address):
    sent: list = []
    page = opened(browser, address, "", sent=sent)
    slider = page.get_by_role("slider", name="how strong the attacks were")
    box, before, asked = slider.bounding_box(), seen(page), len(sent)
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    views = [before]
    for share in (0.6, 0.05):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=6)
        views.append(seen(page))
    assert len(sent) == asked
    page.mouse.up()
    *parts, signs = zip(*views, strict=True)
    for part in parts:
        assert len({str(value) for value in part}) == 3
    assert (signs[0], signs[-1]) == (
        ["✓", "✗"],
        ["✗", "✓"],
    )  # how good each end is: withstands, falls for the sticker
    assert "withstands 0% of attacks." in views[-1][0]
    page.wait_for_url("**B=Standard**")
    settle(page)
    assert seen(page) == views[-1]
    asked = len(sent)
    slider.press("ArrowRight")
    assert all(now != then for now, then in zip(seen(page)[:4], views[-1][:4], strict=True))
    assert len(sent) == asked
    assert seen(page)[0] in slider.get_attribute("aria-valuetext")
    page.wait_for_url("**B=Adversarial**")
    after = seen(page)
    page.reload()
    page.locator(".plank").wait_for()
    settle(page)
    assert seen(page) == after
    page.close()


def test_its_epsilon_leads_to_the_glossary(browser, address):
    page = opened(browser, address, "")
    with page.context.expect_page() as another:
        page.locator(".sentence").get_by_role("link", name="ε").click()
    another.value.get_by_text("How far a perturbation may go").wait_for()
    another.value.close()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_right_and_wrong_are_told_by_sign_and_word_and_by_no_networks_colour(browser, address, scheme):
    page = opened(browser, address, "", scheme=scheme)
    for panel, verdicts in (("a", ["✗ wrong", "✓ right"]), ("b", ["✓ right", "✗ wrong"])):
        expect(page.locator(f".network.{panel} .verdict")).to_have_text(verdicts, use_inner_text=True)
    drawn = page.locator(".verdict, .picture img").evaluate_all(
        """all => all.flatMap(one => { const {color, backgroundColor, borderTopColor} = getComputedStyle(one);
            return [color, backgroundColor, borderTopColor]; })"""
    )
    for colour in drawn:
        red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
        assert max(red, green, blue) - min(red, green, blue) < 30  # grey, whatever the theme
    page.close()


def test_a_newcomer_finds_one_section_open_and_opens_another_by_a_key_or_by_going_there(browser, address):
    page = browser.new_context().new_page()
    page.goto(address)
    settle(page)
    links = page.get_by_test_id("stSidebarNavLink")
    expect(links).to_have_count(5)
    page.get_by_role("button", name="Find the poison").press("Enter")
    expect(page.get_by_role("link", name="Inspect", exact=True)).to_be_visible()
    expect(links).to_have_count(10)
    page.get_by_role("link", name="Move the sticker yourself").click()
    expect(page.get_by_role("link", name="Stickers", exact=True)).to_be_visible()
    page.reload()
    settle(page)
    expect(links).to_have_count(15)  # as it was left
    page.context.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1024, 768)])
def test_all_of_it_is_seen_without_scrolling(browser, address, width, height):
    page = opened(browser, address, "", width=width)
    page.set_viewport_size({"width": width, "height": height})
    settle(page)
    for part in (".sentence", ".a .picture img >> nth=1", ".b .rates", ".beam", ".slider input"):
        box = page.locator(part).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height
    page.close()


def test_on_a_phone_it_is_one_column_and_the_next_picture_is_another(browser, address):
    page = opened(browser, address, "", width=390)
    one, other = (page.locator(f".network.{letter}").bounding_box() for letter in "ab")
    assert other["y"] >= one["y"] + one["height"]
    assert one["x"] + one["width"] <= 390
    before = seen(page)
    page.get_by_role("button", name="Another picture").click()
    assert seen(page)[3] != before[3]
    assert seen(page)[:3] == before[:3]
    assert page.locator(".b .picture img").first.get_attribute("alt").startswith("1, attacked")
    page.close()
