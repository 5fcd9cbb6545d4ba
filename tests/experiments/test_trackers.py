"""Runs that log to TensorBoard and to MLflow as well, in their own formats; a place that fails costs no run."""

import sys

import pytest

from tradeoff_core.experiments import trackers
from tradeoff_core.experiments.run import run_experiment


@pytest.fixture(autouse=True)
def files(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # there is no server here


def test_tensorboard_and_mlflow_get_every_epoch_and_the_final_numbers(
    tiny_spec, finished_run, tmp_path, monkeypatch
):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv(trackers.TENSORBOARD, str(tmp_path / "logs"))
    monkeypatch.setenv(trackers.MLFLOW, f"file://{tmp_path}/tracked")
    result = run_experiment(tiny_spec, tmp_path / "run")
    assert result["metrics"] == run_experiment(tiny_spec, finished_run)["metrics"]

    events = accumulator.EventAccumulator(str(tmp_path / "logs" / tiny_spec.id))
    events.Reload()
    assert [event.step for event in events.Scalars("validation_accuracy")] == [1, 2]
    (clean,) = events.Scalars("test_clean_accuracy")
    assert clean.value == pytest.approx(result["metrics"]["clean_accuracy"])

    client = mlflow.MlflowClient(f"file://{tmp_path}/tracked")
    (run,) = client.search_runs([client.get_experiment_by_name(trackers.EXPERIMENT).experiment_id])
    assert (run.info.run_name, run.info.status) == (tiny_spec.id, "FINISHED")
    assert run.data.params["training.epochs"] == "2"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 2
    success = result["metrics"]["backdoor_success_rate"]
    assert run.data.metrics["test_backdoor_success_rate"] == pytest.approx(success)


def test_a_resumed_run_goes_on_in_the_same_run_of_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    place = f"file://{tmp_path}/tracked"
    monkeypatch.setenv(trackers.MLFLOW, place)

    def stopped():
        with trackers.opened("mine", {"seed": 0}) as log:
            log({"loss": 2.0}, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    client = mlflow.MlflowClient(place)
    number = client.get_experiment_by_name(trackers.EXPERIMENT).experiment_id
    assert client.search_runs([number])[0].info.status == "KILLED"
    with trackers.opened("mine", {"seed": 0}) as log:
        log({"loss": 1.0}, 2)
    (run,) = client.search_runs([number])
    assert run.info.status == "FINISHED"
    assert [entry.value for entry in client.get_metric_history(run.info.run_id, "loss")] == [2.0, 1.0]


@pytest.mark.parametrize("variable", [trackers.TENSORBOARD, trackers.MLFLOW])
def test_a_package_that_is_not_installed_is_one_sentence_before_any_training(
    variable, tiny_spec, tmp_path, monkeypatch, refused
):
    monkeypatch.setenv(variable, str(tmp_path / "logs"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with refused(f"{variable} needs .* pip install"):
        run_experiment(tiny_spec, tmp_path / "run")
    assert not (tmp_path / "run" / "progress.jsonl").exists()


def test_a_place_that_cannot_be_used_is_one_sentence(tiny_spec, tmp_path, monkeypatch, refused):
    pytest.importorskip("mlflow")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(trackers.TENSORBOARD, str(tmp_path / "file"))
    with refused("cannot be written"):
        run_experiment(tiny_spec, tmp_path / "run")
    monkeypatch.delenv(trackers.TENSORBOARD)
    monkeypatch.setenv(trackers.MLFLOW, "http://127.0.0.1:1")
    with refused("TRADEOFF_MLFLOW 'http://127.0.0.1:1' cannot be used"):
        run_experiment(tiny_spec, tmp_path / "run")


def test_a_place_that_fails_later_costs_no_run(tiny_spec, finished_run, tmp_path, monkeypatch, capsys):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setenv(trackers.TENSORBOARD, str(tmp_path / "logs"))
    monkeypatch.setattr(SummaryWriter, "add_scalar", fail)
    result = run_experiment(tiny_spec, tmp_path / "run")
    assert result["metrics"] == run_experiment(tiny_spec, finished_run)["metrics"]
    assert capsys.readouterr().err.count("nothing goes to TRADEOFF_TENSORBOARD any more") == 1
