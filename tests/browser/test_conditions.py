"""The paper's tables, the other conditions, and what is certified, in a real Chromium."""

import csv
import io
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, urlparse

import pytest
from browsing import follow, opened, place_of, settle
from playwright.sync_api import expect

from pages.components import model_picker
from pages.components.words.changes import said
from tradeoff_core.findings import conditions, paper_tables, results
from tradeoff_core.models import zoo

pytestmark = pytest.mark.browser

DATASET = "mnist-5k"
CERTIFIED = "Main table 1b: a certified defense"


def in_address(page, key):
    return parse_qs(urlparse(page.url).query).get(key, [])


def choose(page, key, option):
    """Type an option into a selectbox or a multiselect, and click it."""
    field = page.locator(f".st-key-{key} input")
    field.click()  # or the list of one that has to be scrolled to does not open
    field.fill(option)
    page.get_by_role("option", name=option, exact=True).click()


def downloaded(page, button):
    """The name and the content of the file that a button saves."""
    with page.expect_download() as caught:
        button.click()
    return caught.value.suggested_filename, Path(caught.value.path()).read_bytes()


def table_shown(page):
    """The header and the rows of the page's table, as far as its columns are in view."""
    page.wait_for_selector("[data-testid='stDataFrame'] td", state="attached")
    lines = page.locator("[data-testid='stDataFrame']").first.locator("tr").all()
    return [line.locator("th, td").all_text_contents() for line in lines]


def expect_rows(page, table):
    """The table on the page has the rows of this one: its second column is the condition."""
    cells = page.locator("[data-testid='stDataFrame']").first.locator("td[aria-colindex='2']")
    expect(cells).to_have_text([row.condition for row in paper_tables.rows(table)])


def test_a_network_that_a_data_set_lacks_gives_way_in_the_picker_too(browser, address):
    page = opened(browser, address, "")
    shown, weaker = page.locator(".st-key-B input").first, "Adversarial ε 0.1, clean-label"
    choose(page, "B", weaker)
    expect(page.get_by_role("heading", name=f"B: {weaker}")).to_be_visible()
    for data, usual in (
        ("CIFAR-10", "Adversarial ε 8/255, clean-label"),
        ("Digits (MNIST)", "Adversarial ε 0.3, clean-label"),
    ):
        choose(page, "data", data)
        expect(page.get_by_role("heading", name=f"B: {usual}")).to_be_visible()
        expect(shown).to_have_value(usual)
        settle(page)
    choose(page, "B", weaker)
    expect(page.get_by_role("heading", name=f"B: {weaker}")).to_be_visible()


def test_another_table_of_the_paper_has_its_own_rows_figure_and_sentences_and_the_address_keeps_it(
    browser, address
):
    page = opened(browser, address, "paper")
    first = page.locator("li", has_text="MNIST, denoising blocks:")
    note = page.get_by_text(paper_tables.TABLES["main-1b"].note)
    expect(first).to_be_visible()
    expect(note).to_have_count(0)
    expect_rows(page, "main-1a")

    def second_is_shown():
        expect(note).to_be_visible()
        expect(first).to_have_count(0)
        expect(page.locator(".st-key-table input")).to_have_value(CERTIFIED)
        expect_rows(page, "main-1b")
        comparisons = paper_tables.comparisons("main-1b")
        expect(page.locator(".st-key-paper-main-1b-figure .annotation")).to_have_count(len(comparisons))
        for one in comparisons:
            if one.means:
                moved = said(one.measured, one.row.runs[0].spec.second_evaluation).replace("**", "")
                expect(page.locator("li", has_text=f"MNIST, {one.row.condition}: {moved}")).to_be_visible()

    choose(page, "table", CERTIFIED)
    second_is_shown()
    assert in_address(page, "table") == [CERTIFIED]
    page.reload()
    settle(page)
    second_is_shown()
    choose(page, "table", paper_tables.TABLES["main-3c"].title)
    expect(page.get_by_text(paper_tables.TABLES["main-3c"].note)).to_be_visible()
    expect(page.locator("[class*='st-key-paper-main'] .js-plotly-plot")).to_have_count(0)
    page.close()


