"""The runs of a sweep on a Ray cluster: the same `spec -> result`, tried again where a worker or a machine is lost.

Ray is an extra (`pip install ".[cluster]"`). Every machine needs this repository at the same path, and the data sets where
TRADEOFF_DATA says. Where the machines share a disk a run goes on from its last epoch; where they do not, it starts again
and its files are sent back.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tradeoff_core.common.devices import PRECISION
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import write_atomically
from tradeoff_core.common.paths import ROOT
from tradeoff_core.experiments import trackers
from tradeoff_core.experiments.run_folder import KEPT, RESULT, RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec, spec_to_dict
from tradeoff_core.experiments.sweep import Execute, run_one

PATIENCE = 5  # seconds for a cluster to answer
RETRIES = 3  # of a run whose worker or machine is lost
VARIABLES = ("TRADEOFF_DATA", "TRADEOFF_DEVICE", PRECISION, trackers.TENSORBOARD, trackers.MLFLOW)


@contextmanager
def on_ray(
    address: str | None, seconds_left: Callable[[], float | None] = lambda: None
) -> Iterator[tuple[Execute, int]]:
    """What executes a run on the cluster at `address` (a cluster of this machine if None), and how many at a time.

    `seconds_left` tells the time until runs are stopped, None for never.

    Raises TradeoffError if Ray is not installed, or if there is no cluster.
    """
    try:
        import ray
    except ImportError:
        raise TradeoffError("--engine ray needs Ray: pip install ray==2.60.0") from None
    if address:
        _check(address)
    variables = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    environment = {"env_vars": {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | variables}
    try:
        ray.init(
            address,
            runtime_env=environment,
            log_to_driver=False,
            include_dashboard=None if address else False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise TradeoffError(f"there is no Ray cluster at '{address}': {str(error).splitlines()[0]}") from None
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_run)

    def execute(spec: ExperimentSpec, folder: Path, _: Callable[[float], None]) -> dict[str, Any] | None:
        task = remote.remote(spec_to_dict(spec), str(folder.resolve()))
        left = seconds_left()
        try:
            result, files = ray.get(task, timeout=None if left is None else max(left, 0.001))
        except ray.exceptions.GetTimeoutError:
            ray.cancel(task, force=True)
            return None
        except ray.exceptions.RayError as error:
            return {"error": f"lost {RETRIES + 1} times: {' '.join(str(error).split())[:200]}"}
        if not RunFolder(folder).finished:  # another machine's disk
            for name in sorted(files, key=RESULT.__eq__):  # which says that a run is finished, comes last
                write_atomically(folder / name, files[name])
        done: dict[str, Any] = result
        return done

    try:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        yield execute, max(1, int(resources.get("CPU", 1)))
    finally:
        ray.shutdown()


def _check(address: str) -> None:
    """Raise TradeoffError if nobody answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    except (OSError, ValueError, OverflowError):
        raise TradeoffError(
            f"there is no Ray cluster at '{address}': give its HOST:PORT, as 10.0.0.1:6379"
        ) from None


def _run(document: dict[str, Any], folder: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """On a worker: the result of a run and its files, or what went wrong as {"error": ...}."""
    import torch

    torch.set_num_threads(1)
    try:
        result = run_one(document, folder)
    except Exception as error:  # recorded, whatever it is: the others go on
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}, {}
    place = Path(folder)
    return result, {name: (place / name).read_bytes() for name in KEPT if (place / name).is_file()}
