"""A notebook that measures one run again with the library, and can train it again."""

import json

from tradeoff_core.common.paths import MODELS
from tradeoff_core.figures.exports import as_toml
from tradeoff_core.models.compared import describe
from tradeoff_core.models.zoo import Model
from tradeoff_core.reports.report import RATES, rates_of
from tradeoff_core.reports.versions import versions

IMPORTS = """from pathlib import Path

import plotly.graph_objects as go

from tradeoff_core import figures
from tradeoff_core.common.paths import runs_folder
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.experiments.run import measure, run_experiment
from tradeoff_core.experiments.run_folder import RunFolder
from tradeoff_core.models import zoo"""
MEASURE = """data = load_dataset(model.spec.dataset, Split.TEST)
measured = measure(network, data.images, data.targets, model.spec, model.spec.evaluation)
for name in ("clean_accuracy", "adversarial_accuracy", "backdoor_success_rate"):
    print(f"{name}: {measured[name]:.4f} now, {model.card.metrics[name]:.4f} on its card")"""
CURVES = """epochs = RunFolder(model.folder).epochs()  # none of a shipped network
go.Figure(figures.training_curves(epochs).to_dict()) if epochs else None"""
TRAIN = """TRAIN_AGAIN = False  # on the same machine, with as many threads, it ends with the same weights
if TRAIN_AGAIN:
    print(run_experiment(model.spec, Path("again") / model.spec.id))"""


def notebook(model: Model) -> str:
    """The notebook's text (.ipynb, format 4) for a finished run or a shipped model. Raises TradeoffError for a damaged one."""
    import nbformat  # which the app loads when somebody asks for a notebook
    from nbformat import v4

    rows = "\n".join(
        f"| {title} | {rate.value:.1%} | {rate.count:,} of {rate.n:,} |"
        for title, rate in zip(RATES, rates_of(model), strict=True)
        if rate.n
    )
    place = json.dumps(model.id)
    found = place if model.folder.parent == MODELS else f"str(runs_folder() / {place})"
    cells = [
        v4.new_markdown_cell(
            f"# {describe(model)}\n\nIt measures the network `{model.id}` again. Start it in the folder of the repository, with "
            f"its `requirements.txt` installed. Made with {versions()}.\n\n| on its card | | |\n|---|---|---|\n{rows}\n\n"
            f"The attack is {model.spec.evaluation}."
        ),
        v4.new_code_cell(IMPORTS),
        v4.new_markdown_cell("## The network\n\nIts weights are checked against the card's checksum."),
        v4.new_code_cell(f"model = zoo.find_model({found})\nnetwork = zoo.load_network(model)\nmodel.spec"),
        v4.new_markdown_cell("## The three rates, measured again"),
        v4.new_code_cell(MEASURE),
        v4.new_markdown_cell("## While it was trained"),
        v4.new_code_cell(CURVES),
        v4.new_markdown_cell(f"## Train it again\n\nIts spec:\n\n```toml\n{as_toml(model.spec)}```"),
        v4.new_code_cell(TRAIN),
    ]
    for number, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{number}"  # the same file each time
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
    nbformat.validate(made)
    text: str = nbformat.writes(made)
    return text
