import json
import shutil

import pytest

from tradeoff_core.models import zoo
from tradeoff_core.tools import publish


@pytest.fixture
def models(tmp_path, monkeypatch):
    """An empty zoo."""
    for module in ("tools.publish", "experiments.run_folder"):
        monkeypatch.setattr(f"tradeoff_core.{module}.MODELS", tmp_path / "models")
    return tmp_path / "models"


def test_a_finished_run_becomes_a_model_and_keeps_what_was_measured_of_its_weights(
    models, finished_run, tiny_spec
):
    assert publish.main([str(finished_run)]) == 0
    model = zoo.find_model(tiny_spec.title)
    assert model.folder == models / tiny_spec.title
    assert model.card.document() == json.loads((finished_run / "card.json").read_text()) | {
        "id": tiny_spec.title
    }
    zoo.load_network(model)
    rates = dict.fromkeys(("pgd_accuracy", "pgd_100x5_accuracy", "autoattack_accuracy"), 0.5)
    for sha256, stays in ((model.sha256, True), (64 * "0", False)):
        stronger = {"sha256": sha256, "subset": "some", "warnings": [], **rates}
        (model.folder / "card.json").write_text(
            json.dumps(model.card.document() | {"sha256": sha256, "stronger": stronger})
        )
        assert publish.main([str(finished_run)]) == 0
        assert (zoo.find_model(tiny_spec.title).card.stronger is not None) is stays


def test_of_a_folder_of_runs_those_of_the_grid_are_published(models, finished_run, tmp_path, monkeypatch):
    grid = tmp_path / "zoo.toml"
    grid.write_text(
        "[[grid]]\nset = { width = 0.05, training = { epochs = 2, batch_size = 200, learning_rate = 0.003 }, "
        "evaluation = { epsilon = 0.1, steps = 2 } }\nvary = { seed = [0, 1] }\n"
    )
    monkeypatch.setattr(publish, "GRID", grid)
    shutil.copytree(finished_run, tmp_path / "runs" / finished_run.name)
    shutil.copytree(finished_run, tmp_path / "runs" / "another")
    assert publish.main(["--runs", str(tmp_path / "runs")]) == 0
    assert [folder.name for folder in models.iterdir()] == [zoo.find_model(str(finished_run)).spec.title]


def test_what_is_no_finished_run_is_refused(models, tmp_path, capsys):
    assert publish.main([str(tmp_path)]) == 1
    assert "unknown model" in capsys.readouterr().err
    assert not models.exists()
