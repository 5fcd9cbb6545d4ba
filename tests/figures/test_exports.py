"""A spec that a reader takes along is what the command takes."""

import shlex
import tomllib
from pathlib import Path

import pytest

from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import spec_from_dict
from tradeoff_core.figures.exports import as_toml, toml_name


@pytest.mark.parametrize("spec", PRESETS.values(), ids=PRESETS)
def test_a_spec_survives_the_way_to_toml_and_back(spec):
    assert spec_from_dict(tomllib.loads(as_toml(spec))) == spec


def test_the_first_line_trains_the_file_as_it_is_called(tmp_path, monkeypatch):
    from tradeoff_core.__main__ import main
    from tradeoff_core.experiments import run

    seen = []

    def note(spec, folder, progress=None):  # noqa: ARG001
        seen.append(spec)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_experiment", note)
    monkeypatch.chdir(tmp_path)
    for name in ("fine-tuning", "fast"):
        text = as_toml(PRESETS[name])
        Path(toml_name(PRESETS[name])).write_text(text)
        start, *command = shlex.split(text.splitlines()[0].removeprefix("# "))[2:]
        assert start == "tradeoff_core"
        main(command)
        assert seen.pop() == PRESETS[name]
