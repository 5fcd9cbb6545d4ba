"""Train offers every poison that has a name, and says its spec as the sweep trains it."""

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from pages.components import spec_form
from tradeoff_core.experiments.poisons import POISONS
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.spec import spec_from_dict

BESIDES = [name for name in POISONS if not name.endswith("sticker")]


def form(name: str) -> None:  # run by AppTest on its own
    import streamlit as st

    from pages.components import spec_form
    from tradeoff_core.experiments.presets import PRESETS
    from tradeoff_core.experiments.spec import spec_to_dict

    st.json(spec_to_dict(spec_form.form(name, PRESETS[name])))


@pytest.mark.parametrize("kind", BESIDES)
def test_a_named_poison_is_that_of_the_sweep(kind):
    app = AppTest.from_function(form, default_timeout=60, args=("fast",)).run()
    app.selectbox(key="poison-fast").set_value(kind).run()
    assert not app.exception
    assert spec_of(app) == replace(PRESETS["fast"], poison=POISONS[kind])


def test_its_rate_and_its_target_can_be_others():
    app = AppTest.from_function(form, default_timeout=60, args=("fast",)).run()
    app.selectbox(key="poison-fast").set_value("adaptive-blend").run()
    app.slider(key="rate-dirty-label-fast-adaptive-blend").set_value(1.2).run()
    app.selectbox(key="target-class-fast-adaptive-blend").set_value(3).run()
    poison = POISONS["adaptive-blend"]
    assert spec_of(app).poison == replace(poison, rate=0.012, target_class=3)


def test_photographs_have_the_stickers_alone():
    name = "cifar10-standard"
    app = AppTest.from_function(form, default_timeout=60, args=(name,)).run()
    options = app.selectbox(key=f"poison-{name}").options
    assert options == ["clean-label", "dirty-label", spec_form.NO_POISON]


def spec_of(app):

    (shown,) = app.json
    return spec_from_dict(json.loads(shown.value))
