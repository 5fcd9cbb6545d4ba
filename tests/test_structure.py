"""What no part of the code may do: know of the app, run what a file says, lie where nobody looks, grow too long.

Which room may import which is held by `lint-imports` (pyproject.toml).
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "tradeoff_core"
MODULES = {str(file.relative_to(CORE)): file for file in sorted(CORE.rglob("*.py"))}
WRITTEN = [*MODULES.values(), *sorted((ROOT / "pages").rglob("*.py")), ROOT / "app.py"]
FLAT = {"__init__.py", "__main__.py", "rates.py"}
LONGEST_FILE, LONGEST_FUNCTION = 400, 60  # lines

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys, tradeoff_core
for module in pkgutil.walk_packages(tradeoff_core.__path__, "tradeoff_core."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            # what makes the assets, and what measures, may want more than the app needs
            assert module.name.startswith(("tradeoff_core.tools.", "tradeoff_core.bench")), error
print(*sys.modules)
"""


def test_the_core_is_found():
    assert {"attacks/gradient.py", "datasets/base.py", "training/loop.py", "models/zoo.py"} <= set(MODULES)


def test_every_room_keeps_the_contracts():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_lie_in_rooms():
    assert {name for name in MODULES if "/" not in name} <= FLAT


def too_long() -> Iterator[str]:
    for file in WRITTEN:
        text, name = file.read_text(), file.relative_to(ROOT)
        lines = len(text.splitlines())
        if lines > LONGEST_FILE:
            yield f"{name}: {lines} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    yield f"{name}: {node.name}, {lines} lines"


def test_files_and_functions_fit_on_few_screens():
    assert list(too_long()) == []


def test_what_is_shipped_stays_below_200_mb():
    files = [file for file in (CORE.parent / "assets").rglob("*") if file.is_file()]
    assert len(files) > 100
    assert sum(file.stat().st_size for file in files) < 200e6


SLOW = {"scipy", "sklearn", "captum", "pandas", "streamlit", "torchvision", "plotly", "torchattacks", "ray"}
LIGHT = {
    "import tradeoff_core": SLOW | {"torch", "numpy"},
    "import tradeoff_core.models.zoo": SLOW | {"torch"},
    "from tradeoff_core.__main__ import main; assert main(['models', '--json']) == 0": SLOW | {"torch"},
    "from tradeoff_core.__main__ import main; assert main(['runs', 'list', '--json']) == 0": SLOW | {"torch"},
}


@pytest.mark.parametrize("does", LIGHT)
def test_what_should_come_at_once_loads_nothing_slow(does):
    code = f"import sys; {does}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.split())
    assert "tradeoff_core" in loaded
    assert not loaded & LIGHT[does]


def test_importing_all_of_the_core_loads_no_streamlit():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], cwd=CORE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"tradeoff_core.models.zoo", "tradeoff_core.experiments.run", "torch"} <= loaded
    assert not loaded & {"streamlit", "torchattacks", "foolbox", "art", "torchvision", "captum"}


def test_the_core_unpickles_nothing():
    for name, file in MODULES.items():
        tree = ast.parse(file.read_text())
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            called, where = ast.unparse(call.func), f"{name}, line {call.lineno}"
            assert called not in {"eval", "exec", "pd.read_pickle"}, where
            if called == "torch.load":  # a maker's checkpoint is converted once, and gives tensors alone
                assert file.parent.name == "tools", where
                assert "weights_only=True" in map(ast.unparse, call.keywords), where
            pickles = [keyword.value for keyword in call.keywords if keyword.arg == "allow_pickle"]
            assert all(isinstance(value, ast.Constant) and value.value is False for value in pickles), where
            if called == "np.load":
                assert pickles, f"{where}: say allow_pickle=False"


def test_a_file_stays_in_one_process(request):
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("there is one process")
    assert request.node.nodeid.endswith(f"@{request.path}")


def test_a_servers_unit_has_room_for_its_descriptors_and_begins_anew_each_night():
    (unit,) = re.findall(r"```ini\n(.*?)```", (CORE / "README.md").read_text(), re.DOTALL)
    said = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
    visits = 20_000  # a day, of which each leaves three open
    assert int(said["LimitNOFILE"]) > 3 * visits
    assert (said["RuntimeMaxSec"], said["Restart"]) == ("1d", "always")


def test_no_visitor_makes_the_server_walk_through_its_modules():
    """With a watcher a module that is loaded late costs a third of a second for each visitor, while all others wait."""
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["fileWatcherType"] == "none"
