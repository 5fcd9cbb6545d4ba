import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from tradeoff_core.__main__ import main
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.models import zoo

ROOT = Path(__file__).resolve().parents[2]


def shell(
    *arguments: str, code: str | None = None, stdout: IO[str] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """The program, or `code`, in a process of its own."""
    command = [sys.executable, *(["-m", "tradeoff_core"] if code is None else ["-c", code]), *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8")


def test_help_comes_without_torch() -> None:
    started = time.perf_counter()
    done = shell(
        code="import sys, tradeoff_core.__main__ as m\n"
        "try: m.main(['--help'])\n"
        "finally: print([name for name in ('torch', 'numpy', 'tqdm') if name in sys.modules])"
    )
    assert time.perf_counter() - started < 10  # generous: it takes 0.2 s on an idle machine
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("models", "evaluate", "train", "detect", "cleanse", "import", "download", "bench"):
        assert command in done.stdout


def test_help_of_train_lists_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in PRESETS)
    assert "standard with training.lipschitz 0.0001\n" in text
    assert max(map(len, text.splitlines())) <= 110


def test_models_from_the_shell_prints_pure_json() -> None:
    done = shell("models", "--json")
    assert done.returncode == 0
    assert [model["id"] for model in json.loads(done.stdout)] == zoo.model_ids()


def test_bad_input_from_the_shell() -> None:
    done = shell("evaluate", "no-such-model", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "no-such-model" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="pipes differ there")
def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = shell(
            code="import sys, tradeoff_core.__main__ as m\n"
            "m.models.run = lambda _: ([], 'a line')\n"
            "sys.exit(m.main(['models']))",
            stdout=pipe,
        )
    assert (done.returncode, done.stderr) == (1, "")
