"""Addresses that people keep: one or more a page with all its parameters, and the values that they restore."""

import pytest
from opening import PAGES, opened

from pages.components.training import Cost
from tradeoff_core.models import zoo

A, B = "mnist-5k-no-poison-standard", "mnist-5k-dirty-label-standard"
MODELS = {"A": "Standard, no poison", "B": "Standard, dirty-label"}
RESTORED = {"A": A, "B": B}
SUSPECT = {"suspect": "Adversarial ε 0.3, clean-label"}
ADVERSARIAL = {"suspect": "mnist-5k-clean-label-pgd-0.3"}
# page, address, what its controls hold, by their key
ADDRESSES = [
    ("overview", {"data": "Digits", **MODELS}, RESTORED),
    (
        "tradeoff",
        {**MODELS, "conditions": "targeted FGSM", "seeds": "1", "published": "false"},
        {**RESTORED, "conditions": ["targeted-fgsm"], "seeds": [1], "published": False},
    ),
    (
        "paper",
        {"table": "Supplement table 2: single-step targeted FGSM"},
        {"table": "supplement-2"},
    ),
    ("playground", MODELS, RESTORED),
    ("glossary", {"term": "clean-label"}, {"term": "clean-label"}),
    (
        "train",
        {
            "epsilon-fast": "0.15",
            "epochs-fast": "7",
            "seed-fast": "3",
            "poison-fast": "dirty-label",
            "rate-dirty-label-fast": "12",
            "sticker-fast": "checkerboard",
            "sticker-size-fast": "6",
            "target-class-fast": "2",
        },
        {
            "epsilon-fast": 0.15,
            "epochs-fast": 7,
            "seed-fast": 3,
            "poison-fast": "dirty-label",
            "rate-dirty-label-fast": 12,
            "sticker-fast": "checkerboard",
            "sticker-size-fast": 6,
            "target-class-fast": 2,
        },
    ),
    ("train", {"preset": "adversarial, as in the paper"}, {"preset": "paper", "epochs-paper": 100}),
    ("runs", {"search": "pgd", "states": "shipped"}, {"search": "pgd", "states": ["shipped"]}),
    (
        "saliency",
        {
            **MODELS,
            "method": "SmoothGrad",
            "which": "the true class",
            "image": "3",
            "opacity-of-map": "60",
            "outline": "false",
        },
        {
            **RESTORED,
            "method": "smoothgrad",
            "which": "true",
            "image": 3,
            "opacity-of-map": 60,
            "outline": False,
        },
    ),
    (
        "features",
        {**MODELS, "layout": "principal components", "three-features": "true"},
        {**RESTORED, "layout": False, "three-features": True},
    ),
    (
        "stickers",
        {
            **MODELS,
            "pattern": "checkerboard",
            "size": "5",
            "bottom": "10",
            "right": "4",
            "opacity": "0.6",
        },
        {
            **RESTORED,
            "pattern": "checkerboard",
            "size": 5,
            "bottom": 10,
            "right": 4,
            "opacity": 0.6,
        },
    ),
    (
        "perturbations",
        {
            **MODELS,
            "norm": "l2 (all pixels together)",
            "steps": "5",
            "target": "3",
            "set": "2",
            "certified": "true",
            "count": "50",
        },
        {
            **RESTORED,
            "norm": "l2",
            "steps": 5,
            "target": "3",
            "set": 2,
            "certified": True,
            "count": 50,
        },
    ),
    (
        "photograph",
        {
            **MODELS,
            "photograph-sample": "3: beaker",
            "photograph-epsilon": "4",
            "stamped-pattern": "x",
            "stamped-size": "40",
        },
        {"photograph-sample": 2, "photograph-epsilon": 4, "stamped-pattern": "x", "stamped-size": 40},
    ),
    (
        "spectral_signatures",
        {
            **SUSPECT,
            "class": "3",
            "layer": "conv2",
            "scored": "Weng et al.'s code",
            "remove": "20",
            "truth": "true",
            "scores-tool": "Drag over a range",
        },
        {
            **ADVERSARIAL,
            "class": "3",
            "layer": "conv2",
            "scored": "Weng et al.'s code",
            "remove": 20,
            "truth": True,
            "scores-tool": "select",
        },
    ),
    (
        "activation_clustering",
        {
            **SUSPECT,
            "class": "7",
            "reduction": "principal",
            "dimensions": "4",
            "rule": "silhouette",
            "truth": "true",
            "three": "true",
        },
        {
            **ADVERSARIAL,
            "class": "7",
            "reduction": "pca",
            "dimensions": 4,
            "rule": "silhouette",
            "truth": True,
            "three": True,
        },
    ),
    ("neural_cleanse", SUSPECT, ADVERSARIAL),
    (
        "inspect_examples",
        {**SUSPECT, "class": "3", "layer": "conv2", "review": "second", "truth": "true", "view": "loss.up"},
        {**ADVERSARIAL, "class": "3", "layer": "conv2", "review": "second", "truth": True},
    ),
    ("find_the_poison", {"marks": "0.1.21_2.3.0", "level": "3"}, {"level": 2}),
]


def test_every_page_has_an_address():
    assert {page for page, _, _ in ADDRESSES} == set(PAGES)
    assert {A, B, ADVERSARIAL["suspect"]} <= set(zoo.model_ids())


@pytest.mark.parametrize(
    ("page", "address", "values"), ADDRESSES, ids=[f"{page}-{len(query)}" for page, query, _ in ADDRESSES]
)
def test_an_address_restores_every_control(page, address, values, monkeypatch):
    monkeypatch.setattr("pages.components.training.cost_of", lambda _: Cost(1.0, 0.0, 1000.0))
    app = opened(page, **address)
    assert not app.exception
    assert not app.error
    assert {key: app.session_state[key] for key in values} == values
    if page == "find_the_poison":
        assert app.query_params["marks"] == address["marks"]
