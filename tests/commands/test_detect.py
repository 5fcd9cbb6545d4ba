import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tradeoff_core.__main__ import main
from tradeoff_core.defenses import applied
from tradeoff_core.defenses.activation_clustering import Reduction, Rule
from tradeoff_core.defenses.applied import Finding, Inspection, Method, inspect
from tradeoff_core.experiments.run import poisoned_training_set
from tradeoff_core.models.zoo import find_model, load_network

CONTRACT = [
    *("method", "layer", "n_target", "n_poisoned", "n_removed", "detection_rate", "false_positive_rate"),
    *("auroc", "average_precision", "chance", "mean_deviation"),
]
SPECTRAL = ["--method", "spectral-signatures"]
CLUSTERING = ["--method", "activation-clustering"]


def found(run: Path, inspection: Inspection, label: int = 7) -> Finding:
    """What the core says of the same run."""
    model = find_model(str(run))
    return inspect(load_network(model), poisoned_training_set(model.spec), label, inspection)


def assert_equal(document: dict[str, Any], finding: Finding) -> None:
    """The document has the core's numbers, null for NaN."""
    for key, value in finding.detection.document().items():
        assert document[key] == (None if np.isnan(value) else pytest.approx(value)), key


def test_spectral_signatures(run: Path, answer: Callable[..., Any]) -> None:
    """Half of the 360 sevens are poisoned and half removed: what is missed is a clean one removed instead."""
    document = answer("detect", run, *SPECTRAL)
    assert list(document)[: len(CONTRACT)] == CONTRACT
    assert (document["method"], document["layer"]) == ("spectral-signatures", "penultimate")
    assert (document["model"], document["class"]) == ("tiny", 7)
    assert (document["n_target"], document["n_poisoned"], document["n_removed"]) == (360, 180, 180)
    assert document["chance"] == 0.5
    assert document["detection_rate"] + document["false_positive_rate"] == pytest.approx(1)
    assert_equal(document, found(run, Inspection(Method.SPECTRAL)))
    assert document["centred"] is True
    assert "verdict" not in document


def test_spectral_options_reach_the_core(run: Path, answer: Callable[..., Any]) -> None:
    flags = "--remove-rate 0.25 --layer conv2 --uncentred --class 3"
    document = answer("detect", run, *SPECTRAL, *flags.split())
    inspection = Inspection(Method.SPECTRAL, "conv2", remove_rate=0.25, centred=False)
    assert_equal(document, found(run, inspection, label=3))
    assert (document["n_removed"], document["class"], document["layer"]) == (90, 3, "conv2")
    assert document["detection_rate"] is None  # no 3 is poisoned
    assert document["false_positive_rate"] == 0.25
    assert document["centred"] is False


def test_activation_clustering(run: Path, answer: Callable[..., Any]) -> None:
    document = answer("detect", run, *CLUSTERING)
    assert list(document)[: len(CONTRACT)] == CONTRACT
    finding = found(run, Inspection(Method.CLUSTERING))
    assert finding.clusters is not None
    assert finding.verdict is not None
    assert_equal(document, finding)
    assert (document["rule"], document["reduction"], document["dimensions"]) == ("size", "fastica", 2)
    assert document["verdict"] == finding.verdict.reason
    assert document["silhouette"] == pytest.approx(finding.clusters.silhouette)
    assert 0 < document["smaller_share"] <= 0.5
    assert document["smaller_share"] == pytest.approx(finding.clusters.share)


def test_clustering_options_reach_the_core(run: Path, answer: Callable[..., Any]) -> None:
    flags = "--rule oracle --reduction pca --dimensions 3 --layer conv1 --seed 4"
    document = answer("detect", run, *CLUSTERING, *flags.split())
    inspection = Inspection(
        Method.CLUSTERING, "conv1", rule=Rule.ORACLE, reduction=Reduction.PCA, dimensions=3, seed=4
    )
    assert_equal(document, found(run, inspection))
    assert document["detection_rate"] >= 0.5  # the oracle takes the cluster that holds most of the poison
    settings = {key: document[key] for key in ("rule", "reduction", "dimensions", "seed")}
    assert settings == {"rule": "oracle", "reduction": "pca", "dimensions": 3, "seed": 4}


