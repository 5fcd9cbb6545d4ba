"""What the tests of the commands share: how to run one, and one run that `train` finished."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tradeoff_core.__main__ import main


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """What makes `train` a matter of seconds."""
    training = "training.epochs=1 training.learning_rate=0.03 training.batch_size=20"
    return f"--set width=0.05 {training} evaluation.steps=2 evaluation.epsilon=26/255".split()


@pytest.fixture(scope="session")
def run(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one tiny run, trained by the command line."""
    folder = tmp_path_factory.mktemp("commands") / "tiny"
    assert main(["train", *tiny, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def clean_run(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without poison."""
    folder = tmp_path_factory.mktemp("commands") / "clean"
    assert main(["train", *tiny, "poison=none", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command with --json in this process: the one document that stdout held."""

    def call(*arguments: object) -> Any:
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must be refused: status 2, nothing on stdout, one line on stderr."""

    def call(*arguments: object) -> str:
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return call
