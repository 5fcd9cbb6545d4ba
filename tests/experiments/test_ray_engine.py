"""Sweeps on a real Ray cluster of two nodes on this machine: as local ones, also when a node is lost."""

import threading
import time

import pytest

from tradeoff_core.__main__ import main
from tradeoff_core.experiments import ray_engine
from tradeoff_core.experiments.spec import spec_to_dict
from tradeoff_core.experiments.sweep import read_grid, run_sweep

pytestmark = pytest.mark.ray
GRID = """
[[grid]]
name = "tiny"
set = { width = 0.05, "training.epochs" = 4, "training.batch_size" = 200, "evaluation.steps" = 1 }
vary = { seed = [0, 1, 2] }
"""


@pytest.fixture
def jobs(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return read_grid(path)


@pytest.fixture
def nodes():
    """A head that computes nothing, and two nodes of one core."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    started = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield started, [started.add_node(num_cpus=1) for _ in range(2)]
    started.shutdown()


def without_times(lines):
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_a_cluster_gives_what_one_machine_gives_also_when_a_node_is_lost(jobs, nodes, tmp_path):
    local = run_sweep(jobs, tmp_path / "local", tmp_path / "local.jsonl", workers=2)
    started, workers = nodes
    with ray_engine.on_ray(started.address) as (execute, count):
        assert count == 2

        def lose_a_node() -> None:
            """Once both train: the first epoch of some run is on the disk."""
            while not list((tmp_path / "ray").glob("*/progress.jsonl")):
                time.sleep(0.05)
            started.remove_node(workers[0], allow_graceful=False)

        threading.Thread(target=lose_a_node, daemon=True).start()
        swept = run_sweep(jobs, tmp_path / "ray", tmp_path / "ray.jsonl", count, execute=execute)
    assert (swept.done, swept.failed) == (3, 0)
    assert without_times(swept.results) == without_times(local.results)
    assert all((tmp_path / "ray" / job.spec.id / "model.safetensors").is_file() for job in jobs)


def test_files_of_another_machines_disk_are_sent_back(jobs, tmp_path):
    result, files = ray_engine._run(spec_to_dict(jobs[0].spec), str(tmp_path / "there"))
    assert "metrics" in result
    assert set(files) >= {"spec.json", "result.json", "card.json", "model.safetensors"}
    assert files["model.safetensors"] == (tmp_path / "there" / "model.safetensors").read_bytes()
    result, files = ray_engine._run({"colour": "red"}, str(tmp_path / "nowhere"))
    assert "unknown field 'colour'" in result["error"]
    assert files == {}


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path, capsys):
    pytest.importorskip("ray")
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID)
    place = ["--runs", str(tmp_path / "runs")]
    assert main(["sweep", str(grid), *place, "--address", "127.0.0.1:1"]) == 2
    assert "say --engine ray too" in capsys.readouterr().err
    assert main(["sweep", str(grid), *place, "--engine", "ray", "--address", "127.0.0.1:1"]) == 2
    assert "there is no Ray cluster at '127.0.0.1:1'" in capsys.readouterr().err
