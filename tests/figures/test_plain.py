"""Plain figures: what plotly's own methods would have made."""

from copy import deepcopy

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots
from plotted import assert_as_plotly_sends, sent

from tradeoff_core.figures.plain import Figure

LINE = {"color": "red", "width": 2}


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_panels_below_each_other_share_their_x_axis(panels):
    mine = Figure(panels=panels, spacing=0.1)
    theirs = make_subplots(panels, 1, shared_xaxes=True, vertical_spacing=0.1)
    for row in range(1, panels + 1):
        mine.add_scatter(panel=row, x=[1], y=[row])
        theirs.add_scatter(x=[1], y=[row], row=row, col=1)
        mine.add_shape(panel=row, type="rect", x0=0, x1=1, y0=0, y1=1)
        theirs.add_shape(type="rect", x0=0, x1=1, y0=0, y1=1, row=row, col=1)
        assert mine.top_of(row) == pytest.approx(
            theirs.layout["yaxis" if row == 1 else f"yaxis{row}"].domain[1]
        )
    mine.update_xaxes(title="below", panel=panels)
    theirs.update_xaxes(title="below", row=panels)
    mine.update_yaxes(title="each")
    theirs.update_yaxes(title="each")
    assert sent(mine) == sent(theirs)
    assert mine.titles("x") == {f"xaxis{panels if panels > 1 else ''}": "below"}
    assert set(mine.titles("y").values()) == {"each"}


def test_lines_across_and_their_text():
    mine, theirs = Figure(), go.Figure()
    mine.add_hline(y=2, line=LINE)
    theirs.add_hline(y=2, line=LINE)
    mine.add_vline(0.3, LINE, {"text": "here", "textangle": -90, "xanchor": "right"})
    theirs.add_vline(
        x=0.3, line=LINE, annotation={"text": "here", "textangle": -90}, annotation_position="top left"
    )
    assert sent(mine) == sent(theirs)


def test_changes_are_as_deep_as_they_go_and_leave_the_callers_dictionaries_alone():
    mine, theirs = Figure(), go.Figure()
    legend, ticks = {"title": "what", "x": 0}, {"range": [0, 1]}
    for figure in (mine, theirs):
        figure.update_layout(legend=legend, height=100)
        figure.update_layout(legend={"y": 1}, height=200)
        figure.update_xaxes(title="across", **ticks)
        figure.update_xaxes(ticksuffix="%")
        figure.add_scatter(x=[1, 2], y=[3, None], marker={"colorbar": {"title": "ε"}})
    assert sent(mine) == sent(theirs)
    assert (legend, ticks) == ({"title": "what", "x": 0}, {"range": [0, 1]})


def test_what_plotly_does_not_know_is_found():
    for options, problem in (
        ({"no_such": 1}, ValueError),
        ({"line": {"dash": "none-such", "width": -1}}, ValueError),
    ):
        wrong = Figure()
        wrong.add_scatter(x=[1], y=[1], **options)
        with pytest.raises(problem):
            assert_as_plotly_sends(wrong)
    frames = Figure({"type": "scatter", "x": [1], "y": [1]})
    frames.add_frame("1", [{"type": "scatter", "x": [1], "y": [2]}], {"title": "mere text"})
    with pytest.raises(AssertionError):
        assert_as_plotly_sends(frames)


def test_a_figure_with_a_theme_is_drawn_by_it():
    figure = Figure({"type": "bar", "x": ["a"], "y": [1]})
    assert figure.to_dict()["layout"]["template"] == go.Figure().to_dict()["layout"]["template"]


def test_a_kept_figure_is_never_changed_not_even_for_a_moment(monkeypatch):
    """Another visitor's page may send it meanwhile, and plotly takes types and properties out of what it is given."""
    figure = Figure(panels=2)
    figure.add_bar(x=["a"], y=[1], marker={"pattern": {"shape": "/"}})
    figure.update_layout(legend={"title": "kept"}, margin={"l": 99})
    before, given = deepcopy(figure.to_dict()), []
    plotlys = go.Figure
    monkeypatch.setattr(go, "Figure", lambda sent: given.append(sent) or plotlys(sent))
    assert figure.data[0].type == "bar"
    assert figure.layout.margin.l == 99
    assert figure.for_print().layout.margin.l == 10
    assert figure.to_dict() == before
    kept = {id(trace) for trace in figure.to_dict()["data"]}
    assert len(given) == 3
    assert not kept & {id(trace) for sent in given for trace in sent["data"]}


def test_for_print_a_figure_is_dark_on_white():
    figure = Figure()
    figure.add_scatter(x=[1, 2], y=[1, 2], name="line")
    sent = figure.for_print().to_dict()
    assert sent["layout"]["template"]["layout"]["paper_bgcolor"] == "white"
    assert sent["data"] == figure.to_dict()["data"]
