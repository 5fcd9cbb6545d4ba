"""Saliency and features in a real browser: the method, the opacity, a click on a network, a lasso."""

import re

import pytest
from browsing import lasso, opened, place_of, settle
from playwright.sync_api import expect

from pages.components import model_picker
from tradeoff_core.findings import results
from tradeoff_core.models import zoo
from tradeoff_core.poisoning.poison import PoisonLabels

pytestmark = pytest.mark.browser

PICTURES = "[data-testid='stImage'] img, [data-testid='stImageContainer'] img"


def sources(page):
    return page.locator(PICTURES).evaluate_all("pictures => pictures.map(picture => picture.src)")


def changed(page, before):
    """Wait until some picture is another one."""
    page.wait_for_function(
        "([selector, before]) => [...document.querySelectorAll(selector)].some((one, at) => one.src !== before[at])",
        arg=[PICTURES, before],
    )
    settle(page)


def test_three_images_by_two_models_follow_the_method_the_opacity_and_the_clicked_network(browser, address):
    page = opened(browser, address, "saliency")
    expect(page.locator(PICTURES)).to_have_count(2 * 2 * 3)
    before = sources(page)
    page.locator(".st-key-method").get_by_role("combobox").click()
    page.get_by_role("option", name="Integrated gradients").click()
    changed(page, before)
    expect(
        page.get_by_text("what each pixel adds to the score on the way from a black image")
    ).to_be_visible()
    expect(page).to_have_url(re.compile(re.escape("method=")))

    before = sources(page)
    page.locator(".st-key-opacity-of-map input[type='range']").press("ArrowLeft")
    changed(page, before)
    expect(page).to_have_url(re.compile(re.escape("opacity-of-map=95")))

    dirty = next(
        (number, cause)
        for number, cause in enumerate(
            cause
            for cause in results.causes("mnist-5k")
            if cause.shares and cause.spec.poison and cause.spec.poison.labels is PoisonLabels.DIRTY
        )
    )
    chosen = model_picker.describe(zoo.find_model(dirty[1].model))
    model_b = page.locator(".st-key-B input")
    expect(model_b).not_to_have_value(chosen)
    plot = page.locator(".st-key-every-network .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    trace = plot.evaluate("plot => plot.data.findIndex(trace => trace.name === 'dirty-label')")
    settle(page)
    page.mouse.click(*place_of(page, trace, dirty[0], ".st-key-every-network"))
    expect(model_b).to_have_value(chosen)
    settle(page)
    expect(page.get_by_role("heading", name=f"B: {chosen}")).to_be_visible()
    page.reload()
    settle(page)
    expect(model_b).to_have_value(chosen)
    assert page.locator("[data-testid='stException']").count() == 0
    page.close()


def test_a_method_that_a_network_does_not_support_is_one_sentence_and_the_rest_goes_on(browser, address):
    page = opened(browser, address, "saliency?data=CIFAR-10&method=Guided+Grad-CAM")
    expect(
        page.get_by_text(re.compile("is not drawn for this network: it does not know its LeakyReLU")).first
    ).to_be_visible()
    expect(page.locator(PICTURES)).to_have_count(2 * 3)
    expect(page.get_by_text("How it works")).to_be_visible()
    page.close()


def test_a_lasso_among_the_features_opens_its_images(browser, address):
    page = opened(browser, address, "features")
    figure = ".st-key-features-B"
    page.wait_for_selector(f"{figure} .js-plotly-plot .point")
    page.locator(figure).scroll_into_view_if_needed()
    settle(page)
    lasso(page, *place_of(page, 2, 0, figure))  # a poisoned image
    page.get_by_text("you selected").wait_for()
    expect(page.get_by_text(re.compile("^poisoned: label 7, read ")).first).to_be_visible()
    page.locator(".st-key-three-features label").click()
    page.wait_for_selector(".st-key-features-B-3d .js-plotly-plot")
    assert page.locator("[data-testid='stException']").count() == 0
    page.close()
