"""The report and the notebook of a run; the notebook is run."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from html import unescape
from pathlib import Path

import nbformat
import pytest

from tradeoff_core.__main__ import main
from tradeoff_core.common.paths import ROOT
from tradeoff_core.experiments.spec import spec_from_dict
from tradeoff_core.models.zoo import find_model
from tradeoff_core.reports.notebook import notebook
from tradeoff_core.reports.report import report

SHIPPED = "mnist-5k-clean-label-pgd-0.3"


@pytest.fixture(scope="module")
def reported(finished_run):
    return report([find_model(str(finished_run)), find_model(SHIPPED)])


def test_a_report_holds_every_number_of_its_runs_with_n_and_interval(reported, finished_run):
    for name in (str(finished_run), SHIPPED):
        model = find_model(name)
        for rate in (model.clean_accuracy, model.adversarial_accuracy, model.backdoor_success_rate):
            low, high = rate.interval
            assert (
                f"<b>{rate.value:.1%}</b><small>{rate.count:,} of {rate.n:,}, {low:.1%}–{high:.1%}"
                in reported
            )
        assert model.sha256[:16] in reported
        assert f"python -m tradeoff_core evaluate {model.id}" in reported


def test_the_spec_in_a_report_is_the_runs_own(reported, finished_run):
    (text, _) = re.findall(r"<pre>(# python -m tradeoff_core train .*?)</pre>", reported, re.DOTALL)
    assert spec_from_dict(tomllib.loads(unescape(text))) == find_model(str(finished_run)).spec


def test_a_report_draws_the_three_numbers_and_the_training_and_tells_where_the_specs_differ(
    reported, finished_run
):
    drawn = json.loads(re.search(r'id="figures">(.*?)</script>', reported, re.DOTALL)[1])
    assert set(drawn) == {"rates", "curves"}
    models = [find_model(str(finished_run)), find_model(SHIPPED)]
    bars = [trace["y"] for trace in drawn["rates"]["data"]]
    assert bars == [
        pytest.approx([100 * getattr(model, rate).value for model in models])
        for rate in ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate")
    ]
    differences = reported.partition("Where the specs differ")[2].partition("</table>")[0]
    assert "<td>0.05</td><td>0.5</td>" in differences  # the width
    assert "dataset" not in differences


def test_what_a_run_is_called_stays_text(finished_run, tmp_path):
    folder = tmp_path / finished_run.name
    shutil.copytree(finished_run, folder)
    (folder / "order.json").write_text(json.dumps({"name": "<script>alert(1)</script>"}))
    assert "<script>alert" not in report([find_model(str(folder))])


def test_the_command_writes_either_and_refuses_a_notebook_of_two(finished_run, tmp_path, capsys):
    for file in ("report.html", "again.ipynb"):
        assert main(["report", str(finished_run), "--out", str(tmp_path / file), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["bytes"] == (tmp_path / file).stat().st_size
    assert main(["report", str(finished_run), SHIPPED, "--out", str(tmp_path / "two.ipynb")]) == 2
    assert "a notebook measures one network" in capsys.readouterr().err
    assert not (tmp_path / "two.ipynb").exists()


def cells(text):
    """The notebook, which is valid, and its code."""
    made = nbformat.reads(text, as_version=4)
    nbformat.validate(made)
    return [cell["source"] for cell in made["cells"] if cell["cell_type"] == "code"]


def executed(code, runs):
    """What its cells print, one after the other in one process, in the folder of the repository."""
    environment = {
        "TRADEOFF_RUNS": str(runs),
        "OMP_NUM_THREADS": "1",
        "PATH": str(Path(sys.executable).parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_notebook_measures_the_run_again(finished_run, monkeypatch):
    monkeypatch.setenv("TRADEOFF_RUNS", str(finished_run.parent))
    model = find_model(str(finished_run))
    text = notebook(model)
    assert notebook(model) == text
    told = executed(cells(text), finished_run.parent)
    for name in ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate"):
        expected = f"{model.card.metrics[name]:.4f}"
        assert f"{name}: {expected} now, {expected} on its card" in told


def test_the_notebook_of_a_shipped_network_names_it_by_its_id():
    code = cells(notebook(find_model(SHIPPED)))
    assert f'zoo.find_model("{SHIPPED}")' in "\n".join(code)
