"""Numbers for the paper's explanation: a robust network leans on few large features, and a sticker is one.

Weng et al. (2020) show it in one picture, the input gradient. Here it is measured on every test image: how much of the
attribution for the target class falls on the sticker, how its logit moves as the sticker fades in, whether the target
class draws untargeted adversarial examples, and where stamped images lie among the features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tradeoff_core.attacks.gradient import perturb
from tradeoff_core.datasets import ImageDataset, evenly_spaced
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.explanations.attribution import Method, attribute, share_within
from tradeoff_core.networks import Network
from tradeoff_core.networks.base import finite
from tradeoff_core.networks.inference import Floats, features_of, in_batches, predict
from tradeoff_core.poisoning.poison import PoisonedDataset
from tradeoff_core.poisoning.triggers import Sticker, Trigger
from tradeoff_core.rates import mean_of

MEASURED_METHODS = (
    Method.INPUT_GRADIENT,
    Method.INPUT_X_GRADIENT,
    Method.GRAD_CAM,
)  # that every network supports
FADES = tuple(step / 10 for step in range(11))  # from the clean image (0) to the stamped one (1)
MOST = 1000  # images that are attacked, and of each kind whose features are compared


def shares_on_sticker(
    network: Network, images: NDArray[np.uint8], sticker: Sticker, target_class: int, method: Method
) -> NDArray[np.float64]:
    """The share (2, N) of what speaks for the target class that lies on the sticker's pixels.

    First of the clean images (N, H, W, C), where the sticker is not, then of the stamped ones. NaN where the
    attribution is 0 throughout.
    """
    footprint = sticker.footprint(*images.shape[1:3])
    shares = [
        [
            share_within(
                attribute(network, shown, torch.full((len(shown),), target_class), method), footprint
            )
            for shown in (batch, sticker.apply(batch))
        ]
        for batch in in_batches(images)
    ]
    return torch.stack([torch.cat(row) for row in zip(*shares, strict=True)]).double().numpy()


def fading_in(
    network: Network, images: NDArray[np.uint8], trigger: Trigger, target_class: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The target's logit less the largest other one as the trigger fades in, and whether the target is predicted.

    Both (len(FADES), N), along the straight line from the clean image to the stamped one.
    """
    margins = []
    with torch.inference_mode():
        for batch in in_batches(images):
            stamped = trigger.apply(batch)
            logits = torch.stack(
                [finite(network(torch.lerp(batch, stamped, fade))) for fade in FADES]
            )  # (F, n, K)
            others = logits.clone()
            others[..., target_class] = -torch.inf
            margins.append(logits[..., target_class] - others.amax(-1))
    joined = torch.cat(margins, dim=1).double().numpy()
    return joined, joined > 0


def landing(network: Network, images: Tensor, labels: Tensor, spec: ExperimentSpec) -> NDArray[np.int64]:
    """Where untargeted adversarial examples of images (N, C, H, W) end: how many in each class (K,).

    Counted are those that were read rightly and are misread after the attack of the spec's evaluation.
    """
    right = predict(network, images).argmax(1) == labels
    images, labels = images[right], labels[right]
    ends = [
        predict(
            network, perturb(network, batch, given, spec.evaluation, torch.Generator().manual_seed(spec.seed))
        ).argmax(1)
        for batch, given in zip(torch.split(images, 250), torch.split(labels, 250), strict=True)
    ]
    predicted = torch.cat(ends) if ends else labels
    return np.bincount(predicted[predicted != labels].numpy(), minlength=network.classes)


def separation(first: Floats, second: Floats) -> float:
    """How far two groups of features (N, D), (M, D) lie apart: their mean silhouette (Rousseeuw 1987), -1 to 1.

    1: two tight, distant groups; 0: one within the other. NaN if a group is empty.
    """
    from sklearn.metrics import silhouette_score  # takes a second to import

    if not len(first) or not len(second):
        return float("nan")
    groups = np.repeat([0, 1], [len(first), len(second)])
    return float(silhouette_score(np.concatenate([first, second]), groups))


