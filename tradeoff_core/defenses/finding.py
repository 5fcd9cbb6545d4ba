"""The detectors by their names: what each says of the examples of a class, and of images at test time.

One contract for all: a score an example, more is more suspicious, and a verdict that removes as many as it is asked to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.datasets import ImageDataset, to_tensor, to_uint8
from tradeoff_core.defenses import activation_clustering, strip
from tradeoff_core.defenses.asset import asset_scores
from tradeoff_core.defenses.detection import ClassFeatures, Detection, share_to_remove
from tradeoff_core.defenses.loss_isolation import isolation_scores
from tradeoff_core.defenses.scale_up import CONSISTENT, scale_up_scores
from tradeoff_core.defenses.spectral_signatures import highest, removal_count, spectral_scores
from tradeoff_core.defenses.spectre import spectre_scores
from tradeoff_core.networks import Network
from tradeoff_core.networks.inference import Floats
from tradeoff_core.poisoning.poison import PoisonedDataset
from tradeoff_core.poisoning.triggers import Trigger


class Finder(StrEnum):
    """The detectors, each in the words of its paper."""

    SPECTRAL = "spectral-signatures"
    CLUSTERING = "activation-clustering"
    SPECTRE = "spectre"
    STRIP = "strip"
    SCALE_UP = "scale-up"
    ISOLATION = "loss-isolation"
    ASSET = "asset"


WORDS = {
    Finder.SPECTRAL: "how far its features lie along the direction in which the class varies most",
    Finder.CLUSTERING: "how much nearer its features lie to the smaller of two clusters",
    Finder.SPECTRE: "how far its features lie along what is unusual once they are whitened by a robust covariance",
    Finder.STRIP: "how sure the network stays of it under other images",
    Finder.SCALE_UP: "how often it is read alike with its pixels amplified",
    Finder.ISOLATION: "how low its loss is in the first epochs",
    Finder.ASSET: "how high its loss is once a network has unlearned what clean images do not share",
}
LATER = tuple(
    finder for finder in Finder if finder not in (Finder.SPECTRAL, Finder.CLUSTERING)
)  # than the paper
AT_TEST_TIME = (Finder.STRIP, Finder.SCALE_UP)  # what needs one image alone


EXPECTED = 0.1  # the share of poison where nobody says
Progress = Callable[[float], None] | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What detectors are given of the examples of a class: each takes of it what it needs.

    `seen` are their features at a layer, `held_out` clean examples that nothing was trained on, `losses` (epochs, N) what the
    examples cost after each epoch, where that was kept.
    """

    network: Network
    training: PoisonedDataset
    seen: ClassFeatures
    held_out: ImageDataset | None = None
    losses: Floats | None = None
    seed: int = 0

    @property
    def images(self) -> NDArray[np.uint8]:
        """The examples' pictures (N, H, W, C)."""
        return self.training.data.images[self.seen.index]

    @property
    def clean(self) -> ImageDataset:
        """The held-out examples. Raises TradeoffError without."""
        if self.held_out is None:
            raise TradeoffError("this detector needs held-out clean images: give some")
        return self.held_out


def can_be_asked(finder: Finder, evidence: Evidence) -> bool:
    """Whether there is what a detector needs."""
    if finder is Finder.ISOLATION:
        return evidence.losses is not None and len(evidence.losses) > 0
    return evidence.held_out is not None or finder not in (Finder.STRIP, Finder.ASSET)


def suspicion(
    finder: Finder, evidence: Evidence, share: float = EXPECTED, progress: Progress = None
) -> Floats:
    """The scores (N,) of the examples of a class, of which about a `share` in (0, 1) is expected to be poison.

    Only SPECTRE needs the share; the detectors that ask the network anew tell `progress` their share of the work. Raises
    TradeoffError where the detector lacks what it needs, and as the detectors do.
    """
    return SCORES[finder](evidence, share, progress)


