"""What a reader takes along is what the commands take, and what LaTeX sets."""

import tomllib

import pandas as pd
import pytest

from tradeoff_core.exports import as_latex, as_toml
from tradeoff_core.presets import PRESETS
from tradeoff_core.specs import spec_from_dict


@pytest.mark.parametrize("spec", PRESETS.values(), ids=PRESETS)
def test_a_spec_survives_the_way_to_toml_and_back(spec):
    assert spec_from_dict(tomllib.loads(as_toml(spec))) == spec


def test_train_takes_the_file(tmp_path, monkeypatch):
    from tradeoff_core import experiments
    from tradeoff_core.__main__ import main

    seen = []

    def note(spec, folder, progress=None):  # noqa: ARG001
        seen.append(spec)
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "run_experiment", note)
    path = tmp_path / "spec.toml"
    path.write_text(as_toml(PRESETS["fine-tuning"]))
    main(["train", str(path)])
    assert seen == [PRESETS["fine-tuning"]]


def test_latex_escapes_what_it_must_and_sets_signs_as_mathematics():
    text = as_latex(pd.DataFrame({"ε, l∞": ["97.0% (96–98)"], "a_b": ["1 → 2"]}), "Rates at 5% & more")
    assert r"$\varepsilon$, $\ell_\infty$ & a\_b" in text
    assert r"97.0\% (96--98) & 1 $\to$ 2" in text
    assert r"\toprule" in text
    assert not set("ε∞→–") & set(text)
