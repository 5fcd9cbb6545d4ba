"""The triggers that are no sticker, on Stickers: what the networks read is what they answer, whatever kind is chosen."""

import base64
import io
import json
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from opening import everything_said, opened
from PIL import Image

from pages.components import other_triggers
from pages.components.words.poisons import OF_A_KIND
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.poisons import POISONS
from tradeoff_core.models import zoo
from tradeoff_core.networks.inference import predict

PART = {"part": "Other triggers"}
MARKED = "Standard, dirty-label watermark"
NAMES = {
    "A": "mnist-5k-clean-label-standard",
    "B": "mnist-5k-clean-label-pgd-0.3",
    MARKED: "mnist-5k-dirty-label-watermark-standard",
}


def captions(app):
    """Under each digit's pictures, from top to bottom: what is read before and after, and nothing under what changed."""
    return [image.proto.imgs[0].caption for image in app.get("image")]


def read(name, trigger):
    images, labels = load_dataset("mnist-5k", Split.TEST).tensors()
    network = zoo.load_network(zoo.find_model(name))
    before, after = (predict(network, some).argmax(1) for some in (images, trigger.apply(images)))
    return labels, before, after


@pytest.mark.parametrize(
    ("kind", "strength"),
    [("blended", 0.5), ("sinusoid", 0.6), ("warp", 4.0), ("perturbation", 0.4), ("watermark", 0.5)],
)
def test_what_is_said_is_what_the_networks_read(kind, strength):
    field = other_triggers.STRENGTHS[kind].field
    trigger = replace(other_triggers.OF_DIGITS[kind], **{field: strength})
    app = opened(
        "stickers",
        **PART,
        trigger=other_triggers.TITLES[kind],
        **{f"{kind}-strength": str(strength)},
    )
    assert not app.exception
    told, under = everything_said(app).split("\n")[0], captions(app)
    for letter in "AB":
        labels, before, after = read(NAMES[letter], trigger)
        success = (after[before != 7] == 7).float().mean()
        assert f"**{success:.0%}**" in told.partition(f"or {letter} (")[2]
        firsts = [int(np.flatnonzero(labels == digit)[0]) for digit in (*range(7), 8, 9)]
        for number, place in enumerate(firsts):
            for answer, caption in zip((before, after), under[3 * number :], strict=False):
                right = answer[place] == labels[place]
                said = f"{answer[place]}" if right else f"**{answer[place]} ✗**"
                assert f"{letter}: {said}" in caption.split(" · ")
    assert under[2::3] == [""] * 9


def test_a_network_that_learned_it_is_said_to_have():
    app = opened("stickers", **PART, A=MARKED, trigger=other_triggers.TITLES["watermark"])
    said = everything_said(app)
    assert "A learned this trigger, at an amplitude of 0.5." in said
    assert "B learned" not in said
    _, before, after = read(NAMES[MARKED], other_triggers.OF_DIGITS["watermark"])
    assert "into a 7, for B" in said
    assert f"**{(after[before != 7] == 7).float().mean():.0%}**" in said.split("\n")[0]


@pytest.mark.parametrize("kind", OF_A_KIND)
def test_what_becomes_of_who_learns_it_is_as_measured(kind):
    name = OF_A_KIND[kind]
    assert POISONS[name].trigger == other_triggers.OF_DIGITS[kind]
    found = [json.loads(line) for line in (RESULTS / "poisons-mnist-5k.jsonl").read_text().splitlines()]
    said = everything_said(opened("stickers", **PART, trigger=other_triggers.TITLES[kind]))
    assert "Neither network learned this trigger." in said
    standard, robust = {}, {}
    for line in found:
        training, attack = line["spec"]["training"], line["spec"]["training"].get("attack", {})
        if line["name"] == name and not attack:
            standard[line["spec"]["seed"]] = line["metrics"]["backdoor_success_rate"]
        if (
            line["name"] == name
            and attack.get("epsilon") == 0.3
            and not {"trades", "patch"} & {*training, *attack}
        ):
            robust[line["spec"]["seed"]] = line["metrics"]["backdoor_success_rate"]
    if robust:
        assert f"is **{fmean(standard[seed] for seed in robust):.0%}** with standard training" in said
        assert f"**{fmean(robust.values()):.0%}** with adversarial ε 0.3 training" in said
    else:
        assert f"is **{fmean(standard.values()):.0%}** with standard training" in said
        assert "with robust training it is not measured yet" in said


def test_the_stickers_of_an_older_address_are_kept_beside_them():
    app = opened("stickers", **PART, pattern="smiley", size="5")
    assert not app.get("plotly_chart")  # the stickers' part is closed
    assert (app.session_state["pattern"], app.session_state["size"]) == ("smiley", 5)
    usual = opened("stickers", pattern="smiley")
    assert usual.get("plotly_chart")
    assert "this sticker turns" in everything_said(usual)


def test_no_pattern_was_optimised_for_photographs():
    app = opened("stickers", **PART, data="CIFAR-10")
    assert not app.exception
    assert other_triggers.TITLES["perturbation"] not in app.selectbox(key="trigger-photographs").options
    assert "After learning it" not in everything_said(app)  # nothing is measured there


def test_the_pictures_are_before_after_and_twice_what_changed():
    app = opened("stickers", **PART, trigger=other_triggers.TITLES["sinusoid"])
    images, labels = load_dataset("mnist-5k", Split.TEST).tensors()
    three = images[labels == 3][:1]
    after = other_triggers.OF_DIGITS["sinusoid"].apply(three)
    shown = [image.proto.imgs[0].url for image in app.get("image")][9:12]
    for url, picture in zip(shown, (three, after, (0.5 + 2 * (after - three)).clamp(0, 1)), strict=True):
        drawn = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L")
        side, edge = np.asarray(drawn), 8  # a gap and a grey line, four pixels each
        np.testing.assert_array_equal(
            side[edge:-edge:4, edge:-edge:4], (picture[0, 0] * 255).round().byte().numpy()
        )
