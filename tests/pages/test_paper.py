"""The Paper page against the published numbers and the committed runs, both read here from their files."""

import json
from statistics import fmean

import pytest
from opening import everything_said, opened
from sending import sent

from pages.components.agreement import FIGURE, verdict_line
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.findings import agreement, ledger, paper_tables
from tradeoff_core.findings.agreement import Verdict

NEARNESS = "How near it comes"
PUBLISHED = json.loads((RESULTS / "published.json").read_text())["rows"]
ORDER = ("mnist", "cifar10", "imagenet")
TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "imagenet": "ImageNet"}
COLUMNS = {  # a number of published.json: the column that it stands in
    "clean_accuracy": "Clean",
    "certified_accuracy": "Certified",
    "adversarial_accuracy": "Adversarial",
    "backdoor_success_rate": "Backdoor",
    "backdoor_success_rate_before": "Backdoor before",
    "backdoor_success_rate_after": "Backdoor after",
    "detection_rate": "Found",
    "detection_rate_spectral": "Spectral found",
    "detection_rate_clustering": "Clustering found",
    "mean_deviation": "Mean deviation",
    "recall_without_defense": "Recall without",
    "recall_with_defense": "Recall with",
}
CONDITIONS = {  # the digits' rows of a table, from the top: what the committed runs call them
    "main-1a": (
        "standard",
        "adversarial",
        "lipschitz",
        "lipschitz-adversarial",
        "denoising",
        "denoising-adversarial",
    ),
    "main-1b": ("ibp-standard", "ibp"),
    "supplement-1": ("standard", "adversarial-0.15", "adversarial", "adversarial-20-steps"),
    "supplement-2": ("standard-fgsm", "targeted-fgsm"),
    "supplement-3": ("standard", "adversarial", "standard-l2", "l2"),
    "supplement-4": ("standard", "adversarial", "doubled-standard", "doubled-adversarial"),
}

AS_PUBLISHED = {  # of these the ledger has runs with the paper's own form
    "lipschitz": "lipschitz-squared",
    "lipschitz-adversarial": "lipschitz-squared-adversarial",
    "denoising": "denoising-published",
    "denoising-adversarial": "denoising-published-adversarial",
    "standard-fgsm": "random-aim",
    "targeted-fgsm": "random-aim-adversarial",
}


def lines(name):
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def of_condition(name):
    """What the page ought to show of a condition of the digits, by column, for each seed."""
    file, called = ("ledger", AS_PUBLISHED[name]) if name in AS_PUBLISHED else ("tables", name)
    runs = [line for line in lines(f"{file}-mnist-5k") if line["name"] == called]
    last = [run.get("second_metrics", run["metrics"]) for run in runs]  # under the row's own attack
    return {
        "Clean": [run["metrics"]["clean_accuracy"] for run in runs],
        "Adversarial": [metrics["adversarial_accuracy"] for metrics in last],
        "Backdoor": [run["metrics"]["backdoor_success_rate"] for run in runs],
        "Certified": [metrics.get("certified_accuracy") for metrics in last],
    }


def of_defense(labels, rate=None, trigger="sticker"):
    """The committed lines of digits whose network the paper's tables 3 look at, by what found the poison."""

    def wanted(line):
        spec = line["spec"]
        poison, attack = spec["poison"], spec["training"].get("attack")
        return (
            isinstance(poison, dict)
            and (poison["labels"], poison["trigger"]["kind"]) == (f"{labels}-label", trigger)
            and (rate is None or poison["rate"] == rate)
            and ((attack or {}).get("epsilon") == (0.3 if labels == "clean" else None))
        )

    return wanted


@pytest.fixture(scope="module")
def page():
    """The page, opened once; `page(table)` chooses a table and gives its rows."""
    app = opened("paper")

    def choose(table):
        app.selectbox(key="table").set_value(table).run()
        assert not app.exception
        (shown,) = app.dataframe
        return shown.value

    return choose


def published_cells(entry):
    return {
        f"{COLUMNS[name]}, paper": f"{entry[name]:.2f}" if name == "mean_deviation" else f"{entry[name]:.1f}%"
        for name in COLUMNS
        if entry.get(name) is not None
    }


@pytest.mark.parametrize("table", [*paper_tables.TABLES, "all"])
def test_every_published_number_stands_in_its_row(table, page):
    shown = page(table)
    numbers = [name for name in shown if name.endswith(", paper")]
    printed = shown[(shown[numbers] != "no such row").all(axis=1)]
    expected = [entry for entry in PUBLISHED if table in (entry["table"], "all")]
    place = list(paper_tables.TABLES).index
    expected.sort(key=lambda entry: (place(entry["table"]), ORDER.index(entry["dataset"])))
    assert list(printed["Data set"]) == [TITLES[entry["dataset"]] for entry in expected]
    for (_, row), entry in zip(printed.iterrows(), expected, strict=True):
        cells = {name: row[name] for name in numbers if row[name] not in ("", "–")}
        assert cells == published_cells(entry)


def as_shown(seeds):
    shares = [100 * seed for seed in seeds]
    return f"{fmean(shares):.1f}% ({min(shares):.1f}–{max(shares):.1f})"


@pytest.mark.parametrize("table", CONDITIONS)
def test_what_the_committed_runs_gave_stands_beside_it(table, page):
    shown = page(table)
    rows = shown[shown["Data set"] == "MNIST"]
    assert len(rows) == len(CONDITIONS[table])
    for (_, row), name in zip(rows.iterrows(), CONDITIONS[table], strict=True):
        expected = of_condition(name)
        columns = ["Clean", "Adversarial", "Backdoor", *(["Certified"] if "Certified, here" in shown else [])]
        for column in columns:
            assert len(expected[column]) == 3
            assert row[f"{column}, here"] == as_shown(expected[column]), (name, column)


