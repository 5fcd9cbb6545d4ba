"""Where a run's numbers go besides its folder: TensorBoard and MLflow, each an extra, each asked for by a variable.

`TRADEOFF_TENSORBOARD` names a folder of logs (`tensorboard --logdir` shows it), `TRADEOFF_MLFLOW` the address of a
tracking server, as http://10.0.0.1:5000. Training in the app, on the command line, in sweeps and on a cluster all obey.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from tradeoff_core.common.console import say
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import typed
from tradeoff_core.experiments.spec import flat

TENSORBOARD, MLFLOW = "TRADEOFF_TENSORBOARD", "TRADEOFF_MLFLOW"
EXPERIMENT = "robustness-backdoor-tradeoff"  # under which MLflow lists the runs
LONGEST = 5000  # characters of a field that MLflow takes, roughly

Log = Callable[[dict[str, Any], int], None]  # values by name, of which only numbers are logged, and the epoch


@contextmanager
def opened(run: str, spec: dict[str, Any]) -> Iterator[Log]:
    """What logs the numbers of a run, whose spec is a document, wherever that was asked for; nowhere by default.

    A place that fails once training has begun is left alone from then on, with a warning: it costs no run. Raises
    TradeoffError for one that cannot be opened.
    """
    with ExitStack() as stack:
        logs = {
            variable: stack.enter_context(open_one(place, run, spec))
            for variable, open_one in ((TENSORBOARD, _tensorboard), (MLFLOW, _mlflow))
            if (place := os.environ.get(variable, "").strip())
        }

        def log(values: dict[str, Any], epoch: int) -> None:
            numbers = {name: float(value) for name, value in values.items() if isinstance(value, int | float)}
            for variable in list(logs):
                try:
                    logs[variable](numbers, epoch)
                except Exception as error:  # theirs are of many kinds
                    del logs[variable]
                    say(f"warning: nothing goes to {variable} any more: {_line(error)}")

        yield log


@contextmanager
def _tensorboard(place: str, run: str, spec: dict[str, Any]) -> Iterator[Log]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise TradeoffError(f'{TENSORBOARD} needs TensorBoard: pip install ".[tensorboard]"') from None
    try:
        writer: Any = SummaryWriter(typed(place) / run)
    except OSError as error:
        raise TradeoffError(f"{TENSORBOARD} '{place}' cannot be written: {error.strerror}") from None
    writer.add_text("spec", "\n".join(f"    {key} = {value}" for key, value in flat(spec).items()), 0)

    def log(numbers: dict[str, float], epoch: int) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    with writer:
        yield log


@contextmanager
def _mlflow(place: str, run: str, spec: dict[str, Any]) -> Iterator[Log]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # it would try for minutes
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise TradeoffError(f'{MLFLOW} needs MLflow: pip install ".[mlflow]"') from None
    try:
        client = MlflowClient(place)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        number = experiment.experiment_id if experiment else client.create_experiment(EXPERIMENT)
        begun = client.search_runs([number], f"tags.mlflow.runName = '{run}'", max_results=1)
        name = (begun[0] if begun else client.create_run(number, run_name=run)).info.run_id
        client.update_run(name, "RUNNING")  # a resumed one goes on
        for key, value in flat(spec).items():
            client.log_param(name, key, str(value)[:LONGEST])
    except Exception as error:  # of the network, of the server, of the address
        raise TradeoffError(f"{MLFLOW} '{place}' cannot be used: {_line(error)}") from None

    def log(numbers: dict[str, float], epoch: int) -> None:
        for key, value in numbers.items():
            client.log_metric(name, key, value, step=epoch)

    status = "KILLED"
    try:
        yield log
        status = "FINISHED"
    finally:
        with suppress(Exception):
            client.set_terminated(name, status)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
