"""Which networks are measured: the zoo's, finished runs of a grid, and those that are named."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tradeoff_core import datasets
from tradeoff_core.common.devices import best_device
from tradeoff_core.common.paths import MODELS, RESULTS
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks import Network
from tradeoff_core.tools.measure.lines import What


@cache
def specs_of(grid: str) -> dict[str, ExperimentSpec]:
    """The specs of a grid in assets/results/grids/, by their ids."""
    return {job.spec.id: job.spec for job in read_grid(RESULTS / "grids" / f"{grid}.toml")}


def is_digits(model: Model) -> bool:
    """Whether it reads the digits of the repository; others read photographs, or a folder of a person's."""
    return model.spec.dataset == "mnist-5k"


def in_the_zoo(model: Model) -> bool:
    """Whether it is a model of the repository that was trained here, not the folder of a run."""
    return model.folder.parent == MODELS and not model.trained_elsewhere


def placed(model: Model, *, folded: bool = True) -> Network:
    """The model's network, where it is computed fastest."""
    return zoo.load_network(model, folded=folded).to(best_device())


def asked(what: What, named: Sequence[str], runs: Path, *, by_name: bool) -> list[Model]:
    """The networks that something is measured of: those named, else the zoo's and the finished runs of its grid in `runs`.

    Where it was not asked for `by_name`, a named one is measured as it would be unnamed. Those whose data set is not on this
    machine are left out. Raises TradeoffError for a name that is none.
    """
    grid = specs_of(what.grid) if what.grid else None
    if named:
        found = [zoo.find_model(name) for name in named]
    else:
        found = [model for name in zoo.model_ids() if in_the_zoo(model := zoo.find_model(name))]
        shipped = {model.spec.id for model in found}
        for name in grid or ():
            if name not in shipped and RunFolder(runs / name).finished:
                found.append(zoo.find_model(str(runs / name)))
    if grid is not None:
        order = {name: number for number, name in enumerate(grid)}
        found.sort(key=lambda model: order.get(model.spec.id, len(order)))
        if not (named and by_name):
            found = [model for model in found if not is_digits(model) or model.spec.id in order]
    return [model for model in found if what.applies(model) and datasets.available(model.spec.dataset)]
