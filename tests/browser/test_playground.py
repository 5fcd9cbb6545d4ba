"""The playground in a real browser: networks answer what is drawn, dragged and pulled, without the server."""

import re

import numpy as np
import pytest
import torch
from browsing import opened, settle
from PIL import Image
from playwright.sync_api import expect

from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.models import zoo
from tradeoff_core.poisoning.triggers import Sticker

pytestmark = pytest.mark.browser
PAIR = ("mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3")


RESET = """playground => {
    const shown = playground.playground;
    Object.assign(shown, { state: structuredClone(shown.data.start), tries: [] });
    playground.querySelector("[value='draw']").checked = true;
    shown.drawTries();
    shown.changed();
}"""


@pytest.fixture(scope="module")
def shown(browser, address):
    page = opened(browser, address, "playground")
    answered(page)
    yield page
    page.close()


@pytest.fixture
def page(shown):
    """The playground as a visitor meets it."""
    shown.set_viewport_size({"width": 1280, "height": 900})
    shown.locator(".playground").evaluate(RESET)
    answered(shown)
    return shown


def answered(page):
    """Wait until both networks have answered what is shown now."""
    page.locator(".playground[aria-busy='false']").wait_for()


def read(page, panel):
    """What a network reads, and its ten bars."""
    bars = page.locator(f".network.{panel} .bar b").all_inner_texts()
    return page.locator(f".network.{panel} .reads").inner_text(), bars


def looks(page):
    """Each network's input gradient, as a picture."""
    canvases = page.locator(".network figure:nth-child(3) canvas").all()
    return [canvas.evaluate("one => one.toDataURL()") for canvas in canvases]


def at(page, x, y):
    """Where a point of the image, in its pixels, is on the screen."""
    box = page.locator(".paper").bounding_box()
    return box["x"] + x / 28 * box["width"], box["y"] + y / 28 * box["height"]


def drag(page, *places):
    """Put a finger down at the first place and move it over the others; it stays down."""
    page.mouse.move(*at(page, *places[0]))
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*at(page, *place), steps=8)


def test_the_first_view_tells_the_finding_with_the_librarys_numbers(page):
    assert re.fullmatch(
        r"A still reads an? \d; B calls it a 7: the sticker opened the door\.",
        page.locator(".sentence").inner_text(),
    )
    expect(page.get_by_text("Somebody planted a sticker on images of a 7")).to_be_visible()
    label = int(page.locator(".digits [aria-pressed='true']").inner_text())
    images, labels = load_dataset("mnist-5k", Split.TEST).tensors()
    first = images[labels == label][:1]
    for panel, name in zip("ab", PAIR, strict=True):
        with torch.no_grad():
            shares = zoo.load_network(zoo.find_model(name))(Sticker().apply(first)).softmax(1)[0].tolist()
        reads, bars = read(page, panel)
        assert reads.startswith(f"reads {max(range(10), key=shares.__getitem__)} · ")
        assert [int(bar[:-1]) for bar in bars] == pytest.approx([100 * share for share in shares], abs=0.51)


def test_a_digit_that_is_drawn_is_read_by_both_networks_wherever_it_is_drawn(page):
    page.locator("[data-of='sticker.on']").uncheck()
    for left in (4, 22):
        page.get_by_role("button", name="Clear").click()
        expect(page.locator(".sentence")).to_contain_text("Draw a digit")
        drag(page, (left, 6), (left, 16))
        page.mouse.up()
        answered(page)
        expect(page.locator(".sentence")).to_have_text("Both read a 1.", use_inner_text=True)
    page.get_by_label("Erase").check()
    drag(page, (22, 1), (22, 27))
    page.mouse.up()
    expect(page.locator(".sentence")).to_contain_text("Draw a digit")


