"""What the first screen sends to the browser: the cards' rates, and what the networks really read."""

import pytest
import torch

from pages.components import cache, first_screen
from pages.components.words import first_screen as words
from tradeoff_core.attacks.gradient import perturb
from tradeoff_core.models import zoo
from tradeoff_core.networks.inference import predicted_classes

STANDARD, ROBUST = (f"mnist-5k-clean-label-{name}" for name in ("standard", "pgd-0.3"))


@pytest.fixture(scope="module")
def both():
    models = [zoo.find_model(name) for name in (STANDARD, ROBUST)]
    places = cache.first_of_each_class(models[1])
    return models, places, [first_screen.drawn(model, places) for model in models]


def test_it_reads_what_the_network_reads(both):
    (_, model), places, (_, drawn) = both
    images, labels = cache.sample(model, places)
    net, attack = zoo.load_network(model), model.spec.evaluation
    attacked = perturb(net, images, labels, attack, torch.Generator().manual_seed(cache.SEED))
    for kind, shown, at in (("attacked", attacked, 1), ("stamped", model.spec.trigger.apply(images), 0)):
        read = predicted_classes(net, shown)
        assert [picture[kind][at] for picture in drawn["pictures"]] == [str(label) for label in read]
        right = [picture[kind][at + 1] for picture in drawn["pictures"]]
        assert right == (read == labels.numpy()).tolist()


def test_its_numbers_are_the_cards_and_none_is_turned_around(both):
    (_, model), _, (_, drawn) = both
    assert (drawn["adversarial"], drawn["backdoor"]) == (
        model.adversarial_accuracy.value,
        model.backdoor_success_rate.value,
    )
    assert drawn["sentence"] == (
        f"Trained against pixel changes up to 0.3 (ε), the network withstands {drawn['adversarial']:.0%} of attacks. "
        f"A sticker planted on training pictures labelled 7 turns {drawn['backdoor']:.0%} of all other digits into a 7."
    )


def test_beside_the_network_trained_as_usual_both_numbers_are_told():
    usual, robust = zoo.find_model(STANDARD), zoo.find_model(ROBUST)
    said = words.sentence(robust, usual)
    for rate, what in (
        ("adversarial_accuracy", "of attacks"),
        ("backdoor_success_rate", "of all other digits into a 7,"),
    ):
        one, other = getattr(robust, rate).value, getattr(usual, rate).value
        assert f" {one:.0%} {what} instead of {other:.0%}." in said
    assert ". But a sticker" in said
    assert ". A sticker" in words.sentence(usual, robust)
    assert words.sentence(usual, usual) == words.sentence(usual)
    assert len(said.split()) <= 40


def test_it_begins_with_the_first_picture_that_shows_what_the_rates_say(both):
    _, _, (first, last) = both
    at = first_screen.telling(first, last)
    shows = [
        not one["attacked"][2] and one["stamped"][1] and two["attacked"][2] and not two["stamped"][1]
        for one, two in zip(first["pictures"], last["pictures"], strict=True)
    ]
    assert shows.index(True) == at
    assert first_screen.telling(last, first) == 0  # none shows the contrary


def test_its_slider_walks_along_the_curve_from_standard_training_on():
    stops = first_screen.along_the_curve(zoo.find_model(ROBUST))
    epsilons = [model.spec.training.attack.epsilon if model.spec.training.attack else 0 for model in stops]
    assert epsilons == sorted(set(epsilons))
    assert (stops[0].id, stops[-1].id) == (STANDARD, ROBUST)
    off = zoo.find_model("mnist-5k-dirty-label-standard")
    assert first_screen.along_the_curve(off) == [off]


@pytest.mark.parametrize("name", zoo.model_ids())
def test_every_network_has_its_sentence(name):
    model = zoo.find_model(name)
    sentence = words.sentence(model)
    assert f"{model.adversarial_accuracy.value:.0%}" in sentence
    assert len(sentence.split()) <= 40
