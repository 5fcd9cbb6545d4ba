"""What no part of the core may do: know of the app, or run what a file says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parent.parent / "tradeoff_core"
MODULES = {str(file.relative_to(CORE)): file for file in sorted(CORE.rglob("*.py"))}
modules = pytest.mark.parametrize("file", MODULES.values(), ids=MODULES)

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


def imported(tree: ast.AST) -> set[str]:
    """The top-level packages that a module imports anywhere in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def test_the_core_is_found():
    assert {"attacks.py", "datasets/base.py", "training.py", "zoo.py"} <= set(MODULES)


@modules
def test_the_core_never_imports_the_app(file):
    assert not imported(ast.parse(file.read_text())) & {"streamlit", "pages", "app"}


def test_what_is_shipped_stays_below_200_mb():
    files = [file for file in (CORE.parent / "assets").rglob("*") if file.is_file()]
    assert len(files) > 100
    assert sum(file.stat().st_size for file in files) < 200e6


def test_importing_all_of_the_core_loads_no_streamlit():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], cwd=CORE.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"tradeoff_core.zoo", "tradeoff_core.experiments", "torch"} <= loaded
    assert not loaded & {"streamlit", "torchattacks", "foolbox", "art", "torchvision", "captum"}


@modules
def test_the_core_unpickles_nothing(file):
    tree = ast.parse(file.read_text())
    assert not imported(tree) & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        assert name not in {"eval", "exec", "pd.read_pickle"}, f"line {call.lineno}"
        if name == "torch.load":  # a maker's checkpoint is converted once, and gives tensors alone
            assert file.parent.name == "tools", f"line {call.lineno}"
            assert "weights_only=True" in map(ast.unparse, call.keywords), f"line {call.lineno}"
        pickles = [keyword.value for keyword in call.keywords if keyword.arg == "allow_pickle"]
        assert all(isinstance(value, ast.Constant) and value.value is False for value in pickles)
        if name == "np.load":
            assert pickles, f"line {call.lineno}: say allow_pickle=False"


LAYERS = {  # data and models know nothing of experiments
    "errors.py": set(),
    "paths.py": {"errors"},
    "attacks.py": {"errors"},
    "datasets/base.py": {"errors"},
    "datasets/reading.py": {"errors"},
    "datasets/listing.py": {"errors", "datasets.reading"},
    "datasets/cache.py": {"errors", "datasets.archives", "datasets.base", "datasets.reading"},
    "datasets/archives.py": {"errors", "datasets.base"},
    "datasets/own.py": {
        *("errors", "datasets.base", "datasets.imagenet", "datasets.listing", "datasets.reading"),
    },
    "datasets/imagenet.py": {"errors", "paths", "datasets.listing", "datasets.reading"},
    "networks/base.py": {"errors"},
    "networks/digits.py": {"networks.base"},
    "networks/residual.py": {"networks.base"},
    "networks/imagenet.py": {"errors", "datasets", "networks.base", "networks.residual"},
    "networks/folding.py": {"networks.base"},
    "triggers.py": {"errors", "paths", "datasets"},
    "poisoning.py": {"errors", "datasets", "triggers"},
    "augmentation.py": {"errors"},
    "devices.py": {"errors"},
    "distributed.py": {"devices", "errors"},
    "recipes.py": {"attacks", "augmentation", "errors"},
    "evaluation.py": {"errors", "attacks", "datasets", "devices", "networks", "triggers"},
    "objectives.py": {"attacks"},
    "certification.py": {"errors", "networks"},
    "regions.py": {"attacks", "certification", "errors", "evaluation", "networks"},
    "specs.py": {"attacks", "datasets", "errors", "networks", "poisoning", "recipes", "triggers"},
    "exports.py": {"specs"},
    "sinks.py": {"errors", "specs"},
    "training.py": {
        *("errors", "paths", "attacks", "certification", "datasets", "devices", "distributed", "networks"),
        *("evaluation", "objectives", "recipes"),
    },
    # nor do the defenses, save the module that applies them to trained models
    "defenses/detection.py": {"errors", "evaluation", "networks", "poisoning"},
    "defenses/spectral_signatures.py": {"errors", "defenses.detection"},
    "defenses/activation_clustering.py": {"errors", "defenses.detection", "defenses.spectral_signatures"},
    "defenses/neural_cleanse.py": {"devices", "errors", "networks"},
    "saliency.py": {"errors", "networks", "networks.imagenet", "networks.residual"},
    # runs on disk are read without loading networks, save when one is brought along
    "locks.py": {"errors"},
    "runs.py": {"errors", "locks", "paths", "specs", "zoo"},
    "jobs.py": {"errors", "locks", "paths", "runs"},
}


@pytest.mark.parametrize("name", LAYERS)
def test_imports_point_one_way(name):
    used = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tradeoff_core"):
            path = (node.module or "").partition(".")[2]
            used |= {path} if path else {alias.name for alias in node.names}
    assert used <= LAYERS[name]
