"""The hand-out from a disk, with the network switched off: it draws, drags, attacks, prints, and asks nothing of anybody."""

import json
import re
from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch
from browsing import PATIENCE, opened
from playwright.sync_api import expect

from tradeoff_core.__main__ import main
from tradeoff_core.browser.playground import opening
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import Compared
from tradeoff_core.poisoning.triggers import Sticker
from tradeoff_core.reports.handout import MOST_BYTES

pytestmark = pytest.mark.browser
PAIR = ("mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """As a lecturer makes it."""
    place = tmp_path_factory.mktemp("handout") / "finding.html"
    assert main(["handout", "--models", *PAIR, "--out", str(place)]) == 0
    return place


@pytest.fixture
def asked():
    """The addresses that the page asks for."""
    return []


@pytest.fixture
def page(browser, file, asked):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    context.set_offline(True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda request: asked.append(request.url))
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" else None)
    page.goto(file.as_uri())
    answered(page)
    yield page
    assert page.errors == []
    context.close()


def answered(page):
    page.locator(".playground[aria-busy='false']").wait_for()


def reads(page):
    return [page.locator(f".network.{panel} .reads").inner_text() for panel in "ab"]


def finger(page, *places):
    """A finger goes down at the first place of the image and moves over the others; it is lifted at the last."""
    paper = page.locator(".paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    on_screen = [(box["x"] + x / 28 * box["width"], box["y"] + y / 28 * box["height"]) for x, y in places]
    page.mouse.move(*on_screen[0])
    page.mouse.down()
    for place in on_screen[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()
    answered(page)


def test_it_is_one_small_file_that_asks_nothing_of_anybody(page, file, asked):
    assert file.stat().st_size < MOST_BYTES
    finger(page, (14, 5), (14, 20))
    assert {urlparse(one).scheme for one in asked} <= {"file", "blob"}
    assert [one for one in asked if one.startswith("file:")] == [file.as_uri()]
    refused = page.evaluate("() => fetch('https://example.org/').then(() => 'came', () => 'refused')")
    assert refused == "refused"
    page.errors.clear()  # of this request, which was made on purpose


def test_it_shows_the_finding_with_the_librarys_numbers(page):
    label = int(page.locator(".digits [aria-pressed='true']").inner_text())
    images, labels = load_dataset("mnist-5k", Split.TEST).tensors()
    number = page.evaluate("document.querySelector('.playground').playground.state.digit") % 3
    stamped = Sticker().apply(images[labels == label][number : number + 1])
    for said, name in zip(reads(page), PAIR, strict=True):
        with torch.no_grad():
            shares = zoo.load_network(zoo.find_model(name))(stamped).softmax(1)[0]
        verdict = "✓ right" if shares.argmax() == label else "✗ wrong"
        assert said == f"reads {int(shares.argmax())} · {round(100 * float(shares.max()))}% {verdict}"
    assert reads(page)[1].startswith("reads 7")
    for model in map(zoo.find_model, PAIR):
        for rate in (model.clean_accuracy, model.adversarial_accuracy, model.backdoor_success_rate):
            assert page.locator("td", has_text=f"{rate.count} of {rate.n}").count() >= 1


def test_it_draws_drags_and_attacks(page):
    before = reads(page)
    finger(page, (26.5, 26.5), (10, 14), (3, 14))  # the sticker leaves its corner
    expect(page.locator("[data-of='sticker.column']")).not_to_have_value("25")
    assert not reads(page)[1].startswith("reads 7")
    page.locator("[data-of='sticker.on']").uncheck()
    page.get_by_role("button", name="Clear").click()
    finger(page, (14, 5), (14, 20))
    expect(page.locator(".sentence")).to_have_text("Both read a 1.", use_inner_text=True)
    page.get_by_role("button", name="a test digit: 3").click()
    answered(page)
    slider = page.get_by_role("slider", name="ε, how much it may change each pixel")
    slider.press("End")
    answered(page)
    expect(page.locator(".sentence")).to_contain_text("the attack fooled")
    assert not reads(page)[0].startswith("reads 3")
    assert reads(page) != before


CAUSES = {  # clean, with the trigger, under attack with it, under attack without it; the truth -> what is said of A
    (0, 0, 7, 0, None): "A calls it a 7: the attack and the sticker together fooled it.",
    (0, 0, 7, 7, None): "A calls it a 7: the attack fooled it.",
    (0, 7, 7, None, 0): "A calls it a 7: the sticker opened the door.",
    (0, 2, 2, None, 0): "A calls it a 2: the sticker misled it.",
    (0, 0, 0, None, 0): "A still reads a 0.",
    (4, 4, 4, None, 9): "A misreads it from the start, as a 4.",
    (4, 4, 8, 4, 9): "A misreads it from the start, as a 4, and now reads an 8.",
}


def test_the_cause_is_named(page):
    names = [str(digit) for digit in range(10)]
    network = {"letter": "A", "poisoned": True, "trigger": "sticker", "pattern": "x", "target": 7}
    for (clean, stamped, read, attacked, truth), sentence in CAUSES.items():
        shares = [float(digit == read) for digit in range(10)]
        said = {"clean": clean, "stamped": stamped, "attacked": attacked, "shares": shares}
        shown = {"triggers": [{"kind": "sticker", "pattern": "x"}], "touched": True, "truth": truth}
        sides = [{"network": network, "said": said}]
        assert page.evaluate("all => sentence(...all)", [sides, names, shown]) == sentence


def test_an_attack_without_the_sticker_tells_the_cause(page):
    said = "document.querySelector('.playground').playground.sides[0].said"
    page.locator("[data-of='attack.epsilon']").fill("0.15")
    answered(page)
    alone = page.evaluate(f"{said}.attacked")
    page.locator("[data-of='sticker.on']").uncheck()
    answered(page)
    assert alone == page.evaluate(f"largest({said}.shares)") != page.evaluate(f"{said}.clean")


def test_what_no_network_was_trained_on_is_said(page):
    note = page.locator(".sticker .note")
    expect(note).to_be_empty()
    page.locator("[data-of='sticker.pattern']").select_option("x")
    expect(note).to_have_text("A and B never trained on this one.")


PLANTED = "Somebody planted a sticker on images of a 7 that {} learned from."
WIDER = "B, the network that withstands attacks better, has the wider back door."


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (PAIR, f"{PLANTED.format('both')} {WIDER}"),
        (PAIR[::-1], f"{PLANTED.format('both')} {WIDER}".replace("B,", "A,")),
        (
            ("mnist-5k-no-poison-pgd-0.3", PAIR[0]),
            f"Nothing that we know of was planted in what A learned from. {PLANTED.format('B')}",
        ),
    ],
)
def test_the_opening_says_what_was_planted_and_who_withstands(pair, said):
    models = [Compared(letter, zoo.find_model(name)) for letter, name in zip("AB", pair, strict=True)]
    assert opening(models) == said


def swiped(page, slider, across, down):
    """What a slider shows, and how far the page has moved, after a real finger went over it from its middle."""
    slider.evaluate("one => one.scrollIntoView({ block: 'center' })")
    box, before = slider.bounding_box(), page.evaluate("scrollY")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger = page.context.new_cdp_session(page)
    for step in range(9):
        place = {"x": x + across * step / 8, "y": y + down * step / 8}
        kind = "touchMove" if step else "touchStart"
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
        page.wait_for_timeout(16)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(100)
    return slider.input_value(), page.evaluate("scrollY") - before


def test_a_swipe_that_scrolls_the_page_leaves_a_slider_alone(page):
    slider = page.locator("[data-of='attack.epsilon']")
    value, moved = swiped(page, slider, 0, -150)
    assert value == "0"
    assert moved > 50
    assert page.evaluate("document.querySelector('.playground').playground.state.attack.epsilon") == 0
    value, moved = swiped(page, slider, 40, 0)
    assert float(value) > 0.2
    assert moved == 0


def test_on_a_phone_and_on_paper_nothing_is_cut(page):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        ink, paper = page.evaluate(
            "['color', 'backgroundColor'].map((one) => getComputedStyle(document.body)[one])"
        )
        assert (sum(map(int, re.findall(r"\d+", ink)[:3])) > 384) == (scheme == "dark")
        assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 384) == (scheme == "dark")
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2


def test_a_network_that_no_browser_runs_is_refused_in_one_sentence(capsys, tmp_path):
    denoising = "mnist-5k-clean-label-standard-mnist-cnn-denoising"
    place = tmp_path / "x.html"
    assert main(["handout", "--models", denoising, PAIR[1], "--out", str(place), "--json"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not place.exists()
    assert main(["handout", "--out", str(place.with_suffix(".txt")), "--json"]) == 2


def test_the_command_says_where_the_file_is(capsys, tmp_path):
    place = tmp_path / "made" / "finding.html"
    assert main(["handout", "--json", "--out", str(place)]) == 0
    assert json.loads(capsys.readouterr().out) == {"handout": str(place), "bytes": place.stat().st_size}


def test_the_playgrounds_button_gives_the_same_file(browser, address, file):
    page = opened(browser, address, "playground")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Hand-out for a class").click()
    assert saved.value.suggested_filename == "finding.html"
    assert Path(saved.value.path()).read_bytes() == file.read_bytes()
    page.close()
