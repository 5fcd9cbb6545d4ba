"""The first screen in a real browser: the slider moves everything at once, and the server hears of it afterwards."""

import pytest
from browsing import opened, settle

pytestmark = pytest.mark.browser


def seen(page):
    """The sentence, the beam's turn, the marker's place and the pictures' sources."""
    plank = page.locator(".plank").get_attribute("style")
    sources = [image.get_attribute("src") for image in page.locator(".b .picture img").all()]
    return page.locator(".sentence").inner_text(), plank, page.locator(".marker").get_attribute("x1"), sources


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
    for part in zip(*views, strict=True):
        assert len({str(value) for value in part}) == 3
    assert "withstands 0% of attacks." in views[-1][0]
    page.wait_for_url("**B=Standard**")
    settle(page)
    assert seen(page) == views[-1]
    slider.press("ArrowRight")
    assert seen(page)[0] != views[-1][0]
    assert seen(page)[0] in slider.get_attribute("aria-valuetext")
    page.wait_for_url("**B=Adversarial**")
    after = seen(page)
    page.reload()
    page.locator(".plank").wait_for()
    settle(page)
    assert seen(page) == after
    page.close()


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
