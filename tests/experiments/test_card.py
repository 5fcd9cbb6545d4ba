"""Cards: every shipped one is read and written as it stands, and what is damaged is one sentence."""

import json

import pytest

from tradeoff_core.common.paths import MODELS
from tradeoff_core.experiments.card import card_from, read_card, write_card
from tradeoff_core.rates import rate

CARDS = sorted(MODELS.glob("*/card.json"))


@pytest.mark.parametrize("path", CARDS, ids=[path.parent.name for path in CARDS])
def test_every_shipped_card_is_read_and_written_as_it_stands(path, tmp_path):
    document = json.loads(path.read_text())
    card = read_card(path, path.parent.name)
    write_card(tmp_path / "card.json", card)
    assert json.loads((tmp_path / "card.json").read_text()) == document
    assert card.further == {}
    assert card.metrics["clean_accuracy"] == document["metrics"]["clean_accuracy"]


@pytest.fixture
def document(finished_run):
    return json.loads((finished_run / "card.json").read_text())


def test_what_another_version_added_is_kept(document):
    more = document | {"colour": {"red": 1}, "metrics": document["metrics"] | {"l2_accuracy": 0.5}}
    card = card_from(more)
    assert card.further == {"colour": {"red": 1}}
    assert json.loads(json.dumps(card.document())) == more


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": {"clean_accuracy": {}}}, "metrics.n is missing"),
        ({"metrics": {"clean_accuracy": "0.9"}}, "metrics.n is missing"),
        ({"metrics": []}, "metrics must be a table of fields, not '[]'"),
        ({"spec": "none"}, "spec must be a table of fields, not 'none'"),
        ({"classes": ["a"] * 1_000_000}, "classes has 1,000,000 entries: choose from 2 to 100,000"),
        ({"classes": ["a", 3]}, "classes must be a text, not '3'"),
        ({"sha256": "../../../etc"}, "sha256 is no checksum of 64 hexadecimal digits"),
        ({"schema_version": 2}, "it has version 2; this program reads 1"),
        ({"bytes": -1}, "bytes -1 is out of range: it must be a whole number from 0"),
        ({"stronger": {"sha256": "a", "subset": "b"}}, "stronger.pgd_accuracy is missing"),
    ],
)
def test_a_damaged_card_is_one_sentence(change, said, document, refused):
    with refused(f"^{said.replace('[', '.').replace(']', '.')}$"):
        card_from(document | change)


@pytest.mark.parametrize("wrong", [{}, "0.9", 1.5, -0.1, True, None, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["clean_accuracy", "adversarial_accuracy", "certified_accuracy"])
def test_a_metric_that_is_no_share_is_named(name, wrong, document, refused):
    with refused(rf"^(metrics\.)?{name} (must be a number, not|.* is out of range: a share from 0 to 1)"):
        card_from(document | {"metrics": document["metrics"] | {name: wrong}})


def test_backdoor_success_of_no_images_is_none(document):
    for none in (None, float("nan")):
        card = card_from(
            document | {"metrics": document["metrics"] | {"backdoor_success_rate": none, "backdoor_n": 0}}
        )
        assert card.metrics["backdoor_success_rate"] is None


def test_a_rate_that_is_none_is_one_of_no_images_whatever_its_n_says(document):
    metrics = document["metrics"] | {"backdoor_success_rate": None, "backdoor_n": 5}
    assert rate(card_from(document | {"metrics": metrics}).metrics, "backdoor_success_rate").n == 0


def test_a_count_beyond_any_is_refused(document, refused):
    with refused("^n 1000.*[.]{3} is out of range: it must be a whole number from 0$"):
        card_from(document | {"metrics": document["metrics"] | {"n": 10**400}})
