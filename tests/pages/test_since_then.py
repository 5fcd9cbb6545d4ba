"""What came since 2018, on the pages: detectors, removals, reopening, theories, and what is foretold, as their files have them."""

import json

import pytest
from opening import everything_said, opened

from pages.components.words import since_then as words
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.defenses.finding import Finder
from tradeoff_core.defenses.removal.applied import Removal
from tradeoff_core.findings import certificates, removal
from tradeoff_core.findings.detectors import Found
from tradeoff_core.models import zoo

HARDENED = "Adversarial ε 0.3, clean-label"
SHA = zoo.find_model("mnist-5k-clean-label-pgd-0.3").sha256


def lines(name):
    found = [json.loads(line) for line in (RESULTS / f"{name}-mnist-5k.jsonl").read_text().splitlines()]
    return [line for line in found if line["sha256"] == SHA]


def test_spectral_signatures_shows_every_detector_beside_chance():
    app = opened("spectral_signatures", suspect=HARDENED)
    assert not app.exception
    best = max(
        (line for line in lines("finding") if line["when"] == "training"),
        key=lambda line: line["detection_rate"],
    )
    said = everything_said(app)
    assert f"**{words.FINDERS[best['finder']]}**" in said
    assert f"most: **{best['detection_rate']:.0%}** of the 180 poisoned images (chance 50%)" in said
    assert "No better than luck: Spectral signatures (2018)" in said


def test_neural_cleanse_shows_every_removal_and_how_soon_it_is_back():
    app = opened("neural_cleanse", suspect=HARDENED)
    assert "Other ways to close it" not in {one.value for one in app.header}  # drawn when it is opened
    app.session_state["removals"] = True
    app.run()
    assert not app.exception
    measured = lines("removal")
    assert len(measured) == len(Removal)
    best = min(measured, key=lambda line: line["after"]["backdoor_success_rate"])
    assert f"**{words.METHODS[best['method']]}**" in everything_said(app)
    table = app.table[-1].value
    for line in measured:
        before, after = (line[when]["backdoor_success_rate"] for when in ("before", "after"))
        assert table.loc[words.METHODS[line["method"]], "backdoor success"] == f"{before:.0%} → {after:.0%}"
    assert "At 50% or more without any poisoned image: as it is, " in everything_said(app)


@pytest.mark.parametrize("page", ["spectral_signatures", "neural_cleanse"])
def test_where_nothing_is_measured_nothing_is_said(page):
    app = opened(page, data="CIFAR-10", suspect="Standard, dirty-label")
    assert not app.exception
    assert not {"What do other detectors find?", "Other ways to close it"} & {one.value for one in app.header}


def test_every_detector_and_removal_has_a_name():
    assert set(words.FINDERS) == {one.value for one in Finder}
    assert set(words.METHODS) == {one.value for one in Removal} | {"none", "neural-cleanse"}


def a_find(finder, rate, chance=0.5):
    return Found("run", "sha", None, finder, "training", 360, 180, rate, chance, rate)


def test_luck_is_called_luck():
    assert words.best_finder([a_find("strip", 0.52), a_find("spectre", 0.3)]) == (
        "None of the 2 does better than luck (chance 50%)."
    )
    worse = words.best_finder([a_find("strip", 0.9), a_find("spectre", 0.3)])
    assert worse.endswith("Worse than luck, as if it took the clean for the poison: SPECTRE (2021).")
    assert words.best_finder([a_find("strip", 0.9), a_find("asset", 0.9)]).startswith(
        "**STRIP (2019)** and **ASSET (2023)** find most: **90%**"
    )
    assert words.best_finder([a_find("strip", 0.9), a_find("spectre", 0.55), a_find("asset", 0.7)]) == (
        "**STRIP (2019)** finds most: **90%** of the 180 poisoned images (chance 50%). No better than luck: SPECTRE (2021)."
    )


def test_how_soon_it_is_back_is_the_first_count_that_reaches_a_half():
    every = [one for one in removal.reopenings("mnist-5k") if one.sha256 == SHA]
    for one in every:
        reached = [
            count for count, rate in zip(one.counts, one.success, strict=True) if rate.count / rate.n >= 0.5
        ]
        assert one.needed() == (reached[0] if reached else None)


def test_the_maps_say_how_often_each_theory_is_right():
    said = everything_said(opened("tradeoff", part="Where it turns"))
    assert (
        "Of 26 cells of both maps that moved beyond chance, the first is right about **23**, the second about **23**"
        in said
    )


def test_whether_poison_is_easier_to_find_is_over_the_pairs_that_both_have():
    standard = {("warp", "strip"): a_find("strip", 0.5), ("warp", "asset"): a_find("asset", 0.9)}
    robust = {("warp", "strip"): a_find("strip", 0.8), ("warp", "spectre"): a_find("spectre", 0.0)}
    assert words.easier(standard, robust) == (
        "After adversarial training poison is **easier** to find: mean AUROC 0.50 → **0.80** over 1 pair of poison and "
        "detector, one seed; 1 rises by more than 0.05, 0 fall by more than that."
    )
    assert "**harder**" in words.easier(robust, standard)
    assert words.easier(standard, {}) == ""


def test_both_certificates_are_said_and_drawn_as_they_were_measured():
    app = opened("tradeoff", part="Proofs")
    (bounds,) = [json.loads(line) for line in (RESULTS / "bounds-mnist-5k.jsonl").read_text().splitlines()]
    votes = [json.loads(line) for line in (RESULTS / "partition-mnist-5k.jsonl").read_text().splitlines()]
    best = max(votes, key=lambda line: sum(count >= line["n"] / 2 for count in line["certified"]))
    half = max(at for at, count in enumerate(best["certified"]) if count >= best["n"] / 2)
    said = everything_said(app)
    assert f"provably reads **{bounds['certified'][-1] / bounds['n']:.0%}** of the test digits" in said
    assert (
        f"A vote of {best['parts']} networks reads **{best['certified'][0] / best['n']:.0%}** right" in said
    )
    assert (
        f"after any **{half}** training images are added, removed or relabelled, or any **{half // 2}** are changed"
        in said
    )


def test_what_is_certified_never_grows_with_what_is_allowed():
    for one in (*certificates.over_epsilon("mnist-5k"), *certificates.over_poison("mnist-5k")):
        counts = [rate.count for rate in one.accuracy]
        assert counts == sorted(counts, reverse=True)
        assert list(one.at) == sorted(one.at)
