"""For every file of assets/results/ what it holds and the one command that repeats it."""

from functools import cache
from pathlib import Path

from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import RESULTS
from tradeoff_core.experiments.sweep import read_grid
from tradeoff_core.findings import results
from tradeoff_core.tools.measure.__main__ import WHATS
from tradeoff_core.tools.measure.networks import specs_of
from tradeoff_core.tools.tables.markdown import table

MEASURE = "python -m tradeoff_core.tools.measure"
SWEEP = "python -m tradeoff_core sweep assets/results/grids/"
GRIDS = RESULTS / "grids"
OTHERS = {  # what neither a sweep nor the measuring of networks made
    "partition-mnist-5k.jsonl": (
        "accuracy that a vote of networks keeps whatever so many poisoned training images say",
        "python -m tradeoff_core.tools.partition",
    ),
    "README.md": ("this page", "python -m tradeoff_core.tools.tables"),
    "published.json": ("the paper's numbers, table by table", "copied from the paper that it names"),
    "peers.json": (
        "what other tools have, each with the file that shows it",
        "read in the versions that it names",
    ),
    "grids/": ("what is trained: every run of a sweep", "written by hand; `sweep` runs them"),
    "triggers/": ("Neural Cleanse's rebuilt triggers of the zoo, by checksum", f"{MEASURE} neural-cleanse"),
    "app-figures.json": ("how fast the app is", "python -m tradeoff_core bench --app"),
    "peers-speed.json": ("how fast the core is beside others", "python -m tradeoff_core bench --peers"),
    "first-draws/": (
        "what pages show before anything is changed on them, by the weights' checksum",
        "python -m tradeoff_core.tools.first_draws",
    ),
    "examples/": ("features of the zoo's photographs, by checksum", f"{MEASURE} detection"),
}


@cache
def _ids(grid: Path) -> frozenset[str]:
    return frozenset(job.spec.id for job in read_grid(grid))


def grid_of(file: str) -> Path:
    """The smallest grid that asks for every run of a swept file. Raises TradeoffError if there is none."""
    runs = {line["run"] for line in results.lines_of(file)}
    fitting = [grid for grid in sorted(GRIDS.glob("*.toml")) if runs <= _ids(grid)]
    if not fitting:
        raise TradeoffError(f"no grid of assets/results/grids/ trains every run of {file}")
    return min(fitting, key=lambda grid: len(_ids(grid)))


def words_of(grid: Path) -> str:
    """What a grid's file says of it: its first comment, up to a command."""
    said = []
    for line in grid.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or line.startswith("#  "):
            break
        said.append(line.removeprefix("#").strip())
    return " ".join(said)


def _entry(file: str) -> tuple[str, str]:
    """What a measured file holds, and its command."""
    for name, what in WHATS.items():
        if what.files and Path(file).match(what.files):
            retrained = " --retrain runs" if name == "detection" else ""
            trained = what.grid and any(spec.dataset in file for spec in specs_of(what.grid).values())
            first = f"{SWEEP}{what.grid}.toml`, then `" if trained else ""
            return what.words, f"{first}{MEASURE} {name}{retrained}"
    grid = grid_of(file)
    return words_of(grid), f"{SWEEP}{grid.name} --results assets/results/{file}"


def files() -> str:
    """The table of all files."""
    measured = [path.name for path in sorted(RESULTS.glob("*.jsonl"))]
    rows = {**{name: _entry(name) for name in measured if name not in OTHERS}, **OTHERS}
    return table(
        ["file", "what", "made by"],
        (
            [f"`{name}`", words.rstrip("."), f"`{made}`" if made.startswith("python") else made]
            for name, (words, made) in rows.items()
        ),
    )
