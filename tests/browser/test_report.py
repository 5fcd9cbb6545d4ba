"""The report in a real browser, from a disk and without a network: its figures are drawn, and it asks nothing of anybody."""

import pytest

from tradeoff_core.models.zoo import find_model
from tradeoff_core.reports.report import report

pytestmark = pytest.mark.browser


def test_a_report_draws_its_figures_from_a_disk_and_prints(browser, finished_run, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(report([find_model(str(finished_run))]), encoding="utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 844})
    context.set_offline(True)
    page, errors, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.locator("#rates .bars path").nth(2).wait_for(state="attached")
    page.locator("#curves .lines path").first.wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator(".pictures img").evaluate_all("all => all.every((one) => one.naturalWidth > 0)")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert errors == []
    assert [one for one in asked if not one.startswith("data:")] == [file.as_uri()]
    context.close()
