"""The class's marks in a real browser: codes are counted there, beside what chance expects."""

import re

import numpy as np
import pytest
from browsing import opened, settle
from playwright.sync_api import expect

from tradeoff_core.findings.game import DEALT, Game, levels_of

pytestmark = pytest.mark.browser


def test_everybodys_codes_are_counted_against_chance_without_the_server(browser, address):
    level = levels_of("mnist-5k")[0]
    truth = level.poisoned[Game().hand(0, level)]
    right, none = np.flatnonzero(truth), np.flatnonzero(~truth)
    one = Game(answers={0: tuple(right)})
    other = Game(answers={0: tuple(none[:4])})
    sent: list = []
    page = opened(browser, address, f"find_the_poison?marks={one.written()}", sent=sent)
    page.get_by_text("The whole class", exact=True).click()
    settle(page)
    expect(page.locator("code", has_text=one.code(0))).to_have_count(1)
    field, asked = page.locator(".classroom textarea"), len(sent)
    expect(field).to_have_value(one.code(0))
    field.fill(f"Ada {one.code(0)}\n{other.code(0)}\nBob 7.0.1\nAda {other.code(0)}\nEve {one.code(0)}")
    scores = [
        truth.sum() + (~truth).sum() if game is one else (~truth).sum() - 4 for game in (other, other, one)
    ]
    chances = [
        share * truth.sum() + (1 - share) * (~truth).sum()
        for share in (4 / DEALT, 4 / DEALT, truth.mean())  # as the game's own scores have it
    ]
    said = page.locator(".classroom .sentence").inner_text()
    assert said.startswith(f"3 people are right about {np.mean(scores):.1f} of {DEALT} on average")
    assert f"chance is about {np.mean(chances):.1f}." in said
    better = sum(score > chance for score, chance in zip(scores, chances, strict=True))
    assert f"{better} of 3 did better than chance" in said
    assert said.endswith(f"is right about {scores[0]}.")  # two of three marked the same four
    expect(page.locator(".classroom .refused")).to_contain_text("Bob 7.0.1")
    counts = [
        int(text)
        for text in page.locator(".classroom rect ~ text").all_text_contents()
        if re.fullmatch(r"\d+", text)
    ]
    assert {1, 2} <= set(counts)
    assert len(sent) == asked
    page.close()
