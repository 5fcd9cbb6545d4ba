"""Values that no control sends itself: each is the control's default, or clipped, and no page or log complains."""

from unittest.mock import Mock

import pytest
import streamlit as st
from opening import opened
from sending import registered, sent
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state.common import WidgetMetadata
from streamlit.runtime.state.session_state import Serialized, WStates

from pages.components import cards, sound_values
from tradeoff_core.common.paths import ROOT

BOUND = {  # a page and its bound controls, each of another kind
    "find_the_poison": ("level", "data"),
    "features": ("layout", "three-features", "features-A-tool"),
    "perturbations": ("norm", "steps", "target", "set", "certified", "A"),
    "saliency": ("method", "which", "image", "opacity-of-map", "outline"),
    "stickers": ("pattern", "size", "bottom", "right", "opacity"),
    "tradeoff": ("published",),
    "train": ("epsilon-fast", "epochs-fast", "seed-fast", "poison-fast", "target-class-fast", "preset"),
}


@pytest.mark.parametrize("page", BOUND)
def test_an_empty_address_value_is_the_default(page):
    keys = BOUND[page]
    usual = opened(page)
    for nothing in ("", "inf", "-1e999"):
        app = opened(page, **dict.fromkeys(keys, nothing))
        assert not app.exception
        for key in keys:
            assert app.session_state[key] == usual.session_state[key], (key, nothing)


@pytest.mark.parametrize("shared", ["1", "0"])
def test_a_visitor_of_a_shared_server_clears_no_cache_and_learns_no_files_names(shared, monkeypatch):
    monkeypatch.setenv("TRADEOFF_READ_ONLY", shared)
    made, session = [], Mock()
    session._script_data.main_script_path = str(ROOT / "app.py")

    @st.cache_data
    def once():
        made.append(1)

    once.clear()
    once()
    AppSession._handle_clear_cache_request(session)
    once()
    assert len(made) == (1 if shared == "1" else 2)
    AppSession._handle_git_information_request(session)
    assert session._enqueue_forward_msg.called is False or shared == "0"


@pytest.mark.parametrize("kind", ["int_value", "double_value"])
def test_a_number_field_may_send_whole_numbers_or_fractions(kind):
    app = sent(opened("train"), "epochs-fast", **{kind: 15})
    assert app.session_state["epochs-fast"] == 15
    assert "epochs = 15" in app.code[0].value


def test_an_unknown_table_is_the_first():
    app = opened("paper")
    first = app.selectbox(key="table").value
    sent(app, "table", string_value="no such table")  # which the label of "all" would stand for
    assert not app.exception
    assert app.selectbox(key="table").value == first


@pytest.mark.parametrize(
    "rows", ["[1000000000]", "[-1]", '["x"]', "[null]", "[[0]]", "[true]", "[1.5]", "3", "{}", "[" * 9999]
)
def test_rows_beyond_the_end_are_not_ticked(rows, tmp_path, runs_at):
    runs_at(tmp_path)
    app = opened("runs")
    (name,) = [name.split("-", 2)[2] for name in registered(app) if "-rows-" in name]
    sent(app, name, string_value=f'{{"selection": {{"rows": {rows}}}}}')
    assert not app.exception
    assert not [one for one in app.header if one.value == "Beside each other"]


@pytest.mark.parametrize(
    "points",
    [
        '[{"customdata": 1000000000}]', '[{"customdata": -1}]', '[{"customdata": "x"}]', '[{"customdata": {}}]',
        '[{"customdata": [[1]]}]', "[3]", "3", '{"0": 1}', "null", "[",
    ],
)  # fmt: skip
@pytest.mark.parametrize(("page", "figure"), [("spectral_signatures", "scores"), ("tradeoff", "plane")])
def test_points_that_are_none_select_nothing(page, figure, points):
    app = opened(page)
    sent(app, figure, string_value=f'{{"selection": {{"points": {points}}}}}')
    assert not app.exception
    assert "point" not in app.query_params
    assert "bins" not in app.session_state or not app.session_state["bins"]


def test_points_that_are_some_are_selected():
    app = opened("spectral_signatures")
    sent(app, "scores", string_value='{"selection": {"points": [{"customdata": 3}, {"customdata": [2]}]}}')
    assert app.session_state["bins"] == (2, 3)


@pytest.mark.parametrize(
    "value",
    [{"int_array_value": [7]}, {"bool_value": True}, {"string_array_value": ["x"]}, {"json_value": "{"}, {"json_value": "[" * 9999}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("key", ["set", "term"])
def test_a_value_of_another_kind_is_the_default(key, value):
    app = opened("perturbations" if key == "set" else "glossary")
    usual = app.session_state[key]
    sent(app, key, **value)
    assert not app.exception
    assert app.session_state[key] == usual


def test_a_term_that_is_a_picture_of_another_host_is_text():
    (said,) = opened("glossary", term="![x](http://127.0.0.1:9/x)").info
    assert r"\!\[x\](http" in said.value or r"!\[x\](http" in said.value


def metadata(read, kind="string_value", options=None):
    return WidgetMetadata("id", read, lambda value: value, value_type=kind, formatted_options=options)


def test_a_reader_never_fails_nor_gives_none_where_there_is_a_default():
    def read(sent):
        return 4 if sent is None else None if sent == "" else 8 // int(sent)

    trusted = sound_values.sound(metadata(read)).deserializer
    assert [trusted(sent) for sent in (None, "2", "", "0", "x", [])] == [4, 4, 4, 4, 4, 4]
    offered = sound_values.sound(metadata(read, options=["1", "2"])).deserializer
    assert [offered(sent) for sent in ("1", "8")] == [8, 4]


def test_what_cannot_be_unpacked_is_of_no_kind():
    states = WStates(widget_metadata={"id": metadata(lambda sent: sent, "json_value")})
    for state, value in (
        (WidgetState(id="id", json_value="{"), None),
        (WidgetState(id="id", json_value="[1]"), None),
        (WidgetState(id="id", json_value='"text"'), None),
        (WidgetState(id="id", json_value='{"chosen": 1}'), {"chosen": 1}),
    ):
        states.states["id"] = Serialized(state)
        assert states["id"] == value
    assert cards.selected("no such figure") == []
