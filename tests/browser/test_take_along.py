"""The dialog of a figure in a real Chromium: a picture of the size that was asked for, whole, with its font, and a table."""

import io
import re
from pathlib import Path

import pytest
from browsing import opened, settle
from PIL import Image

pytestmark = pytest.mark.browser

CUT = """text => {  // the words of an SVG that reach out of it
    const box = document.createElement('div');
    document.body.append(box);
    box.innerHTML = text;
    const all = box.firstChild.getBoundingClientRect();
    return [...box.querySelectorAll('text')].filter(one => one.textContent.trim()).filter(one => {
        const {left, right, top, bottom} = one.getBoundingClientRect();
        return left < all.left - 1 || right > all.right + 1 || top < all.top - 1 || bottom > all.bottom + 1;
    }).map(one => one.textContent);
}"""


def saved(page, unit, kind):
    """The name and the content of the picture that the dialog saves."""
    field = page.locator("[name=unit]")
    if field.input_value() != unit:
        field.select_option(unit)
    page.locator("[name=format]").select_option(kind)
    with page.expect_download() as caught:
        page.get_by_role("button", name="Save the picture").click()
    return caught.value.suggested_filename, Path(caught.value.path()).read_bytes()


def test_a_figure_is_saved_as_large_as_asked_for_with_its_font_and_nothing_cut_off_on_a_phone_in_the_dark(
    browser, address
):
    page = opened(browser, address, "tradeoff", width=390, scheme="dark")
    page.locator(".st-key-plane .legendtext").nth(2).wait_for()
    legend = page.locator(".st-key-plane .legendtext").all_text_contents()
    assert len(legend) == 3
    page.get_by_role("button", name="Picture and table").nth(1).click()
    page.locator(".print img[src^='data:']").wait_for()
    sizes = {"mm": (1004, 756), "px": (1920, 1080)}  # 85 x 64 mm at 300 dots an inch
    for unit, size in sizes.items():
        name, png = saved(page, unit, "PNG")
        picture = Image.open(io.BytesIO(png))
        assert (name, picture.size) == ("plane.png", size)
        assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)  # on a dark screen too
        name, svg = saved(page, unit, "SVG")
        text = svg.decode()
        assert name == "plane.svg"
        assert re.search(r'@font-face\{font-family:"Source Sans";[^}]*src:url\(data:font/woff2', text)
        assert f'width="{ {"mm": 85, "px": 1920}[unit] }{unit}"' in text
        assert all(entry in re.sub(r"<[^>]*>", "", text) for entry in legend)
        assert page.evaluate(CUT, text) == []
    table = page.locator("[role='dialog'] [data-testid='stDataFrame']")
    assert table.locator("th").all_inner_texts()[:3] == ["trace", "x", "y"]
    settle(page)
    page.close()
