"""What a reader takes along: a table as CSV or LaTeX, a run's spec as TOML."""

import pandas as pd
import tomli_w

from tradeoff_core.specs import ExperimentSpec, spec_to_dict

IN_LATEX = {
    "l∞": r"$\ell_\infty$",
    "ε": r"$\varepsilon$",
    "→": r"$\to$",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
}


def as_toml(spec: ExperimentSpec) -> str:
    """The spec as a file that the command `train` takes."""
    return f"# python -m tradeoff_core train {spec.title}.toml\n{tomli_w.dumps(spec_to_dict(spec))}"


def as_latex(table: pd.DataFrame, caption: str) -> str:
    """The table for a LaTeX document that loads booktabs; signs of the field become mathematics."""
    text: str = table.to_latex(index=False, escape=True, caption=caption, na_rep="")
    for sign, command in IN_LATEX.items():
        text = text.replace(sign, command)
    return text
