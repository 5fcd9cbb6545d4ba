"""Closed, full and broken streams, and variables that another program left behind: one line, or the usual answer."""

import json
import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tradeoff_core.training import distributed

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="shells differ there")


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a shell says to a line in which PROGRAM is the command."""
    return subprocess.run(
        ["sh", "-c", line.replace("PROGRAM", f"{sys.executable} -m tradeoff_core")],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        encoding="utf-8",
    )


def test_a_closed_stdout_is_quiet() -> None:
    done = shell("PROGRAM models >&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_with_stderr_closed_an_error_goes_nowhere_else() -> None:
    done = shell("PROGRAM runs show no-such-run --json 2>&-")
    assert (done.returncode, done.stdout) == (2, "")
    done = shell("PROGRAM models --json 2>&-")
    assert (done.returncode, len(json.loads(done.stdout)) > 10) == (0, True)


def test_with_every_stream_closed_it_ends_as_it_should() -> None:
    assert shell("PROGRAM models <&- >&- 2>&-").returncode == 0
    assert shell("PROGRAM runs show no-such-run <&- >&- 2>&-").returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
@pytest.mark.parametrize("words", ["models", "models --json", "train --help"])
def test_a_full_stdout_is_one_line_that_names_it(words: str) -> None:
    done = shell(f"PROGRAM {words} > /dev/full")
    assert (done.returncode, done.stderr) == (1, "error: [Errno 28] No space left on device: 'stdout'\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_stderr_loses_only_what_is_said_there() -> None:
    assert shell("PROGRAM runs show no-such-run 2> /dev/full").returncode == 2


def test_a_reader_who_goes_early_is_no_error() -> None:
    done = shell("PROGRAM models --json | head -c 1; PROGRAM train --help | head -c 1")
    assert (done.stdout, done.stderr) == ("[u", "")


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"RANK": ""}, {"RANK": "1", "LOCAL_RANK": "1"}])
def test_variables_of_another_program_silence_nothing(variables: dict[str, str]) -> None:
    done = shell("PROGRAM models --json", **variables)
    assert (done.returncode, len(json.loads(done.stdout)) > 10) == (0, True)


def test_alone_the_first_does_the_work_whatever_is_left_in_the_environment(monkeypatch, refused) -> None:
    done: list[int] = []
    for number in ("1", "", "x"):
        monkeypatch.setenv("LOCAL_RANK", number)
        distributed.first_does(lambda: done.append(1), on_each_machine=True)
    assert done == [1, 1, 1]
    monkeypatch.setenv("WORLD_SIZE", "")
    with distributed.group():
        assert distributed.size() == 1
    monkeypatch.setenv("WORLD_SIZE", "many")
    with refused("WORLD_SIZE 'many' is no number from 0"), distributed.group():
        pass


@pytest.mark.parametrize("number", ["0", "1"])
def test_a_group_that_nobody_joins_is_said_and_given_up(number, monkeypatch, refused, capsys) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    left = {"WORLD_SIZE": "2", "RANK": number, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "MEETING", timedelta(seconds=1))
    with refused("the processes of torchrun do not find each other"), distributed.group():
        pass
    assert "waiting for 1 other process(es), for WORLD_SIZE is 2: unset it" in capsys.readouterr().err