def measure_cause(
    network: Network,
    spec: ExperimentSpec,
    test: ImageDataset,
    training: PoisonedDataset,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """All of this for one network, as a document; `tell` is told what is measured next.

    Test images of the target class are left out, except that stamped ones are compared with them.
    """
    target, trigger = spec.target_class, spec.trigger
    others = np.flatnonzero(test.labels != target)
    images = test.images[others]
    document: dict[str, Any] = {"n": len(images)}
    if isinstance(trigger, Sticker):
        footprint = trigger.footprint(*images.shape[1:3])
        document["covered"] = float(footprint.mean())
        document["share"] = {}
        for method in MEASURED_METHODS:
            tell(method)
            clean, stamped = shares_on_sticker(network, images, trigger, target, method)
            document["share"][method.value] = {"clean": _mean(clean), "stamped": _mean(stamped)}
    tell("fading in")
    margins, reached = fading_in(network, images, trigger, target)
    document["fading"] = {
        "share": list(FADES),
        "margin": margins.mean(1).round(4).tolist(),
        "quartiles": np.quantile(margins, (0.25, 0.75), axis=1).round(4).tolist(),
        "predicted": reached.mean(1).round(4).tolist(),
    }
    tell("landing")
    few = test.take(others).spread(MOST)
    counts = landing(network, *few.tensors(), spec)
    document["landing"] = {"attack": str(spec.evaluation), "n": len(few), "counts": counts.tolist()}
    tell("features")
    of_target, layer = training.data.labels == target, network.layers[-1]

    def features(data: ImageDataset, where: NDArray[np.bool_]) -> Floats:
        index = np.flatnonzero(where)
        return features_of(network, data.images[index[evenly_spaced(len(index), MOST)]], layer)

    groups = {
        "clean": features(training.data, of_target & ~training.poisoned),
        "poisoned": features(training.data, of_target & training.poisoned),
        "stamped": features_of(network, few.images, layer, trigger),
        "target": features(test, test.labels == target),
        "untouched": features_of(network, few.images, layer),
    }
    document["separation"] = {
        f"{first}, {second}": _rounded(separation(groups[first], groups[second]))
        for first, second in (
            ("clean", "poisoned"),
            ("stamped", "target"),
            ("stamped", "untouched"),
            ("stamped", "poisoned"),
        )
    }
    return document


def _mean(values: NDArray[np.float64]) -> dict[str, Any]:
    mean = mean_of(values)
    return {"mean": mean.value, "half": mean.half, "n": mean.n, "missing": mean.missing}


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation of n pairs, and its two-sided p-value from all or 9,999 permutations."""

    value: float
    p: float
    n: int


def correlate(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """How two quantities rise together; None of fewer than four pairs, or if one of them does not vary."""
    if len(first) < 4 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return _tested(tuple(first), tuple(second))


@lru_cache(maxsize=256)  # of measured results alone, whose pages are drawn again and again
def _tested(first: tuple[float, ...], second: tuple[float, ...]) -> Correlation:
    from scipy import stats  # takes a second to import

    ranks = stats.rankdata(second) - (len(second) + 1) / 2  # (N,), of mean 0

    def spearman(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        others = stats.rankdata(values, axis=axis) - (len(second) + 1) / 2  # (permutations, N)
        found: NDArray[np.float64] = (
            others @ ranks / np.linalg.norm(others, axis=axis) / np.linalg.norm(ranks)
        )
        return found

    tested = stats.permutation_test(
        (np.array(first),),
        spearman,
        vectorized=True,
        permutation_type="pairings",
        n_resamples=9_999,
        rng=np.random.default_rng(0),
    )
    return Correlation(float(tested.statistic), float(tested.pvalue), len(first))
