"""The Paper page's ledger: its words and numbers, with results and without."""

from dataclasses import replace

from pages.components.departures import ledger_sentence, ledger_table
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.findings.ledger import DEPARTURES, Entry
from tradeoff_core.findings.results import Run
from tradeoff_core.rates import Rate


def a_run(seed: int, adversarial: int, backdoor: int) -> Run:
    spec = replace(PRESETS["standard"], seed=seed)
    return Run(spec.id, spec, Rate(980, 1000), Rate(adversarial, 1000), Rate(backdoor, 1000))


MEASURED = Entry(
    DEPARTURES[0],
    "denoising",
    (a_run(0, 100, 300), a_run(1, 200, 500)),
    (a_run(0, 50, 100), a_run(1, 150, 140)),
)
WAITING = Entry(DEPARTURES[1], "lipschitz", (a_run(0, 0, 0),), ())
WITHOUT = Entry(DEPARTURES[-1], "", (), ())


def test_the_table_shows_the_means_of_both_ways_or_says_why_not():
    table = ledger_table([MEASURED, WAITING, WITHOUT])
    assert table["Adversarial"].tolist() == [
        "15.0% (10–20) → 10.0% (5–15)",
        "not measured yet",
        "digits have one channel",
    ]
    assert table["Backdoor"].tolist()[0] == "40.0% (30–50) → 12.0% (10–14)"
    assert table["Seeds"].tolist() == ["2", "–", "–"]
    assert table["Network"].tolist() == ["denoising", "lipschitz", "–"]
    assert table["What"].tolist()[0] == "Denoising block"


def test_the_sentence_names_what_moves_the_most():
    less = Entry(DEPARTURES[2], "adversarial", (a_run(0, 0, 100),), (a_run(0, 0, 120),))
    assert ledger_sentence([less, MEASURED, WAITING]) == (
        "2 of 3 are measured. The paper's way moves backdoor success the most for **denoising block** (denoising): "
        "by −28 points."
    )
    assert ledger_sentence([WAITING]) == "None of these departures is measured yet."
