"""`detect`: a defense that looks at the training set before it is used, beside removing as many at random."""

import argparse
from typing import TYPE_CHECKING, Any, TypeVar

from tradeoff_core.commands.arguments import ALL, MODEL_HELP, check_place, chosen_class, whole
from tradeoff_core.commands.output import Answer, aligned, decode_pictures, rate_text, warnings_in_one_line
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import typed
from tradeoff_core.common.tables import csv_table

if TYPE_CHECKING:
    from enum import StrEnum

    from tradeoff_core.defenses.applied import Finding, Inspection
    from tradeoff_core.defenses.detection import Detection
    from tradeoff_core.poisoning.poison import PoisonedDataset

    Choice = TypeVar("Choice", bound=StrEnum)

WHAT = "find the poisoned training examples of a class by their features"
OF_SPECTRAL, OF_CLUSTERING = ("remove_rate", "uncentred"), ("rule", "reduction", "dimensions")


def add(parser: argparse.ArgumentParser) -> None:
    """The model, the method, what to inspect, and what belongs to one method only."""
    parser.description = (
        "Inspect the training examples of a class as the model sees them, and count how many of the poisoned "
        "ones a defense removes, beside how many it would remove by chance."
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--method", metavar="NAME", required=True, help="spectral-signatures or activation-clustering"
    )
    parser.add_argument(
        "--class",
        dest="label",
        metavar="C",
        help="the class to inspect, or all for each by itself (default: the model's target class)",
    )
    parser.add_argument(
        "--layer", metavar="L", default="penultimate", help="where the features are read (penultimate)"
    )
    parser.add_argument("--seed", metavar="S", type=whole(0), default=0, help="of the clustering (0)")
    parser.add_argument(
        "--csv",
        metavar="PATH",
        type=typed,
        help="also write a row for each inspected example: its index in the training set, its label, its "
        "score, and whether it is removed (flagged) and poisoned (1 or 0)",
    )
    spectral = parser.add_argument_group("for spectral-signatures")
    spectral.add_argument(
        "--remove-rate",
        metavar="P",
        type=float,
        help="the share of the class to remove, in (0, 1) (default: the true share of poison, as in the paper)",
    )
    spectral.add_argument(
        "--uncentred",
        action="store_true",
        default=None,
        help="score the features as they are, as the paper's code does, and not their difference from the mean",
    )
    clustering = parser.add_argument_group("for activation-clustering")
    clustering.add_argument(
        "--rule",
        metavar="size|silhouette|oracle",
        help="which cluster is poison: the unusually small one (default), the smaller one if the two are well "
        "separated, or the one that an oracle names",
    )
    clustering.add_argument(
        "--reduction",
        metavar="fastica|pca",
        help="to independent (default) or to principal components",
    )
    clustering.add_argument("--dimensions", metavar="D", type=whole(1), help="how many of them (2)")


def run(options: argparse.Namespace) -> Answer:
    """What the defense removes, and how much of that was poisoned."""
    from tradeoff_core.common.files import write_atomically
    from tradeoff_core.defenses.applied import Finding, inspect, inspect_all
    from tradeoff_core.experiments.run import poisoned_training_set
    from tradeoff_core.models.zoo import find_model, load_network

    inspection = _inspection(options)
    if options.csv is not None:
        check_place("--csv", options.csv, ".csv")
    model = find_model(options.model)
    network = load_network(model)
    decode_pictures(model.spec.dataset)
    training = poisoned_training_set(model.spec)
    label = chosen_class(options.label, training.data.classes, model.spec.target_class)
    with warnings_in_one_line():
        if label is None:
            finding = Finding(inspect_all(network, training, inspection))
        else:
            finding = inspect(network, training, label, inspection)
    document = _document(inspection, finding) | {
        "model": model.id,
        "class": ALL if label is None else label,
        "seed": inspection.seed,
        **_settings(inspection, finding),
    }
    if label is None:
        document["removed_by_class"] = _removed_by_class(finding.detection, training)
    rows = _rows(document, finding.detection, training.data.classes)
    if options.csv is not None:
        write_atomically(options.csv, _as_csv(finding.detection, training).encode())
        rows["examples written to"] = str(options.csv)
    return document, f"{model.id}\n{aligned(rows)}"


