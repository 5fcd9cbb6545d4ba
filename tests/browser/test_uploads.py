"""Uploads in a real browser: what is wrong with a file goes when the next one is tried, and a good one is not lost."""

import pytest
from browsing import opened, settle
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
MB = 1_000_000


def test_each_file_is_judged_alone_and_a_good_one_outlives_one_that_is_too_large(browser, address, tmp_path):
    good, bad, large = (tmp_path / f"{name}.png" for name in ("good", "bad", "large"))
    Image.new("RGB", (60, 60), "red").save(good)
    bad.write_bytes(b"no picture")
    large.write_bytes(bytes(11 * MB))
    page = opened(browser, address, "stickers?pattern=my+own+picture")
    uploader = page.locator(".st-key-sticker-upload")
    files = uploader.locator("[data-testid='stFileChipName']")
    error, worn = (
        page.locator("[data-testid='stAlertContentError']"),
        page.get_by_text("Your picture is shrunk"),
    )
    too_large = uploader.get_by_text("File must be")

    def tried(file, *kept):
        uploader.locator("input[type='file']").set_input_files(file)
        expect(files).to_have_text([one.name for one in kept])
        settle(page)

    tried(bad, bad)
    expect(error).to_contain_text("bad.png is not a picture that can be read")
    tried(large, large)  # the sentence on the earlier file goes with it
    expect(error).to_have_count(0)
    expect(too_large).to_have_count(1)
    tried(good, good)
    expect(too_large).to_have_count(0)
    expect(worn).to_be_visible()
    tried(large, good, large)
    expect(too_large).to_have_count(1)
    expect(worn).to_be_visible()
    tried(bad, bad)
    expect(too_large).to_have_count(0)
    expect(error).to_have_count(1)
    page.close()