def test_ink_stays_where_it_is_drawn_and_a_stroke_is_taken_back(page):
    def paper():
        return page.locator(".paper").evaluate("one => one.toDataURL()")

    page.get_by_role("button", name="Clear").click()
    answered(page)
    assert [read(page, panel)[0] for panel in "ab"] == ["–", "–"]
    empty = paper()
    drag(page, (5, 4), (5, 12))
    drawn = paper()
    page.mouse.up()
    answered(page)
    seen = page.locator(".network.a canvas").first.evaluate(
        "one => [...one.getContext('2d').getImageData(0, 0, 28, 28).data].filter((_, i) => i % 4 === 0)"
    )
    rows, columns = np.nonzero(np.reshape(seen, (28, 28)) > 100)
    assert (columns.mean(), np.ptp(rows) + 1) == pytest.approx((14, 20), abs=1)
    assert paper() == drawn != empty
    drag(page, (20, 4), (20, 12))
    page.mouse.up()
    assert paper() != drawn
    page.get_by_role("button", name="Undo").click()
    assert paper() == drawn
    page.keyboard.press("Control+z")
    assert paper() == empty
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_the_bars_follow_the_sticker_that_is_dragged_without_the_server(browser, address):
    sent: list = []
    page = opened(browser, address, "playground", sent=sent)
    answered(page)
    asked, seen = len(sent), [(looks(page), read(page, "b"))]
    drag(page, (26.5, 26.5), (3, 24), (3, 14))
    answered(page)
    seen.append((looks(page), read(page, "b")))
    page.mouse.move(*at(page, 26.5, 1), steps=8)
    answered(page)
    seen.append((looks(page), read(page, "b")))
    for pictures in zip(*(pictures for pictures, _ in seen), strict=True):
        assert len(set(pictures)) == 3
    reads = [said for _, (said, _) in seen]
    assert reads[0].startswith("reads 7")
    assert not reads[1].startswith("reads 7")
    expect(page.locator("[data-of='sticker.row']")).to_have_value("0")
    page.mouse.up()
    page.locator("[data-of='sticker.row']").press("End")
    answered(page)
    assert (looks(page), read(page, "b")) == seen[0]
    assert len(sent) == asked
    page.close()


def test_epsilon_is_pulled_by_arrow_keys_and_a_try_comes_back(page):
    page.locator(".tries button").first.wait_for()  # the first view is kept once it stood still
    page.locator("[data-of='sticker.on']").uncheck()
    answered(page)
    said, before = page.locator(".sentence").inner_text(), (read(page, "a"), read(page, "b"))
    assert re.fullmatch(r"Both read an? \d\.", said)
    page.locator(".tries button").nth(1).wait_for()
    slider = page.get_by_role("slider", name="ε, how much it may change each pixel")
    for _ in range(15):
        slider.press("ArrowRight")
    answered(page)
    expect(page.locator("[data-of='attack.epsilon'] + output")).to_have_text("0.15", use_inner_text=True)
    assert re.fullmatch(
        r"A calls it an? \d: the attack fooled it; B still reads an? \d\.",
        page.locator(".sentence").inner_text(),
    )
    page.locator(".tries button").nth(2).wait_for()  # of what stood still, the last one first
    page.locator(".tries button").nth(1).click()
    answered(page)
    assert (read(page, "a"), read(page, "b")) == before
    expect(page.locator(".sentence")).to_have_text(said, use_inner_text=True)
    expect(slider).to_have_value("0")
    expect(page.locator(".tries button").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".stage")).to_be_in_viewport(ratio=0.99)


def test_the_training_slider_walks_through_the_shipped_networks_and_the_last_one_stays(browser, address):
    sent: list = []
    page = opened(browser, address, "playground", sent=sent)
    answered(page)
    slider = page.locator(".training input")
    expect(slider).to_have_value(slider.get_attribute("max"))
    strongest = read(page, "b")
    asked = len(sent)
    slider.press("Home")
    page.locator(".network.b .name", has_text="B: Standard, clean-label").wait_for()
    answered(page)
    assert len(sent) == asked
    assert read(page, "b") == read(page, "a")
    page.wait_for_url("**B=Standard**")
    page.wait_for_function("document.querySelector('.st-key-B input').value === 'Standard, clean-label'")
    slider.press("ArrowRight")
    page.locator(".network.b .name", has_text="B: Adversarial ε 0.05, clean-label").wait_for()
    slider.press("End")
    page.locator(".network.b .name", has_text="B: Adversarial ε 0.3, clean-label").wait_for()
    answered(page)
    assert read(page, "b") == strongest
    page.close()


def photograph_of(digit, tmp_path):
    """A digit (28, 28) in dark ink on shaded paper, away from the middle, with a speck and a table's edge."""
    generator = np.random.default_rng(0)
    ink = np.zeros((600, 800))
    ink[60:396, 380:716] = np.kron(digit / 255, np.ones((12, 12)))
    ink[500:506, 100:106] = 1
    ink[:, :9] = 0.8
    paper = 0.6 + 0.35 * np.linspace(0, 1, 800)[None] * np.linspace(1, 0.8, 600)[:, None]
    grey = np.clip(255 * (paper * (1 - 0.8 * ink) + generator.normal(0, 0.01, ink.shape)), 0, 255)
    place = tmp_path / "photograph.png"
    Image.fromarray(grey.astype(np.uint8)).save(place)
    return place