def _inspection(options: argparse.Namespace) -> "Inspection":
    """The options as the core takes them. Raises TradeoffError for one that belongs to the other method."""
    from tradeoff_core.defenses.activation_clustering import Reduction, Rule
    from tradeoff_core.defenses.applied import Inspection, Method

    method = _choice("method", options.method, Method)
    clustering = method is Method.CLUSTERING
    for name in OF_SPECTRAL if clustering else OF_CLUSTERING:
        if getattr(options, name) is not None:
            other = Method.SPECTRAL if clustering else Method.CLUSTERING
            raise TradeoffError(f"--{name.replace('_', '-')} belongs to {other}: leave it out with {method}")
    chosen: dict[str, Any] = {
        "remove_rate": options.remove_rate,
        "centred": None if options.uncentred is None else not options.uncentred,
        "rule": options.rule and _choice("rule", options.rule, Rule),
        "reduction": options.reduction and _choice("reduction", options.reduction, Reduction),
        "dimensions": options.dimensions,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return Inspection(method, layer=options.layer, seed=options.seed, **given)


def _choice(what: str, text: str, kind: "type[Choice]") -> "Choice":
    try:
        return kind(text)
    except ValueError:
        raise TradeoffError(f"unknown {what} '{text}': choose {' or '.join(kind)}") from None


def _document(inspection: "Inspection", finding: "Finding") -> dict[str, Any]:
    return {
        "method": inspection.method.value,
        "layer": inspection.layer,
        **finding.detection.document(),
    }


def _settings(inspection: "Inspection", finding: "Finding") -> dict[str, Any]:
    """What belongs to one method only; of all the classes together there is no verdict."""
    from tradeoff_core.defenses.applied import Method

    if inspection.method is Method.SPECTRAL:
        return {"centred": inspection.centred}
    clusters, verdict = finding.clusters, finding.verdict
    return {
        "rule": inspection.rule.value,
        "verdict": verdict and verdict.reason,
        "silhouette": clusters and clusters.silhouette,
        "smaller_share": clusters and clusters.share,
        "reduction": inspection.reduction.value,
        "dimensions": inspection.dimensions,
    }


def _removed_by_class(detection: "Detection", training: "PoisonedDataset") -> list[int]:
    labels = training.data.labels[detection.index[detection.removed]]
    return [int((labels == label).sum()) for label in range(len(training.data.classes))]


def _as_csv(detection: "Detection", training: "PoisonedDataset") -> str:
    """The inspected examples as a CSV table, a row each."""
    labels = training.data.labels[detection.index]
    flags = detection.removed.astype(int), detection.poisoned.astype(int)
    rows = zip(detection.index, labels, detection.scores, *flags, strict=True)
    return csv_table(("index", "label", "score", "removed", "poisoned"), rows)


def _rows(document: dict[str, Any], detection: "Detection", classes: tuple[str, ...]) -> dict[str, str]:
    """The document in words; what has no meaning without poison is left out."""
    n, poisoned, removed = document["n_target"], document["n_poisoned"], document["n_removed"]
    of = "all classes, each by itself" if document["class"] == ALL else f"class {classes[document['class']]}"
    found = f"{rate_text(detection.detection_rate)}   chance {document['chance']:.1%}"
    if not poisoned:
        whatever = f"so all {removed:,} removed are clean" if removed else "and nothing is removed"
        found = f"{rate_text(detection.detection_rate)}   nothing here is poisoned, {whatever}"
    rows = {
        "method": f"{document['method']} at layer {document['layer']}",
        "inspected": f"{n:,} training examples of {of}, {poisoned:,} of them poisoned ({poisoned / n:.1%})",
        "removed": f"{removed:,} ({removed / n:.1%})",
        "detection rate": found,
        "false positive rate": rate_text(detection.false_positive_rate),
    }
    if "removed_by_class" in document:
        counts = zip(classes, document["removed_by_class"], strict=True)
        rows["removed of each class"] = ", ".join(f"{name}: {count:,}" for name, count in counts)
    if document.get("verdict"):
        rows["verdict"] = f"{document['verdict']} (rule {document['rule']})"
        rows["silhouette"] = f"{document['silhouette']:6.3f}"
    if 0 < poisoned < n:
        scores = "clustering scores nearness to the smaller cluster" if "rule" in document else ""
        rows["AUROC"] = f"{document['auroc']:6.3f}   guessing gives 0.5" + (scores and f"; {scores}")
        rows["average precision"] = (
            f"{document['average_precision']:6.3f}   guessing gives {poisoned / n:.3f}"
        )
        rows["mean deviation"] = f"{document['mean_deviation']:6.3f}   mean score, poisoned minus clean"
    return rows
