"""Every poison under every training: where robustness opens a back door, and where it closes one."""

from statistics import fmean
from textwrap import wrap

from tradeoff_core.figures.kept import drawn_once
from tradeoff_core.figures.plain import Figure
from tradeoff_core.figures.shared import ADVERSARIAL, BACKDOOR, WHITE, hover, laid_out
from tradeoff_core.findings.poisons import Cell, Matrix

ROW = 44  # pixels of a poison
WIDEST = 16  # letters of a training in a line: lines stand upright on a phone


@drawn_once
def where_it_holds(measured: Matrix) -> Figure:
    """A row a poison, a column a training; colour and number: the change of backdoor success in points.

    Standard training stands first with its own backdoor success. Cells not measured are empty.
    """
    cells = [
        [measured.cells.get((poison, training)) for training in measured.trainings]
        for poison in measured.poisons
    ]
    figure = Figure(
        dict(
            type="heatmap",
            x=list(measured.trainings),
            y=list(measured.poisons),
            z=[[_points(cell) for cell in row] for row in cells],
            text=[[_text(cell) for cell in row] for row in cells],
            zmin=-100,
            zmax=100,
            colorscale=[[0, ADVERSARIAL], [0.5, WHITE], [1, BACKDOOR]],
            texttemplate="%{text}",
            textfont={"size": 11, "color": "#1a1a1a"},
            hovertext=[[_told(cell) for cell in row] for row in cells],
            hoverinfo="text",
            xgap=2,
            ygap=2,
            showscale=False,  # the cells say it, and a phone has no room
        )
    )
    figure.add_scatter(  # what a click finds: a heatmap's cells cannot be selected
        x=[training for training in measured.trainings for _ in measured.poisons],
        y=list(measured.poisons) * len(measured.trainings),
        mode="markers",
        marker={"size": 30, "symbol": "square", "opacity": 0},
        customdata=list(measured.poisons) * len(measured.trainings),
        showlegend=False,
        hoverinfo="skip",
    )
    names = {training: "<br>".join(wrap(training, WIDEST)) for training in measured.trainings}
    figure.update_xaxes(
        title="training",
        type="category",
        tickvals=list(names),
        ticktext=list(names.values()),
        autotickangles=[0, 90],
    )
    figure.update_yaxes(type="category", autorange="reversed")
    return laid_out(figure, 190 + ROW * len(measured.poisons))


def _points(cell: Cell | None) -> float | None:
    return 100 * fmean(cell.changes) if cell and cell.changes else None


def _text(cell: Cell | None) -> str:
    """Standard training's own success; elsewhere the change and, below it, what it comes to."""
    if cell is None or not cell.changes:
        return ""
    if cell.runs == cell.standard:
        return f"{cell.success:.0%}"
    points = round(100 * fmean(cell.changes))
    return f"<b>{points:+d}</b><br>{cell.success:.0%}" if points else f"<b>±0</b><br>{cell.success:.0%}"


def _told(cell: Cell | None) -> str:
    if cell is None:
        return "not measured yet"
    lines = [f"{cell.poison}, {cell.training}"]
    lines += [hover(f"seed {run.seed}: backdoor success", run.backdoor_success_rate) for run in cell.runs]
    return "<br>".join(lines)
