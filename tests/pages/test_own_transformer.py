"""A transformer of one's own on every page that has networks: shown, or refused in one sentence."""

from dataclasses import replace

import pytest

from pages.components import cache
from pages.components.words import methods
from tests.opening import PAGES, everything_said, opened
from tradeoff_core.browser import playground
from tradeoff_core.experiments.run import run_experiment
from tradeoff_core.explanations.attribution import Method
from tradeoff_core.models.compared import Compared, describe
from tradeoff_core.models.zoo import Model, find_model

ON_NETWORKS = [page for page in PAGES if page not in ("paper", "glossary", "train", "photograph")]


@pytest.fixture(scope="module")
def runs(tiny_spec, tmp_path_factory):
    """A folder of runs with one transformer that has hardly learned."""
    folder = tmp_path_factory.mktemp("transformers")
    training = replace(tiny_spec.training, epochs=1)
    spec = replace(tiny_spec, network="mnist-vit", width=0.05, images=200, training=training)
    run_experiment(spec, folder / spec.id)
    return folder


@pytest.fixture
def model(runs, runs_at) -> Model:
    runs_at(runs)
    return find_model(str(next(runs.iterdir())))


@pytest.mark.parametrize("page", ON_NETWORKS)
def test_every_page_takes_it(page, model):
    app = opened(page, B=describe(model), suspect=describe(model))
    assert not app.exception
    assert not app.error


def test_it_is_called_a_transformer(model):
    assert describe(model).startswith("Standard with a transformer, clean-label, yours ")


def test_rollout_is_drawn_of_it_and_of_no_other_network(model):
    app = opened("saliency", B=describe(model), method=methods.METHODS[Method.ATTENTION_ROLLOUT].title)
    assert not app.exception
    (refused,) = [one.value for one in app.info if "is not drawn for this network" in one.value]
    assert refused == (
        "Attention-rollout is not drawn for this network: it is none of the vision transformers that are built here. "
        "Choose another method for it."
    )
    maps, _ = cache.attributions(model, 0, Method.ATTENTION_ROLLOUT, "target")
    assert maps.shape == (3, 1, 28, 28)
    said = everything_said(app)
    assert "Of all that is taken in, **" in said
    assert "speaks for the back door" not in said
    assert any("white is the patch of which least is" in one.value for one in app.caption)


def test_a_browser_is_told_that_it_does_not_run_there(model):
    sent = playground.network_of(Compared("B", model), cache.network(model))
    assert sent["chain"] is None
    assert "a transformer) is too much for it" in sent["why"]