@pytest.mark.parametrize(
    ("place", "labels", "rate"),
    [
        (0, "dirty", 0.05),
        (1, "dirty", 0.01),
        (2, "dirty", 0.005),
        (3, "clean", 0.5),
        (4, "clean", 0.1),
        (5, "clean", 0.05),
    ],
)
def test_what_detection_found_in_digits_stands_in_its_row(place, labels, rate, page):
    shown = page("main-3ab")
    row = shown[shown["Data set"] == "MNIST"].iloc[place]
    found = list(filter(of_defense(labels, rate), lines("detection-mnist-5k")))
    for column, method, key, value in (
        ("Spectral found", "spectral-signatures", "centred", True),
        ("Clustering found", "activation-clustering", "rule", "oracle"),
    ):
        seeds = [line["detection_rate"] for line in found if (line["method"], line[key]) == (method, value)]
        assert len(seeds) == 3
        assert row[f"{column}, here"] == as_shown(seeds)


@pytest.mark.parametrize(
    ("place", "trigger", "labels"),
    [(0, "sticker", "dirty"), (1, "sticker", "clean"), (2, "watermark", "dirty"), (3, "watermark", "clean")],
)
def test_what_neural_cleanse_unlearned_of_digits_stands_in_its_row(place, trigger, labels, page):
    shown = page("main-3c")
    row = shown[shown["Data set"] == "MNIST"].iloc[place]
    rate = 0.05 if labels == "dirty" else 0.5
    found = list(filter(of_defense(labels, rate, trigger), lines("neural-cleanse-mnist-5k")))
    found = [line for line in found if line.get("after")]
    assert len(found) == 3
    for when in ("before", "after"):
        assert row[f"Backdoor {when}, here"] == as_shown(
            [line[when]["backdoor_success_rate"] for line in found]
        )


def changes(table, dataset):
    """Backdoor success with a defense minus that without, as published, of the rows of a table that have both."""
    rows = [entry for entry in PUBLISHED if (entry["table"], entry["dataset"]) == (table, dataset)]
    return [row["backdoor_success_rate"] - rows[0]["backdoor_success_rate"] for row in rows[1:]]


def test_the_page_counts_the_rows_whose_sign_is_the_papers():
    """Of digits they are counted here; the page may know more, of photographs."""
    alike = known = 0
    for table in ("main-1a", "main-1b", "supplement-1", "supplement-2"):
        success = [fmean(of_condition(name)["Backdoor"]) for name in CONDITIONS[table]]
        for theirs, ours in zip(changes(table, "mnist"), success[1:], strict=True):
            known += 1
            alike += theirs * (ours - success[0]) > 0
    comparisons = [one for one in paper_tables.comparisons() if one.reproduced is not None]
    digits = [one for one in comparisons if one.row.dataset == "mnist"]
    assert (sum(bool(one.reproduced) for one in digits), len(digits)) == (alike, known)
    every = sum(bool(one.reproduced) for one in comparisons)
    assert f"In **{every} of {len(comparisons)}** backdoor success moves the way" in everything_said(
        opened("paper")
    )


def test_a_row_without_ours_says_why(page):
    shown = page("all")
    remark = shown["Ours differs in, or why there is none"]
    nothing = (shown.filter(like=", here") == "not measured yet").any(axis=1)
    assert nothing.sum() == sum(one.later + one.never for one in agreement.covered())
    assert remark[nothing].str.match("Not (trained|measured) yet: |Not to be had: ").all()


def test_the_coverage_is_said():
    here = sum(one.here for one in agreement.covered())
    assert f"**{here} of 85** published rows have ours beside them: MNIST 14 of 14" in everything_said(
        opened("paper", part=NEARNESS)
    )


def test_the_ledger_has_a_row_for_each_departure():
    app = opened("paper", part="What we do otherwise")
    (departures,) = app.dataframe
    assert len(departures.value) == len(ledger.entries())
    assert "Trained twice" in everything_said(app)


def test_an_unknown_part_is_the_first():
    app = opened("paper", part="no such part")
    assert not app.exception
    assert app.selectbox(key="table").value == "main-1a"


ROW = "main-1a: mnist, adversarial training"


def test_a_clicked_point_opens_its_run():
    app = opened("paper", part=NEARNESS)
    assert not app.info
    sent(app, FIGURE, string_value=json.dumps({"selection": {"points": [{"customdata": ROW}]}}))
    assert not app.exception
    assert app.query_params["row"] == ROW
    told = app.info[0].value
    assert told.startswith("Main table 1a, MNIST, adversarial training: backdoor 67.2% published, 91.1% here")
    assert "Ours differs: 7 steps of the training attack" in told
    assert ("It is now model B" in told) == (app.session_state["B"] == "mnist-5k-clean-label-pgd-0.3")
    again = opened("paper", row=ROW)
    assert again.info[0].value == told


@pytest.mark.parametrize("row", ["", "no such row", "main-1a: cifar10, cross-Lipschitz\x00", "x" * 5000])
def test_an_unknown_row_opens_nothing(row):
    app = opened("paper", row=row)
    assert not app.exception
    assert not app.info


def test_a_verdict_without_results_says_so():
    assert (
        verdict_line(Verdict("cifar10", 0, 0, 0, (), None)) == "- **CIFAR-10**: no defense is measured yet."
    )
    assert verdict_line(Verdict("mnist", 10, 9, 10, (), 0.212)) == (
        "- **MNIST**: backdoor success moves the paper's way in 10 of 10 rows, in 9 of these with every seed. For half of all "
        "its rows it is within 21 points of the published number."
    )