def test_a_photograph_of_a_digit_is_centred_as_mnist_is_and_read(page, tmp_path):
    data = load_dataset("mnist-5k", Split.TEST)
    page.locator("[data-of='sticker.on']").uncheck()
    far = []
    for label in (0, 2, 3, 5, 6, 8):
        digit = data.images[np.flatnonzero(data.labels == label)[0], :, :, 0]
        page.locator(".photo input").set_input_files(photograph_of(digit, tmp_path))
        page.locator(".paper[aria-label^='The paper: your photograph']").wait_for()
        page.locator(".sentence", has_text=f"Both read {'an' if label == 8 else 'a'} {label}.").wait_for()
        kept = np.array(
            page.locator(".playground").evaluate("one => [...one.playground.underlay()]")
        ).reshape(28, 28)
        far.append(np.abs(kept - digit / 255).mean())
        rows, columns = np.mgrid[:28, :28]
        middle = (kept * rows).sum() / kept.sum(), (kept * columns).sum() / kept.sum()
        assert middle == pytest.approx((14, 14), abs=0.1)  # as MNIST's digits have it, but for rounding
        assert 19 <= max(np.ptp(side) + 1 for side in np.nonzero(kept > 0.1)) <= 22
    assert max(far) < 0.08
    (tmp_path / "no.png").write_text("no picture")
    page.locator(".photo input").set_input_files(tmp_path / "no.png")
    page.locator(".sentence", has_text="No digit is found in this file").wait_for()


def test_reload_keeps_the_chosen_networks_and_the_tries(browser, address):
    page = opened(browser, address, "playground")
    page.locator(".tries button").first.wait_for()
    field = page.locator(".st-key-B input")
    field.click()
    field.fill("Standard, no poison")
    page.get_by_role("option", name="Standard, no poison", exact=True).click()
    page.locator(".network.b .name", has_text="Standard, no poison").wait_for()
    page.wait_for_url("**B=Standard**")
    page.locator(".network.b .reads", has_text="%").wait_for()
    answered(page)
    page.wait_for_function("() => sessionStorage.playground")
    before, said = read(page, "b"), page.locator(".sentence").inner_text()
    assert re.fullmatch(r"Both still read an? \d\.", said)
    page.reload()
    page.locator(".network.b .name", has_text="Standard, no poison").wait_for()
    answered(page)
    assert read(page, "b") == before
    expect(page.locator(".sentence")).to_have_text(said, use_inner_text=True)
    assert page.locator(".tries button").count() >= 1
    page.close()


def test_a_denoising_network_is_refused_in_one_sentence_and_the_other_one_answers(browser, address):
    page = opened(browser, address, "playground?A=Standard with denoising, clean-label")
    expect(page.locator(".network.a .name")).to_have_text(
        "A: Standard with denoising, clean-label", use_inner_text=True
    )
    expect(page.locator(".network.a")).to_contain_text("does not run in a browser")
    page.locator(".network.b .reads", has_text="%").wait_for()
    page.close()


def test_on_a_phone_nothing_is_wider_and_every_control_has_a_name(page):
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.locator("[data-of='attack.epsilon']").evaluate("one => one.scrollIntoView({ block: 'center' })")
    expect(page.locator(".sentence")).to_be_in_viewport()
    one, other = (page.locator(f".network.{panel}").bounding_box() for panel in "ab")
    assert one["x"] + one["width"] <= other["x"]
    assert other["x"] + other["width"] <= 390
    nameless = page.locator(".playground").evaluate(
        "all => [...all.querySelectorAll('input, select, button')].filter((one) =>"
        " !(one.ariaLabel || one.labels?.[0]?.textContent || one.textContent)).length"
    )
    assert nameless == 0
    assert page.locator(".paper").get_attribute("aria-label").startswith("The paper: ")
    if page.get_by_test_id("stExpandSidebarButton").is_visible():
        page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("link", name="Playground", exact=True).click()
    page.get_by_test_id("stExpandSidebarButton").wait_for()
