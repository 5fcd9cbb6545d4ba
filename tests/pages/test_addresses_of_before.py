"""Addresses that were shared before: each restores what commit 2737aa0 restored from it, where it was recorded."""

import pytest
from opening import opened

DIGITS = "mnist-5k"
ADDRESSES = [  # page, query, and what its controls then hold
    (
        "overview",
        {"A": "Standard, no poison", "B": "Adversarial ε 0.3, no poison"},
        {"A": f"{DIGITS}-no-poison-standard", "B": f"{DIGITS}-no-poison-pgd-0.3"},
    ),
    ("overview", {"data": "ImageNet"}, {"data": "imagenet-samples"}),
    (
        "tradeoff",
        {"conditions": ["denoising blocks and PGD"], "seeds": ["0", "2"], "published": "false"},
        {"conditions": ["denoising-adversarial"], "seeds": [0, 2], "published": False},
    ),
    ("paper", {"table": "Supplement table 2: single-step targeted FGSM"}, {"table": "supplement-2"}),
    ("glossary", {"term": "clean-label"}, {"term": "clean-label"}),
    (
        "train",
        {
            "preset": "standard, no attacker",
            "epochs-standard": "7",
            "seed-standard": "4",
            "poison-standard": "dirty-label",
            "rate-dirty-label-standard": "3",
            "sticker-standard": "checkerboard",
            "sticker-size-standard": "5",
            "target-class-standard": "2",
            "more-standard": "width = 0.05",
        },
        {
            "preset": "standard",
            "epochs-standard": 7,
            "seed-standard": 4,
            "poison-standard": "dirty-label",
            "rate-dirty-label-standard": 3,
            "sticker-standard": "checkerboard",
            "sticker-size-standard": 5,
            "target-class-standard": 2,
            "more-standard": "",  # no longer: a link decides nothing that only a person should type
        },
    ),
    (
        "train",
        {"epsilon-fast": "0.15", "poison-fast": "no poison"},
        {"preset": "fast", "epsilon-fast": 0.15, "poison-fast": "no poison", "epochs-fast": 18},
    ),
    (
        "runs",
        {"search": "clean-label", "states": ["shipped"]},
        {"search": "clean-label", "states": ["shipped"]},
    ),
    (
        "saliency",
        {
            "method": "Grad-CAM",
            "which": "the true class",
            "opacity-of-map": "60",
            "outline": "false",
        },
        {"method": "grad-cam", "which": "true", "opacity-of-map": 60, "outline": False},
    ),
    (
        "features",
        {"layout": "principal components", "three-features": "true"},
        {"layout": False, "three-features": True},
    ),
    (
        "stickers",
        {
            "pattern": "smiley",
            "size": "5",
            "bottom": "10",
            "right": "4",
            "opacity": "0.6",
        },
        {"pattern": "smiley", "size": 5, "bottom": 10, "right": 4, "opacity": 0.6},
    ),
    (
        "perturbations",
        {"norm": "l2 (all pixels together)", "steps": "5", "target": "3", "set": "4", "count": "20"},
        {"norm": "l2", "steps": 5, "target": "3", "set": 4, "count": 20, "certified": False},
    ),
    (
        "perturbations",
        {"steps": "1", "certified": "true"},
        {"steps": 1, "certified": True},
    ),
    (
        "photograph",  # whose controls were on Perturbations and Stickers, which link to it with what the address has
        {"photograph-sample": "3: beaker", "photograph-epsilon": "8", "stamped-size": "40"},
        {"photograph-sample": 2, "photograph-epsilon": 8, "stamped-size": 40},
    ),
    (
        "spectral_signatures",
        {
            "suspect": "Standard, dirty-label",
            "class": "3",
            "truth": "true",
            "scored": "Weng et al.'s code",
            "remove": "20",
        },
        {
            "suspect": f"{DIGITS}-dirty-label-standard",
            "class": "3",
            "truth": True,
            "scored": "Weng et al.'s code",
            "remove": 20,
        },
    ),
    (
        "activation_clustering",
        {
            "suspect": "Adversarial ε 0.3, clean-label",
            "truth": "true",
            "rule": "silhouette",
            "reduction": "principal",
        },
        {
            "suspect": f"{DIGITS}-clean-label-pgd-0.3",
            "truth": True,
            "rule": "silhouette",
            "reduction": "pca",
        },
    ),
    ("neural_cleanse", {"suspect": "Standard, no poison"}, {"suspect": f"{DIGITS}-no-poison-standard"}),
    ("find_the_poison", {"marks": "0.1.21", "level": "2"}, {"level": 1}),
]


@pytest.mark.parametrize(
    ("page", "query", "held"),
    ADDRESSES,
    ids=[f"{page}-{number}" for number, (page, *_) in enumerate(ADDRESSES)],
)
def test_it_restores_what_it_did(page, query, held):
    app = opened(page, **query)
    assert not app.exception
    assert {name: app.session_state[name] for name in held} == held