def test_all_classes(run: Path, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    """360 training digits a class, a tenth of each removed, whatever the poison."""
    spectral = answer("detect", run, *SPECTRAL, "--class", "all", "--remove-rate", 0.1)
    counts = (spectral["class"], spectral["n_target"], spectral["n_poisoned"], spectral["n_removed"])
    assert counts == ("all", 3600, 180, 360)
    assert spectral["removed_by_class"] == [36] * 10
    clustering = answer("detect", run, *CLUSTERING, "--class", "all", "--reduction", "pca")
    assert (clustering["verdict"], clustering["silhouette"], clustering["smaller_share"]) == (None,) * 3
    assert sum(clustering["removed_by_class"]) == clustering["n_removed"]
    assert main(["detect", str(run), *SPECTRAL, "--class", "all", "--remove-rate", "0.1"]) == 0
    text = capsys.readouterr().out
    assert "3,600 training examples of all classes, each by itself, 180 of them poisoned (5.0%)" in text
    assert "0: 36, 1: 36" in text


def test_text_has_chance_n_and_interval(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(run), *SPECTRAL, "--remove-rate", "0.25"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny"
    rates = [line for line in lines if "95% interval" in line]
    assert [line.split("  ")[1] for line in rates] == ["detection rate", "false positive rate"]
    assert len({line.index("n =") for line in rates}) == 1  # aligned
    assert all("n =    180" in line for line in rates)
    assert rates[0].endswith("chance 25.0%")
    assert any("360 training examples of class 7, 180 of them poisoned (50.0%)" in line for line in lines)


def test_text_of_clustering_gives_the_reason(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", str(run), *CLUSTERING]) == 0
    verdict = found(run, Inspection(Method.CLUSTERING)).verdict
    assert verdict is not None
    assert f"{verdict.reason} (rule size)" in capsys.readouterr().out


def test_a_model_without_poison(
    clean_run: Path,
    answer: Callable[..., Any],
    complaint: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = complaint("detect", clean_run, *SPECTRAL)
    assert "every training example of class 7 is clean" in said
    assert "give a removal rate" in said
    flags = [*SPECTRAL, "--remove-rate", "0.1"]
    document = answer("detect", clean_run, *flags)
    for key in ("detection_rate", "auroc", "average_precision", "mean_deviation"):
        assert document[key] is None
    assert (document["n_poisoned"], document["n_removed"], document["false_positive_rate"]) == (0, 36, 0.1)
    assert main(["detect", str(clean_run), *flags]) == 0
    text = capsys.readouterr().out
    assert "nothing here is poisoned, so all 36 removed are clean" in text
    assert "AUROC" not in text
    assert main(["detect", str(clean_run), *CLUSTERING, "--rule", "oracle"]) == 0
    assert "nothing here is poisoned, and nothing is removed" in capsys.readouterr().out


@pytest.mark.parametrize("label", ["7", "all"])
def test_csv_has_every_inspected_example(
    label: str, run: Path, tmp_path: Path, answer: Callable[..., Any]
) -> None:
    path = tmp_path / "new" / "flagged.csv"
    flags = ["--class", label, "--remove-rate", 0.25, "--csv", path]
    document = answer("detect", run, *SPECTRAL, *flags)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["index", "label", "score", "removed", "poisoned"]
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    training = poisoned_training_set(find_model(str(run)).spec)
    index = columns["index"].astype(int)
    assert len(set(index)) == document["n_target"]
    assert (training.data.labels[index] == columns["label"]).all()
    assert (training.poisoned[index] == columns["poisoned"]).all()
    assert columns["removed"].sum() == document["n_removed"]
    assert roc_auc_score(columns["poisoned"], columns["score"]) == pytest.approx(document["auroc"])
    sevens = columns["label"] == 7
    flagged, kept = (columns["score"][sevens & (columns["removed"] == value)] for value in (1, 0))
    assert flagged.min() >= kept.max()
    assert [entry.name for entry in path.parent.iterdir()] == ["flagged.csv"]


def test_what_a_library_warns_of_is_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from warnings import warn

    def warning(*arguments: Any) -> Finding:
        for _ in range(2):
            warn("it did not\nconverge", UserWarning, stacklevel=1)
        return inspect(*arguments)

    monkeypatch.setattr(applied, "inspect", warning)
    assert main(["detect", str(run), *SPECTRAL, "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "warning: it did not converge\n"
    assert json.loads(captured.out)["n_removed"] == 180
