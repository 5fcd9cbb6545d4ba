"""What a reader takes along of a run: its spec as TOML."""

import shlex

import tomli_w

from tradeoff_core.experiments.spec import ExperimentSpec, spec_to_dict


def toml_name(spec: ExperimentSpec) -> str:
    """What the file of a spec is called."""
    return f"{spec.id}.toml"


def as_toml(spec: ExperimentSpec) -> str:
    """The spec as a file that the command in its first line trains, from the folder that the file lies in."""
    command = f"python -m tradeoff_core train {shlex.quote(toml_name(spec))}"
    return f"# {command}\n{tomli_w.dumps(spec_to_dict(spec))}"