def test_the_table_downloads_as_csv_with_every_seed_and_as_latex_as_it_is_shown(browser, address):
    page = opened(browser, address, f"paper?table={quote(CERTIFIED)}")
    expect(page.locator(".st-key-table input")).to_have_value(CERTIFIED)
    name, content = downloaded(page, page.get_by_role("button", name="Table (CSV)"))
    assert name == "paper-main-1b.csv"
    lines = list(csv.DictReader(io.StringIO(content.decode())))
    rows = paper_tables.rows("main-1b")
    assert [line["condition"] for line in lines] == [row.condition for row in rows]
    for line, row in zip(lines, rows, strict=True):
        seeds = row.measured.get("backdoor_success_rate", ())
        saved = [line[f"backdoor_success_rate_seed_{number}"] for number in range(3)]
        assert [float(value) for value in saved if value] == list(seeds)
    name, content = downloaded(page, page.get_by_role("button", name="Table (LaTeX)"))
    assert name == "paper-main-1b.tex"
    text = content.decode()
    assert rf"\caption{{{CERTIFIED}}}" in text
    assert r"\label{tab:paper-main-1b}" in text
    _, *shown = table_shown(page)
    assert len(shown) == len(rows)
    for (
        _,
        condition,
        *rates,
    ) in shown:  # the data set is a line above its rows, a percent sign of all in the head
        line = " & ".join([condition.replace("%", r"\%"), *(rate.replace("%", "") for rate in rates[:3])])
        assert line.replace("–", "--") in text
    page.close()


def legend(page, figure):
    return page.locator(f".st-key-{figure} .legendtext")


def plot_of(page, figure):
    """A figure once it is drawn and alone: while it is redrawn, the old plot can stand beside the new one."""
    plot = page.locator(f".st-key-{figure} .js-plotly-plot")
    expect(plot.locator(".main-svg").first).to_be_attached()
    expect(plot).to_have_count(1)
    return plot


def points_drawn(page, figure, trace):
    """The names of the runs that a trace has points for."""
    return plot_of(page, figure).evaluate(
        "(plot, name) => plot.data.filter(t => t.name === name && t.customdata).flatMap(t => [...t.customdata])",
        trace,
    )


def sentence_of(page, title):
    return page.locator("li", has=page.locator("strong", has_text=re.compile(f"^{re.escape(title)}$")))


def change(name):
    """What the page ought to say of a condition."""
    runs = conditions.runs_of(name, DATASET)
    changes = conditions.changes(runs, conditions.runs_of(conditions.CONDITIONS[name].baseline, DATASET))
    return said(changes, runs[0].spec.evaluation).replace("**", "")


def test_the_conditions_that_are_chosen_are_drawn_and_said_and_in_the_address(browser, address):
    gone, kept, new = (
        conditions.CONDITIONS[name].title for name in ("l2", "denoising-adversarial", "targeted-fgsm")
    )
    page = opened(browser, address, f"tradeoff?conditions={quote(gone)}&conditions={quote(kept)}")
    expect(legend(page, "plane").get_by_text(gone, exact=True)).to_be_visible()
    expect(sentence_of(page, gone)).to_contain_text(change("l2"))
    expect(sentence_of(page, new)).to_have_count(0)
    before = plot_of(page, "plane").locator(".point").count()

    page.get_by_role("button", name=f"Remove {gone}", exact=True).click()
    expect(sentence_of(page, gone)).to_have_count(0)
    expect(legend(page, "plane").get_by_text(gone, exact=True)).to_have_count(0)
    settle(page)
    assert plot_of(page, "plane").locator(".point").count() < before
    assert gone not in in_address(page, "conditions")
    choose(page, "conditions", new)

    def as_chosen():
        expect(sentence_of(page, new)).to_contain_text(change("targeted-fgsm"))
        expect(sentence_of(page, kept)).to_contain_text(change("denoising-adversarial"))
        expect(sentence_of(page, gone)).to_have_count(0)
        expect(legend(page, "plane").get_by_text(new, exact=True)).to_be_visible()
        expect(legend(page, "plane").get_by_text(gone, exact=True)).to_have_count(0)
        assert points_drawn(page, "plane", new) == [
            run.name for run in conditions.runs_of("targeted-fgsm", DATASET)
        ]
        assert in_address(page, "conditions")[-1] == new

    as_chosen()
    page.reload()
    settle(page)
    as_chosen()
    _, content = downloaded(page, page.get_by_role("button", name="Download all runs of this page (CSV)"))
    saved = {line["run"] for line in csv.DictReader(io.StringIO(content.decode()))}
    assert saved >= {run.name for run in conditions.runs_of("targeted-fgsm", DATASET)}
    assert not saved & {run.name for run in conditions.runs_of("l2", DATASET)}
    page.close()


