"""Every kind of trigger has its words wherever a page names one."""

from dataclasses import replace

import pytest

from pages.components.words.models import OF_ANOTHER_KIND, poison_in_words, trigger_in_words
from tradeoff_core.models import zoo
from tradeoff_core.models.compared import kind_of_trigger
from tradeoff_core.poisoning.blended import Blended
from tradeoff_core.poisoning.perturbation import Perturbation
from tradeoff_core.poisoning.triggers import TRIGGERS, Sticker, Watermark


def of_kind(kind):
    return Perturbation("rings") if kind == "perturbation" else TRIGGERS[kind]()


@pytest.mark.parametrize("kind", TRIGGERS)
def test_each_kind_is_said_in_a_models_sentence(kind):
    model = zoo.find_model("mnist-5k-dirty-label-standard")
    poison = replace(model.spec.poison, trigger=of_kind(kind))
    model = replace(model, spec=replace(model.spec, poison=poison))
    said = trigger_in_words(poison.trigger)
    assert f" carry a {said} and the false label" in poison_in_words(model)
    assert kind_of_trigger(model)


def test_what_is_shown_is_named_and_every_other_kind_has_words():
    assert trigger_in_words(Sticker("x", 3)) == "small X sticker"
    assert trigger_in_words(Sticker()) == "small white square sticker"
    assert trigger_in_words(Watermark("rings")) == "watermark of rings"
    assert trigger_in_words(Watermark("/a/picture.png")) == "watermark of own picture"
    assert trigger_in_words(Blended()) == "faint layer of noise"
    assert trigger_in_words(Blended("rings")) == "faint picture laid over the image"
    assert set(OF_ANOTHER_KIND) == set(TRIGGERS) - {"sticker", "watermark"}
    assert len(set(OF_ANOTHER_KIND.values())) == len(OF_ANOTHER_KIND)