def find(finder: Finder, evidence: Evidence, remove_rate: float | None = None) -> Detection:
    """Score the examples of a class and remove the given share of them, by default the true share of poison.

    Many scores of SCALE-UP are equal: which of those go is drawn by the seed. Raises TradeoffError as `suspicion` does, and for a share that removes none or all.
    """
    seen = evidence.seen
    share = share_to_remove(seen, remove_rate)
    count = removal_count(share, len(seen.index))
    scores = suspicion(finder, evidence, share)
    # of equal scores any, not the first: their order in the data set may tell which are poisoned
    shuffled = np.random.default_rng(evidence.seed).permutation(len(scores))
    removed = np.zeros(len(scores), dtype=bool)
    removed[shuffled[highest(scores[shuffled], count)]] = True
    return Detection(seen.index, scores, removed, seen.poisoned)


def _clustering(evidence: Evidence, _: float, __: Progress) -> Floats:
    reduced = activation_clustering.reduce(evidence.seen.features, seed=evidence.seed)
    return activation_clustering.cluster(reduced, evidence.seed).scores


def _isolation(evidence: Evidence, _: float, __: Progress) -> Floats:
    if evidence.losses is None:
        raise TradeoffError(
            "no losses were kept of this training: loss isolation needs those of its first epochs"
        )
    if evidence.losses.shape[1:] != evidence.seen.index.shape:
        raise TradeoffError(
            f"losses of {evidence.losses.shape[1]} examples were kept, and there are {len(evidence.seen.index)}"
        )
    return isolation_scores(evidence.losses)


def _asset(evidence: Evidence, _: float, progress: Progress) -> Floats:
    data, clean = evidence.training.data, evidence.clean
    scores = asset_scores(evidence.network, data, clean, seed=evidence.seed, progress=progress)
    return scores[evidence.seen.index]


SCORES: dict[Finder, Callable[[Evidence, float, Progress], Floats]] = {
    Finder.SPECTRAL: lambda evidence, *_: spectral_scores(evidence.seen.features),
    Finder.CLUSTERING: _clustering,
    Finder.SPECTRE: lambda evidence, share, _: spectre_scores(evidence.seen.features, share),
    Finder.STRIP: lambda evidence, _, progress: strip.strip_scores(
        evidence.network, evidence.images, evidence.clean.images, seed=evidence.seed, progress=progress
    ),
    Finder.SCALE_UP: lambda evidence, _, progress: scale_up_scores(
        evidence.network, evidence.images, progress=progress
    ),
    Finder.ISOLATION: _isolation,
    Finder.ASSET: _asset,
}


def at_test_time(
    finder: Finder,
    network: Network,
    test: ImageDataset,
    trigger: Trigger,
    target: int,
    held_out: ImageDataset,
    seed: int = 0,
) -> Detection:
    """What a detector refuses of test images of other classes than the target, each clean and stamped: 2 N examples.

    `index` counts in the test set, the stamped ones come after the clean ones, and `removed` is what is refused: by STRIP what has less
    entropy than all but 1% of held-out images, by SCALE-UP what is read alike under more than half of the factors. Raises
    TradeoffError for a detector that needs a training set.
    """
    if finder not in AT_TEST_TIME:
        raise TradeoffError(
            f"{finder} looks at a training set: at test time choose {' or '.join(AT_TEST_TIME)}"
        )
    index = np.flatnonzero(test.labels != target)
    clean = test.images[index]
    both = np.concatenate([clean, to_uint8(trigger.apply(to_tensor(clean)))])
    if finder is Finder.STRIP:
        entropy = strip.strip_entropy(network, both, held_out.images, seed=seed)
        of_clean = strip.strip_entropy(network, held_out.images, held_out.images, seed=seed + 1)
        scores, refused = -entropy, entropy < strip.least_entropy(of_clean)
    else:
        scores = scale_up_scores(network, both)
        refused = scores > CONSISTENT
    return Detection(np.tile(index, 2), scores, refused, np.arange(len(both)) >= len(clean))
