"""Paths that people type: ~ is their home wherever one is asked for, and nothing is no folder."""

from argparse import Namespace
from pathlib import Path

import pytest
from PIL import Image

from tradeoff_core.__main__ import Parser, build_parser
from tradeoff_core.common import paths
from tradeoff_core.experiments.run_folder import folder_of
from tradeoff_core.experiments.spec import ExperimentSpec, changed, spec_from_dict, spec_to_dict
from tradeoff_core.poisoning.triggers import draw


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "folder", "default"),
    [("TRADEOFF_DATA", paths.data_folder, "data"), ("TRADEOFF_RUNS", paths.runs_folder, "runs")],
)
def test_a_variable_may_name_ones_home_and_an_empty_one_is_as_none(
    variable, folder, default, home, monkeypatch, refused
):
    for said, meant in (
        ("~/x", home / "x"),
        ("$HOME/x", home / "x"),
        ("${HOME}/x", home / "x"),
        ("/x", Path("/x")),
        ("", Path(default)),
        (" ", Path(default)),
    ):
        monkeypatch.setenv(variable, said)
        assert folder() == meant
    monkeypatch.setenv(variable, "~nobody-of-this-name/x")
    with refused("there is no such home folder"):
        folder()


OPTIONS = [
    (["train", "~/a", "--out", "~/b"], {"spec": "a", "out": "b"}),
    (["estimate", "~/a"], {"spec": "a"}),
    (["evaluate", "x", "--images", "~/a"], {"images": "a"}),
    (["detect", "x", "--method", "m", "--csv", "~/a"], {"csv": "a"}),
    (["cleanse", "x", "--out", "~/a"], {"out": "a"}),
    (["import", "~/a", "--network", "n", "--data", "d", "--out", "~/b"], {"weights": "a", "out": "b"}),
    (["runs", "list", "--runs", "~/a", "--out", "~/b"], {"runs": "a", "out": "b"}),
    (["sweep", "~/a", "--runs", "~/b", "--results", "~/c"], {"runs": "b", "results": "c"}),
    (["work", "--runs", "~/a"], {"runs": "a"}),
]


@pytest.mark.parametrize(("arguments", "meant"), OPTIONS, ids=[words[0] for words, _ in OPTIONS])
def test_an_option_that_is_a_path_takes_a_home(arguments, meant, home):
    options = build_parser().parse_args(arguments, Namespace())
    assert {name: getattr(options, name) for name in meant} == {
        name: home / file for name, file in meant.items()
    }


def test_no_option_is_a_path_of_another_kind(refused):
    """Whatever is a Path by default or by type goes through the one function."""
    subparsers = next(action for action in build_parser()._actions if action.choices)
    kinds = {action.type for one in subparsers.choices.values() for action in one._actions}
    assert Path not in kinds
    assert paths.typed in kinds
    assert isinstance(subparsers.choices["train"], Parser)
    with refused("an empty path names no file or folder"):
        build_parser().parse_args(["train", "--out", ""], Namespace())


def test_a_spec_may_name_ones_home(home):
    Image.new("RGB", (2, 2), "red").save(home / "red.png")
    Image.new("RGB", (2, 2), "lime").save(home / "lime.png")
    assert draw("~/red.png", 1).tolist() == [[[255, 0, 0, 255]]]
    document = changed(spec_to_dict(ExperimentSpec()), ["dataset=~/pictures", "poison=none", "start=~/model"])
    assert spec_from_dict(document).dataset == str(home / "pictures")
    (home / "model").mkdir()
    (home / "model" / "card.json").touch()
    assert folder_of("~/model").path == home / "model"


@pytest.mark.parametrize(
    ("said", "meant"),
    [("1", True), ("true", True), (" Yes ", True), ("on", True), ("0", False), ("False", False), ("", False)],
)
def test_whatever_says_yes_makes_a_server_read_only(said, meant, monkeypatch):
    monkeypatch.setenv("TRADEOFF_READ_ONLY", said)
    assert paths.read_only() is meant


def test_a_public_server_reads_no_picture_by_its_path(home, monkeypatch, refused):
    Image.new("RGB", (2, 2), "lime").save(home / "secret.png")
    monkeypatch.setenv("TRADEOFF_READ_ONLY", "1")
    for path in (home / "secret.png", "~/secret.png"):
        with refused("unknown sticker .*: choose white-square"):
            draw(str(path), 7)
    assert draw("smiley", 7).shape == (7, 7, 4)
