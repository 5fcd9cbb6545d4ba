"""Attributions and projections, as the pages make them."""

import numpy as np
import torch

from tradeoff_core.bench.rows import Row, seconds
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.explanations.attribution import Method, attribute
from tradeoff_core.explanations.feature_plane import principal
from tradeoff_core.models import zoo

MODELS = ("mnist-5k-clean-label-standard", "mnist-5k-clean-label-pgd-0.3")  # those that the pages start with
QUICK = (Method.INPUT_GRADIENT, Method.INPUT_X_GRADIENT, Method.GRAD_CAM)
FEATURES = (1000, 512)


def saliency_rows() -> list[Row]:
    """Attributions of three digits by two networks, and 1,000 features in a plane."""
    networks = [zoo.load_network(zoo.find_model(name)) for name in MODELS]
    images, _ = load_dataset("mnist-5k", Split.TEST).take(slice(3)).tensors()
    target = torch.full((len(images),), 7)

    def explain(*methods: Method) -> None:
        for network in networks:
            for method in methods:
                attribute(network, images, target, method)

    explain(*QUICK)  # the first call also loads captum
    features = np.random.default_rng(0).normal(size=FEATURES).astype(np.float32)
    return [
        Row("2 x 3 digits: both gradients and Grad-CAM", seconds(lambda: explain(*QUICK)), 0.3, "s"),
        Row(
            "2 x 3 digits: integrated gradients",
            seconds(lambda: explain(Method.INTEGRATED_GRADIENTS)),
            1.5,
            "s",
            note="50 steps, more where the parts do not sum to the whole",
        ),
        Row(
            f"principal components of {FEATURES[0]:,} features",
            seconds(lambda: principal(features, 3)),
            1,
            "s",
            note=f"of {FEATURES[1]} numbers each",
        ),
    ]
