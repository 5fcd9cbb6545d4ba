"""The removals and the reopening curves as data: what the lines say, and what they come to."""

import json
from dataclasses import replace

import pytest

from tradeoff_core.common.paths import RESULTS
from tradeoff_core.findings.removal import removals, reopenings
from tradeoff_core.rates import Rate


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (RESULTS / f"{name}-mnist-5k.jsonl").read_text().splitlines()]


def test_a_removal_is_its_line():
    found, written = removals("mnist-5k"), lines("removal")
    assert len(found) == len(written)
    for one, line in zip(found, written, strict=True):
        assert (one.model, one.method, one.images) == (line["model"], line["method"], line["images"])
        for rates, when in ((one.before, "before"), (one.after, "after")):
            assert rates["clean_accuracy"].value == pytest.approx(line[when]["clean_accuracy"])
            assert rates["backdoor_success_rate"].n == line[when]["backdoor_n"]
        assert (one.isolated is None) == (one.method != "abl")


def test_a_curve_is_its_line_and_the_control_was_never_poisoned():
    found, written = reopenings("mnist-5k"), lines("reopening")
    for one, line in zip(found, written, strict=True):
        assert [[rate.count, rate.n] for rate in one.success] == line["success"]
        assert [[rate.count, rate.n] for rate in one.clean] == line["clean"]
        assert one.is_control == ("no-poison" in one.model)


def test_the_fewest_poisoned_images_that_open_a_door():
    one = replace(
        reopenings("mnist-5k")[0], counts=(0, 2, 5), success=(Rate(1, 10), Rate(5, 10), Rate(4, 10))
    )
    assert [one.needed(success) for success in (0.1, 0.5, 0.51)] == [0, 2, None]
    assert one.needed() == 2