def test_the_seeds_and_the_published_markers_can_be_switched_off_and_stay_so(browser, address):
    page = opened(browser, address, "tradeoff")
    expect(page.get_by_text("(means of 3 seeds")).to_be_visible()
    expect(legend(page, "plane").get_by_text("published at its own ε", exact=True)).to_be_visible()
    for seed in ("1", "2"):  # quickly, while the page is still drawn for the first
        page.locator(".st-key-seeds").get_by_role("button", name=seed, exact=True).click()
    page.locator(".st-key-published label").click()
    success = {
        run.epsilon: run.backdoor_success_rate.value for run in results.curve(DATASET) if run.seed == 0
    }

    def as_chosen():
        expect(page.get_by_text("(one seed,")).to_contain_text(
            f"backdoor success from {success[0.0]:.0%} to {success[max(success)]:.0%}"
        )
        expect(legend(page, "plane").get_by_text("published at its own ε", exact=True)).to_have_count(0)
        expect(legend(page, "by_epsilon").filter(has_text="published")).to_have_count(0)
        expect(legend(page, "by_epsilon").first).to_contain_text("one seed")
        drawn = points_drawn(page, "by_epsilon", "Backdoor success, each seed")
        assert len(drawn) == len(success)
        assert all("-seed0-" in name for name in drawn)

    as_chosen()
    assert in_address(page, "seeds") == ["0"]
    assert in_address(page, "published") == ["false"]
    page.reload()
    settle(page)
    as_chosen()
    page.locator(".st-key-seeds").get_by_role("button", name="0", exact=True).click()
    expect(page.get_by_text("Choose at least one seed.")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    page.close()


def click_on(page, figure, run):
    """Click on the point of a run in a figure, whose customdata is the run's name."""
    settle(page)
    plot = plot_of(page, figure)
    plot.scroll_into_view_if_needed()
    trace, at = plot.evaluate(
        """(plot, name) => plot.data.map((trace, number) => [number, [...trace.customdata ?? []].indexOf(name)])
                               .find(([, at]) => at >= 0)""",
        run.name,
    )
    page.mouse.click(*place_of(page, trace, at, f".st-key-{figure}"))


def test_a_click_on_a_condition_makes_its_network_model_b_if_it_is_included(browser, address):
    bounds = conditions.CONDITIONS["ibp"].title
    page = opened(browser, address, f"tradeoff?conditions={quote(bounds)}")
    model_b, told = page.locator(".st-key-B input"), page.locator("[data-testid='stAlert']")
    included, _, missing = conditions.runs_of("ibp", DATASET)
    chosen = model_picker.describe(zoo.find_model("mnist-5k-clean-label-ibp-0.4-mnist-ibp-small"))
    expect(model_b).not_to_have_value(chosen)

    click_on(page, "plane", included)
    expect(told).to_contain_text("It is now model B on every page.")
    expect(told).to_contain_text(
        f"seed 0: clean accuracy {included.clean_accuracy.value:.0%}, adversarial accuracy "
        f"{included.adversarial_accuracy.value:.0%}, backdoor success {included.backdoor_success_rate.value:.0%}."
    )
    expect(model_b).to_have_value(chosen)
    assert in_address(page, "B") == [chosen]

    click_on(page, "plane", missing)
    expect(told).to_contain_text("This network is not included, so it cannot become model B.")
    expect(told).to_contain_text(f"seed 2: clean accuracy {missing.clean_accuracy.value:.0%}")
    expect(model_b).to_have_value(chosen)
    follow(page, "Stickers")
    page.get_by_role("heading", name="What does a small sticker do?").wait_for()
    expect(model_b).to_have_value(chosen)
    page.close()


def data_of(page, figure):
    return plot_of(page, figure).evaluate(
        "plot => plot._fullData.map(t => ({name: t.name, mode: t.mode, x: [...t.x], y: [...t.y], z: t.z?.map(r => [...r])}))"
    )


def near(shown, exact):
    """Whether whole percentages are these numbers, rounded either way at a half."""
    return len(shown) == len(exact) and all(
        abs(float(one.strip("%")) - other) < 0.501 for one, other in zip(shown, exact, strict=True)
    )


def test_the_poison_rates_and_the_maps_are_drawn_and_the_sentences_under_them_say_what_they_show(
    browser, address
):
    page = opened(browser, address, "tradeoff?part=Where+it+turns")
    rates = [trace for trace in data_of(page, "by_poison_rate") if trace["mode"] == "lines"]
    expect(page.locator(".st-key-by_poison_rate .legendtext")).to_have_text([rate["name"] for rate in rates])
    sentence = page.get_by_text(re.compile(r"^Backdoor success from standard training")).inner_text()
    assert len(rates) > 1
    for rate in rates:
        share = rate["name"].partition(" ")[0]
        found = re.search(rf"\b{share} poisoned: (?:rises|falls) from (\d+)% to (\d+)%", sentence)
        assert near(found.groups(), [rate["y"][0], rate["y"][-1]])
    sentences = page.get_by_text("backdoor success rises for").all_inner_texts()
    for figure, what, said_of_it in zip(
        ("map-size", "map-amplitude"), ("side", "amplitude"), sentences, strict=True
    ):
        (cells,) = data_of(page, figure)
        measured = [value for row in cells["z"] for value in row if value is not None]
        labels = page.locator(f".st-key-{figure} .heatmap-label")
        expect(labels).to_have_count(len(measured))
        assert near(labels.all_text_contents(), measured)
        for value, row in zip(cells["y"], cells["z"], strict=True):
            found = re.search(rf"{what} {value}(?: pixels?)?: (\d+)% → (\d+)%", said_of_it)
            assert near(found.groups(), [row[0], row[-1]])
    page.close()


def test_what_is_proved_is_drawn_and_said_on_demand_and_the_address_keeps_it(browser, address):
    page = opened(browser, address, f"perturbations?steps=1&B={quote('Interval bounds ε 0.4, clean-label')}")
    figure, toggle = (
        page.locator(".st-key-certified-regions .js-plotly-plot"),
        page.locator(".st-key-certified"),
    )
    sentences = page.get_by_text(re.compile("^Up to ε = .* certified on "))
    expect(toggle.get_by_role("switch")).not_to_be_checked()
    expect(figure).to_have_count(0)
    expect(sentences).to_have_count(0)
    toggle.locator("label").click()

    def proved():
        expect(toggle.get_by_role("switch")).to_be_checked()
        expect(sentences).to_have_count(2)
        expect(page.locator(".st-key-certified-regions .point path")).not_to_have_count(0)
        for letter, sentence in zip("AB", sentences.all_inner_texts(), strict=True):
            assert f"certified on {letter};" in sentence
            drawn = {
                trace["name"]: [x for x in trace["x"] if x > 0]
                for trace in data_of(page, "certified-regions")
                if trace["name"].startswith(letter)
            }
            proved, broken = (
                float(re.search(pattern, sentence)[1])
                for pattern in (r"Up to ε = ([\d.e-]+)", r"breaks the first at ([\d.]+)")
            )
            assert 0.9 * min(drawn[f"{letter}: certified"]) < proved <= min(drawn[f"{letter}: certified"])
            assert broken == min(drawn[f"{letter}: an attack breaks it"])
            expect(figure.locator("text").filter(has_text=f"{letter}: ")).to_have_count(3)

    proved()
    assert in_address(page, "certified") == ["true"]
    page.reload()
    settle(page)
    proved()
    toggle.locator("label").click()
    expect(figure).to_have_count(0)
    expect(sentences).to_have_count(0)
    assert in_address(page, "certified") == []
    page.close()
