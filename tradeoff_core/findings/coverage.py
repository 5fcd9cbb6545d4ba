"""Why a published row has no number of ours, or not all: in a sentence, by what would measure it."""

from typing import Any

from tradeoff_core.findings import our_rows, results
from tradeoff_core.findings.our_rows import Counterpart

SWEEPS = {  # a data set of the paper -> the sweep that trains its networks, and the data set that stands for it
    "mnist": ("tables", "mnist-5k"),
    "cifar10": ("rows", "cifar10"),
    "imagenet": ("tables", "imagenette-128"),
}
GRIDS = {"mnist": "tables", "cifar10": "rows-cifar10", "imagenet": "tables-imagenette-128"}
DOUBLED = [128, 256, 512, 1024]
NEVER = (
    "Not to be had: ImageNet's weights, from which the paper's networks start, exist here at one width alone"
)
NOT_RETRAINED = "Training anew without what was found is not measured yet"


def missing(entry: dict[str, Any], ours: Counterpart) -> str:
    """What a published row lacks here and why, empty if it lacks nothing."""
    if not ours.rates:
        return _why_nothing(entry)
    columns = ("backdoor_success_rate_after", "recall_with_defense")
    return NOT_RETRAINED if any(entry.get(name) and name not in ours.rates for name in columns) else ""


def _why_nothing(entry: dict[str, Any]) -> str:
    if entry.get("filters") == DOUBLED:
        return NEVER
    name, dataset = network_of(entry), entry["dataset"]
    sweep, stand_in = SWEEPS[dataset]
    if any(run.condition == name for run in results.sweep(sweep, stand_in)):
        return f"Not measured yet: its network is trained ({name}), the defense has not looked at it"
    return f"Not trained yet: {name} in grids/{GRIDS[dataset]}.toml"


def network_of(entry: dict[str, Any]) -> str:
    """The name in its data set's grid of the network that a row is measured of."""
    if entry["table"] not in our_rows.DEFENDED:
        return our_rows.condition_of(entry)
    dirty = entry.get("labels") == "dirty"
    if entry.get("trigger") == "watermark":
        return "watermark-dirty-label" if dirty else "watermark-adversarial"
    less = entry.get("rate_in_table", 5) if entry["table"] == "main-3ab" else 5
    if less == 5:
        return "dirty-label" if dirty else "adversarial"
    if entry["dataset"] == "cifar10":
        return f"dirty-label-{less:g}" if dirty else f"clean-label-{less:g}-adversarial"
    return "dirty-label-less-poison" if dirty else "adversarial-less-poison"
