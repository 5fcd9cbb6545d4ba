import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tradeoff_core.defenses import applied

SPECTRAL = ["--method", "spectral-signatures"]
CLUSTERING = ["--method", "activation-clustering"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: COMMAND; see python -m tradeoff_core --help"),
        (["fly"], "invalid choice: 'fly'"),
        (["models", "--colour"], "unrecognized arguments: --colour"),
        (["evaluate"], "required: MODEL; see python -m tradeoff_core evaluate --help"),
        (["evaluate", "no-such-model"], "unknown model 'no-such-model'"),
        (["evaluate", "RUN", "--epsilon", "-0.1"], "epsilon -0.1 is out of range"),
        (["evaluate", "RUN", "--epsilon", "abc"], "epsilon 'abc' is not a number"),
        (["evaluate", "RUN", "--epsilon", "nan"], "epsilon nan is out of range"),
        (["evaluate", "RUN", "--epsilon", "8/0"], "epsilon '8/0' is not a number"),
        (["evaluate", "RUN", "--steps", "0"], "steps 0 is out of range"),
        (["evaluate", "RUN", "--steps", "two"], "invalid int value: 'two'"),
        (["evaluate", "RUN", "--restarts", "0"], "restarts 0 is out of range"),
        (["evaluate", "RUN", "--norm", "l7"], "norm 'l7' is unknown"),
        (["evaluate", "RUN", "--limit", "0"], "'0' is not a whole number from 1"),
        (["evaluate", "RUN", "--seed", "-1"], "'-1' is not a whole number from 0"),
        (["evaluate", "RUN", "--images", "no-such.npz"], "there is no file or folder 'no-such.npz'"),
        (["train", "--preset", "slow"], "unknown preset 'slow': choose one of standard"),
        (["train", "--set", "training.speed=3"], "unknown field 'training.speed'"),
        (["train", "--set", "training.epochs"], "'training.epochs' is no setting"),
        (["train", "--set", "training.epochs=many"], "training.epochs must be a whole number, not 'many'"),
        (["train", "--set", "poison.rate=0"], "poison rate 0 is out of range"),
        (["train", "--set", "training.attack.epsilon=1/x"], "epsilon '1/x' is not a number"),
        (["train", "no-such.toml"], "there is no readable spec file 'no-such.toml'"),
        (["detect", "RUN"], "required: --method; see python -m tradeoff_core detect --help"),
        (["detect", "no-such-model", *SPECTRAL], "unknown model 'no-such-model'"),
        (["detect", "RUN", "--method", "spectral"], "choose spectral-signatures or activation-clustering"),
        (["detect", "RUN", *SPECTRAL, "--rule", "size"], "--rule belongs to activation-clustering"),
        (["detect", "RUN", *SPECTRAL, "--reduction", "pca"], "--reduction belongs to activation-clustering"),
        (["detect", "RUN", *SPECTRAL, "--dimensions", "2"], "--dimensions belongs to activation-clustering"),
        (
            ["detect", "RUN", *CLUSTERING, "--remove-rate", "0"],
            "--remove-rate belongs to spectral-signatures",
        ),
        (["detect", "RUN", *CLUSTERING, "--uncentred"], "--uncentred belongs to spectral-signatures"),
        (["detect", "RUN", *CLUSTERING, "--rule", "luck"], "choose size or silhouette or oracle"),
        (["detect", "RUN", *CLUSTERING, "--reduction", "tsne"], "choose fastica or pca"),
        (["detect", "RUN", *CLUSTERING, "--dimensions", "0"], "'0' is not a whole number from 1"),
        (
            ["detect", "RUN", *CLUSTERING, "--dimensions", "999"],
            "999 directions of features of shape (360, 51)",
        ),
        (["detect", "RUN", *SPECTRAL, "--remove-rate", "half"], "invalid float value: 'half'"),
        (["detect", "RUN", *SPECTRAL, "--remove-rate", "1"], "would remove the whole class"),
        (["detect", "RUN", *SPECTRAL, "--remove-rate", "nan"], "choose above 0 and below 1"),
        (["detect", "RUN", *SPECTRAL, "--layer", "conv9"], "no layer 'conv9'"),
        (["detect", "RUN", *SPECTRAL, "--class", "10"], "unknown class '10': choose one of 0, 1, 2"),
        (["detect", "RUN", *SPECTRAL, "--class", "-1"], "unknown class '-1'"),
        (["detect", "RUN", *SPECTRAL, "--class", "all"], "give a removal rate"),
        (["detect", "RUN", *SPECTRAL, "--class", "3"], "every training example of class 3 is clean"),
        (["detect", "RUN", *SPECTRAL, "--csv", "flagged.txt"], "does not end in .csv"),
        (["detect", "RUN", *SPECTRAL, "--seed", "-1"], "'-1' is not a whole number from 0"),
        (["cleanse"], "required: MODEL; see python -m tradeoff_core cleanse --help"),
        (["cleanse", "no-such-model"], "unknown model 'no-such-model'"),
        (["cleanse", "RUN", "--rounds", "0"], "'0' is not a whole number from 1"),
        (["cleanse", "RUN", "--epochs", "0"], "'0' is not a whole number from 1"),
        (["cleanse", "RUN", "--out", "triggers.npy"], "does not end in .npz"),
        (["download", "mnist-5k"], "'mnist-5k' cannot be downloaded"),
        (["download", "imagenet"], "'imagenet' cannot be downloaded"),
    ],
)
def test_bad_arguments(arguments: list[str], says: str, run: Path, complaint: Callable[..., str]) -> None:
    assert says in complaint(*(run if argument == "RUN" else argument for argument in arguments))


def test_a_file_that_cannot_be_written_is_refused_before_the_work(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    def worked(*_: object, **__: object) -> None:
        raise AssertionError("the work began")

    for command in ("inspect", "cleanse"):
        monkeypatch.setattr(applied, command, worked)
    (tmp_path / "file").touch()
    for words, ending in ((["detect", run, *SPECTRAL, "--csv"], ".csv"), (["cleanse", run, "--out"], ".npz")):
        (tmp_path / f"folder{ending}").mkdir()
        assert "is a folder: choose a file in it" in complaint(*words, tmp_path / f"folder{ending}")
        within = tmp_path / "file" / "deeper" / f"name{ending}"
        assert f"'{tmp_path / 'file'}' is no folder" in complaint(*words, within)


def test_download_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Callable[..., str]
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TRADEOFF_DATA", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert "could not be downloaded: is there a network?" in complaint("download", "mnist")
