"""The Runs page in a real browser: an archive comes in, runs are opened, compared, named, deleted and taken back."""

import re
from pathlib import Path

import nbformat
import pytest
from browsing import opened, settle, tick
from playwright.sync_api import expect

from tradeoff_core.experiments import stored_runs

pytestmark = pytest.mark.browser


def taken_along(page, name):
    """The text of the file that a button gives."""
    with page.expect_download() as saved:
        page.get_by_role("button", name=name).click()
    return Path(saved.value.path()).read_text(encoding="utf-8")


def test_a_run_is_brought_along_named_deleted_and_taken_back(browser, own_address, finished_run, tmp_path):
    archive = tmp_path / "run.zip"
    archive.write_bytes(stored_runs.exported(stored_runs.find_run(finished_run.parent, finished_run.name)))
    page = opened(browser, own_address, "runs")
    page.get_by_role("button", name="Bring a run along").click()
    page.locator(".st-key-run-archive input[type='file']").set_input_files(archive)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text(f"{finished_run.name} is here.")).to_be_visible(timeout=30_000)
    page.reload()
    settle(page)
    expect(page.get_by_text(re.compile("^1 of your own"))).to_be_visible(timeout=30_000)

    tick(page, 0)
    name = page.get_by_role("textbox", name="Name", exact=True)
    expect(name).to_have_value(finished_run.name, timeout=30_000)
    name.fill("my first")
    name.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("my first: done"))).to_be_visible(timeout=30_000)
    expect(page.locator("[class*='st-key-curves-'] .main-svg").first).to_be_visible(timeout=30_000)

    settle(page)  # a click while the page is drawn anew would be lost
    again = nbformat.reads(taken_along(page, "Notebook (ipynb)"), as_version=4)
    nbformat.validate(again)
    assert f'str(runs_folder() / "{finished_run.name}")' in again["cells"][3]["source"]
    assert "While it was trained" in taken_along(page, "Report (HTML)")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text(re.compile("^0 of your own"))).to_be_visible(timeout=30_000)
    expect(name).to_have_count(0)  # the row that came in its place is not ticked
    settle(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(re.compile("^1 of your own"))).to_be_visible(timeout=30_000)
    assert page.locator("[data-testid='stException']").count() == 0
    page.close()


def test_two_shipped_networks_are_compared_where_their_specs_differ(browser, own_address):
    page = opened(browser, own_address, "runs?search=mnist-5k-clean-label-pgd-0.&states=shipped")
    page.set_default_timeout(30_000)
    tick(page, 0)
    tick(page, 1)
    expect(page.get_by_role("heading", name="Beside each other")).to_be_visible(timeout=30_000)
    expect(
        page.get_by_text(
            re.compile(r"^The three numbers, and the \d+ of \d+ fields in which the specs differ")
        )
    ).to_be_visible()
    expect(page.get_by_text(re.compile("its small white square sticker$")).first).to_be_visible()
    assert "<h1>Report: 2 runs beside each other</h1>" in taken_along(page, "Report (HTML)")
    page.close()


def test_what_is_no_archive_is_one_sentence(browser, own_address, tmp_path):
    wrong = tmp_path / "wrong.zip"
    wrong.write_bytes(b"not a zip")
    page = opened(browser, own_address, "runs")
    page.get_by_role("button", name="Bring a run along").click()
    page.locator(".st-key-run-archive input[type='file']").set_input_files(wrong)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("this is no zip archive of a run")).to_be_visible(timeout=30_000)
    page.close()
