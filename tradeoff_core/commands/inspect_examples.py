"""`inspect`: the training examples of a class with all their scores, to take along, or judged by anybody's scores or marks."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradeoff_core.commands.arguments import ALL, MODEL_HELP, chosen_class
from tradeoff_core.commands.output import Answer, aligned, decode_pictures, rate_text, warnings_in_one_line
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import typed

if TYPE_CHECKING:
    from tradeoff_core.defenses.detection import Examples
    from tradeoff_core.inspection.table import Table
    from tradeoff_core.poisoning.poison import PoisonedDataset

WHAT = "score the training examples of a class for a person to decide over, or judge scores and marks"


def add(parser: argparse.ArgumentParser) -> None:
    """The model, what to inspect, and what to do with it."""
    parser.description = (
        "Score the training examples of a class in every way there is, and say how many a person would look at, most "
        "suspicious first, until 90%% of the poison is found."
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "--class", dest="label", metavar="C", help="the class to inspect (default: the model's target class)"
    )
    parser.add_argument(
        "--layer", metavar="L", default="penultimate", help="where the features are read (penultimate)"
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--export",
        metavar="DIR",
        type=typed,
        help="write the scores as examples.csv and examples.json there, and the pictures as FiftyOne takes them",
    )
    one.add_argument(
        "--scores",
        metavar="FILE",
        type=typed,
        help="judge a CSV table of index and score, high is suspicious",
    )
    one.add_argument(
        "--marks",
        metavar="FILE",
        type=typed,
        help="judge a CSV table of index and mark: keep, remove or unsure",
    )


def run(options: argparse.Namespace) -> Answer:
    """Every score's worth, or that of the scores or marks of a file."""
    from tradeoff_core.defenses.detection import read_examples
    from tradeoff_core.experiments.run import poisoned_training_set
    from tradeoff_core.findings.results import load_triggers
    from tradeoff_core.inspection.table import tabulate
    from tradeoff_core.models.zoo import find_model, load_network

    content = _content(options.scores or options.marks)
    model = find_model(options.model)
    network = load_network(model)
    decode_pictures(model.spec.dataset)
    training = poisoned_training_set(model.spec)
    label = chosen_class(options.label, training.data.classes, model.spec.target_class)
    if label is None:
        raise TradeoffError(f"--class {ALL}: one class at a time is inspected, so name it")
    with warnings_in_one_line():
        examples = read_examples(network, training, label, options.layer)
        table = tabulate(network, examples, training, load_triggers(model.sha256))
    document: dict[str, Any] = {
        "model": model.id,
        "class": label,
        "layer": table.layer,
        "n": len(table.index),
        "n_poisoned": int(table.poisoned.sum()),
    }
    of = f"{document['n']:,} training examples of class {training.data.classes[label]}"
    rows = {"inspected": f"{of}, {document['n_poisoned']:,} of them poisoned"}
    if options.marks:
        found, said = _marks(content, options.marks.name, examples, table)
    else:
        found, said = _scores(content, options.scores and options.scores.name, table)
    if options.export:
        found["files"] = _export(options.export, training, table)
        said["written to"] = str(options.export)
    return document | found, f"{model.id}\n{aligned(rows | said)}"


def _content(path: Path | None) -> bytes:
    from tradeoff_core.common.files import read_bytes

    if path is None:
        return b""
    try:
        return read_bytes(path)
    except OSError as error:
        raise TradeoffError(f"'{path}' cannot be read: {error.strerror}") from None


def _scores(content: bytes, name: str | None, table: "Table") -> tuple[dict[str, Any], dict[str, str]]:
    """What each column is worth, or what the scores of a file are."""
    from tradeoff_core.inspection import judging
    from tradeoff_core.inspection.exchange import read_scores

    suspicions = table.suspicions() if name is None else {name: read_scores(content, name, table.index)}
    judged = {
        title: judging.worth(table.index, suspicion, table.poisoned)
        for title, suspicion in suspicions.items()
    }
    said = {
        title: (
            f"AUROC {one['auroc']:.3f}, finds {one['precision']:.1%} by as many as are poisoned, "
            f"90% of the poison in {one['looks_until_90']:,} looks"
            if one["looks_until_90"]
            else "nothing here is poisoned"
        )
        for title, one in judged.items()
    }
    return {"scores": judged}, said


def _marks(
    content: bytes, name: str, examples: "Examples", table: "Table"
) -> tuple[dict[str, Any], dict[str, str]]:
    """What the marks of a file are worth, and how far they agree with each defense."""
    from tradeoff_core.defenses.activation_clustering import detect as clustering
    from tradeoff_core.defenses.spectral_signatures import spectral_scores
    from tradeoff_core.inspection import judging
    from tradeoff_core.inspection.exchange import read_marks
    from tradeoff_core.inspection.review import Mark, Standing

    marks = read_marks(content, name, table.index)
    standing = Standing(marks, {})
    removed = standing.array(table.index, Mark.REMOVE)
    judged = judging.judged(removed, table.poisoned)
    defenses = {
        "spectral-signatures": judging.most_suspicious(
            spectral_scores(examples.seen.features), int(removed.sum())
        ),
        "activation-clustering": clustering(examples.seen)[0].removed,
    }
    agreements = {
        title: judging.agreement(marks, judging.verdict(table.index, verdict))
        for title, verdict in defenses.items()
    }
    document = {
        **{mark.value: standing.count(mark) for mark in Mark},
        "precision": judged.precision.value,
        "recall": judged.recall.value,
        "agreement": {
            title: {"n": one.n, "agreed": one.agreed, "kappa": one.kappa} for title, one in agreements.items()
        },
    }
    said = {
        "marks": ", ".join(f"{standing.count(mark):,} {mark}" for mark in Mark),
        "precision": rate_text(judged.precision),
        "recall": rate_text(judged.recall),
    }
    said |= {
        f"agrees with {title}": f"{one.agreed:,} of {one.n:,}, kappa {one.kappa:.3f}"
        for title, one in agreements.items()
    }
    return document, said


def _export(folder: Path, training: "PoisonedDataset", table: "Table") -> list[str]:
    """Write the folder that other tools open."""
    from tradeoff_core.common.files import write_atomically
    from tradeoff_core.inspection import exchange
    from tradeoff_core.inspection.review import Standing

    if folder.exists() and not folder.is_dir():
        raise TradeoffError(f"--export '{folder}' is a file: choose a folder")
    marked = exchange.Marked(table, Standing({}, {}), truth=True)
    images = training.data.images[table.index]
    for name, content in exchange.folder(images, marked, training.data.classes):
        write_atomically(folder / name, content)
    return [str(folder / name) for name in ("examples.csv", "examples.json", "labels.json", "data")]
