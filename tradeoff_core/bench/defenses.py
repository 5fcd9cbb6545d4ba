"""The defenses: ours beside adversarial-robustness-toolbox (ART) on the same features, and Neural Cleanse.

A ratio is taken in turns within one run, so that whatever else the machine does slows both sides.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch

from tradeoff_core import networks
from tradeoff_core.bench.rows import Row, has_art, seconds, without_art
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.defenses.activation_clustering import Reduction, cluster, reduce
from tradeoff_core.defenses.neural_cleanse import Reversal, rebuild_triggers
from tradeoff_core.defenses.spectral_signatures import spectral_scores
from tradeoff_core.models import zoo
from tradeoff_core.networks.inference import BATCH, Floats

TURNS = 3
DIMENSIONS = 10  # ART's default
CLEANSED = "mnist-5k-clean-label-pgd-0.3"


def defense_rows() -> list[Row]:
    """Both ratios, and the minute that Neural Cleanse may take."""
    features = digit_features()
    return [spectral_row(features), clustering_row(features), cleanse_row()]


def digit_features(count: int | None = None) -> Floats:
    """The penultimate features (N, 1024) of all bundled digits, or the first of them, in a fresh network."""
    images = torch.cat([load_dataset("mnist-5k", split).tensors()[0] for split in Split])[:count]
    network = networks.freeze(networks.build("mnist-cnn", width=1.0, seed=0))
    with torch.inference_mode():
        features: Floats = torch.cat([network.features(part) for part in torch.split(images, BATCH)]).numpy()
    return features


def spectral_row(features: Floats, turns: int = TURNS) -> Row:
    """Scores by a few products with the features, against a whole singular value decomposition."""
    name = "spectral score, {:,} x {:,} features: ART's time / ours".format(*features.shape)
    if not has_art():
        return without_art(name, 20)
    from art.defences.detector.poison import SpectralSignatureDefense  # type: ignore[import-untyped]

    scores = SpectralSignatureDefense.spectral_signature_scores
    return _ratio_row(name, 20, lambda: scores(features), lambda: spectral_scores(features), turns)


def clustering_row(features: Floats, turns: int = TURNS) -> Row:
    """Ten independent components and two clusters; ours also tries ten starts and takes the silhouette."""
    name = "activation clustering, same features: ART's time / ours"
    if not has_art():
        return without_art(name, 2)
    from art.defences.detector.poison import activation_defence

    def ours() -> None:
        cluster(reduce(features, DIMENSIONS, Reduction.ICA))

    def theirs() -> None:
        activation_defence.cluster_activations(
            [features], nb_clusters=2, nb_dims=DIMENSIONS, reduce="FastICA"
        )

    note = "ours with ten k-means starts and the silhouette, ART's with one start and without"
    return _ratio_row(name, 2, theirs, ours, turns, note)


def cleanse_row(reversal: Reversal | None = None) -> Row:
    """The triggers of all ten classes rebuilt on the validation digits."""
    data = load_dataset("mnist-5k", Split.VALIDATION)
    name = f"Neural Cleanse, ten classes, {len(data)} digits"
    if CLEANSED not in zoo.model_ids():
        return Row(name, None, 60, "s", note=f"skipped: there is no model {CLEANSED}")
    network = zoo.load_network(zoo.find_model(CLEANSED))
    time = seconds(lambda: rebuild_triggers(network, *data.tensors(), len(data.classes), reversal))
    return Row(name, time, 60, "s", note=f"triggers rebuilt, {CLEANSED}")


def _ratio_row(
    name: str,
    limit: float,
    theirs: Callable[[], object],
    ours: Callable[[], object],
    turns: int,
    note: str = "",
) -> Row:
    with _quiet_components():
        theirs()  # the first calls also import and allocate
        ours()
        ratios = [seconds(theirs) / seconds(ours) for _ in range(turns)]
    note = f"median of {turns} turns" + (note and f"; {note}")
    return Row(name, median(ratios), limit, "x", at_least=True, note=note)


@contextmanager
def _quiet_components() -> Iterator[None]:
    """Without the warning that FastICA stopped at its last iteration, as both sides do on these features."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
