"""Inspect in a real browser: decisions by keyboard are drawn at once, and are there after a reload and after a kill."""

import csv
import json
import re
import time

import pytest
from browsing import PATIENCE, follow, opened, place_of, served, settle
from playwright.sync_api import expect

from tradeoff_core.inspection.walk import BETWEEN_GROUPS, CLICKS

pytestmark = pytest.mark.browser

KEYS = "rrkurrkkuu" * 2  # twenty decisions


def grid(page):
    tiles = page.locator(".grid .tile")
    expect(tiles.first).to_be_visible()
    settle(page)
    return page.locator(".grid")


def marked(page):
    """The marks of the first images that are shown."""
    return page.locator(".grid .tile").evaluate_all(
        "tiles => tiles.slice(0, 12).map(tile => (tile.querySelector('.badge')?.textContent ?? '').slice(-1))"
    )


def becomes(read, right):
    """Wait until what is read is right, and give it: a page may be drawn while it is read."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not right(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def saved(page):
    expect(page.locator(".told .saved")).to_have_text("saved")


def looks_right(page, removed, kept, unsure):
    done = removed + kept + unsure
    expect(page.locator(".counts")).to_have_text(
        f"{done} of 540 decided: {removed} remove, {kept} keep, {unsure} unsure"
    )


def test_twenty_decisions_by_keyboard_survive_undo_reload_and_kill(browser, tmp_path):
    with served(runs=tmp_path) as (address, server):
        page = opened(browser, address, "inspect_examples")
        grid(page).focus()
        for key in KEYS:
            page.keyboard.press(key)
        looks_right(page, 8, 6, 6)
        page.keyboard.press("z")
        page.keyboard.press("z")
        looks_right(page, 8, 6, 4)
        saved(page)
        settle(page)
        drawn = becomes(lambda: marked(page), lambda found: found[:10] == [*"RRKURRKKUU"])
        page.reload()
        grid(page).focus()
        looks_right(page, 8, 6, 4)
        becomes(lambda: marked(page), lambda found: found == drawn)
        page.keyboard.press("z")  # of what was decided before the page was loaded
        looks_right(page, 8, 5, 4)
        expect(page.locator(".taken")).to_have_text("1 mark taken back")
        saved(page)
        server.kill()
        page.close()
    (review,) = (tmp_path / "reviews").glob("*/mine.jsonl")
    assert len([json.loads(line) for line in review.read_text().splitlines()]) == 1 + 20 + 3
    with served(runs=tmp_path) as (address, _):
        page = opened(browser, address, "inspect_examples")
        grid(page)
        looks_right(page, 8, 5, 4)
        becomes(lambda: marked(page), lambda found: found == drawn)
        a_range_is_decided_at_once(page)
        page.close()


def a_range_is_decided_at_once(page):
    tiles = page.locator(".grid .tile")
    tiles.nth(20).click()
    tiles.nth(25).click(modifiers=["Shift"])
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator(".told")).to_contain_text("5 selected")
    page.get_by_role("button", name="Keep K").click()
    looks_right(page, 8, 10, 4)
    page.locator(".most").press("z")  # in a field it is a letter
    looks_right(page, 8, 10, 4)
    page.get_by_role("button", name="Detail").click()
    page.keyboard.press("Control+z")
    looks_right(page, 8, 5, 4)
    expect(page.locator(".taken")).to_have_text("5 marks taken back")
    page.keyboard.press("Shift+Z")
    looks_right(page, 8, 10, 4)
    expect(page.locator(".taken")).to_have_count(0)
    page.keyboard.press("z")  # what was put back is a step too
    looks_right(page, 8, 5, 4)
    page.locator(".redo").click()
    looks_right(page, 8, 10, 4)


def test_from_a_bar_of_the_histogram_to_its_images_and_more_like_one(browser, address):
    page = opened(browser, address, "spectral_signatures")
    page.wait_for_selector(".js-plotly-plot .point")
    x, y = place_of(page, 0, 10)
    page.mouse.click(x, y + 5)
    page.get_by_text("Back to those that would be removed").wait_for()
    settle(page)
    count = re.match(r"\d+", page.get_by_role("heading", name="with a score from").inner_text())[0]
    page.get_by_role("link", name="Inspect these").click()
    focused = grid(page)
    expect(page.locator(".everything")).to_have_text(f"{count} from Spectral signatures ✕")
    expect(page.locator(".told")).to_contain_text(f"{count} of 540 shown")
    focused.focus()
    page.keyboard.press("l")
    expect(page.locator(".everything")).to_contain_text("60 most like image")
    page.locator(".most").fill("-100")
    expect(page.locator(".unfilter")).to_have_text("61 hidden by filters ✕")
    page.locator(".unfilter").click()
    expect(page.locator(".told")).to_contain_text("61 of 540 shown")
    focused.focus()
    page.keyboard.press(" ")
    expect(page.locator(".near button")).to_have_count(10)
    expect(page.locator(".detail tr")).to_have_count(13)
    expect(page.locator(".detail .test")).to_contain_text("with the boxed 3 x 3 pixels covered it reads")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator(".told")).to_contain_text("540 of 540 shown")
    page.close()


def values(page):
    return [float(text) for text in page.locator(".grid .tile small:last-child").all_inner_texts()]


def test_sorting_and_filtering_need_no_server_and_tiles_are_few(browser, address):
    page = opened(browser, address, "inspect_examples?view=loss.up")
    grid(page)
    expect(page.locator(".sort")).to_have_value("loss")
    becomes(lambda: values(page), lambda found: found and found == sorted(found))
    assert page.locator(".grid .tile").count() < 120
    page.locator(".turn").click()
    becomes(lambda: values(page), lambda found: found and found == sorted(found, reverse=True))
    page.wait_for_url("**view=loss.down**")
    expect(page.locator("label.from")).to_contain_text("loss from")
    page.locator(".most").press_sequentially("0.0005")
    becomes(lambda: values(page), lambda found: found and max(found) <= 0.0005)
    few = page.locator(".told span").first.inner_text()
    assert few != "540 of 540 shown"
    settle(page)
    for name in ("Glossary", "Inspect"):
        follow(page, name)
        settle(page)
    expect(page.locator(".most")).to_have_value("0.0005")
    expect(page.locator(".told span").first).to_have_text(few)
    expect(page.locator(".grid .tile").first).to_have_attribute(
        "aria-label", re.compile(r"^Training image \d+, label 7, read 7, loss .*, not marked$")
    )
    page.close()


def test_the_plot_and_the_grid_are_linked_and_the_menus_count(browser, address):
    page = opened(browser, address, "inspect_examples")
    grid(page)
    page.locator(".more summary").click()
    canvas = page.locator(".plot canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("spectral score, from left to right"))
    expect(page.locator(".plot-legend")).to_contain_text("• not marked: 540 of 540")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    expect(page.locator(".everything")).to_contain_text("in the plot's box")
    shown = int(re.match(r"\d+", page.locator(".told span").first.inner_text())[0])
    assert 200 < shown < 340  # the upper half of the spectral scores
    expect(page.locator(".plot-legend")).to_contain_text(f"• not marked: {shown} of 540")
    expect(page.locator(".marked option").nth(1)).to_have_text(f"not yet ({shown} of 540)")
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 20, box["y"] + box["height"] - 2, steps=4)
    page.mouse.up()
    expect(page.locator(".told")).to_contain_text("no image that is shown lies in that box")
    page.locator(".sort").select_option("apart")
    becomes(lambda: values(page), lambda found: found and found == sorted(found, reverse=True))
    page.close()


def test_a_tag_and_a_view_have_names_and_survive_a_reload(browser, address):
    page = opened(browser, address, "inspect_examples?review=tags-and-views")
    grid(page)
    page.locator(".more summary").click()
    page.locator(".least").fill("0")
    page.locator(".tag").fill("group")
    page.locator(".tag-all").click()
    count = int(re.match(r"\d+", page.locator(".told span").first.inner_text())[0])
    assert 0 < count < 540
    expect(page.locator(".tagged option").nth(1)).to_have_text(f"group ({count} of {count})")
    page.locator(".view-name").fill("one side")
    page.locator(".keep-view").click()
    expect(page.locator(".views")).to_have_value("one side")
    saved(page)
    settle(page)
    page.reload()
    grid(page)
    page.locator(".least").fill("")
    expect(page.locator(".told")).to_contain_text("540 of 540 shown")
    page.locator(".more summary").click()
    page.locator(".views").select_option("one side")
    expect(page.locator(".told")).to_contain_text(f"{count} of 540 shown")
    page.locator(".least").fill("")
    page.locator(".tagged").select_option("group")
    expect(page.locator(".told")).to_contain_text(f"{count} of 540 shown")
    page.close()


COUNT_CLICKS = "window.clicks = 0; addEventListener('pointerdown', () => { window.clicks += 1; }, true)"


def test_the_worked_example_finds_the_poison_in_a_few_clicks(browser, address):
    page = opened(browser, address, "inspect_examples?review=worked")
    grid(page)
    page.evaluate(COUNT_CLICKS)
    page.locator(".st-key-suspect input").click()
    page.get_by_role("option", name="Adversarial ε 0.3, clean-label", exact=True).click()
    expect(page.locator(".told")).to_contain_text("360 of 360 shown")
    settle(page)
    page.locator(".least").click()
    page.keyboard.type(f"{BETWEEN_GROUPS:g}")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Remove all shown").click()
    saved(page)
    clicks = page.evaluate("window.clicks")
    assert clicks == len(CLICKS) <= 20
    settle(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Scores and marks (CSV)").click()
    with open(download.value.path(), newline="") as file:
        removed = [int(row["index"]) for row in csv.DictReader(file) if row["mark"] == "remove"]
    expect(page.locator(".next span")).to_have_text(f"{len(removed)} marked to remove")
    page.locator(".grid").scroll_into_view_if_needed()
    page.locator(".to-retrain").click()
    expect(page.locator(".st-key-retraining button")).to_be_in_viewport()
    page.close()
    assert len(removed) <= 200
    poisoned = set(poisoned_indices())
    assert len(poisoned) == 180
    assert len(poisoned & set(removed)) >= 162


def poisoned_indices():
    """The truth, which the page was not asked for."""
    from tradeoff_core.experiments.run import poisoned_training_set
    from tradeoff_core.inspection.walk import MODEL
    from tradeoff_core.models import zoo

    return poisoned_training_set(zoo.find_model(MODEL).spec).poisoned.nonzero()[0].tolist()
