"""What pages keep for the next visitor: never what was drawn, and only what was computed for the same key."""

import ast
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from opening import everything_said, opened

from pages.components import cache
from tradeoff_core.common.paths import ROOT
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.models import zoo
from tradeoff_core.networks.inference import predict

SOURCES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]
CACHES = ("st.cache_data", "st.cache_resource")
DRAWS = ("progress", "bar", "tell", "show")  # what a callback that moves a bar is called
STANDARD = "mnist-5k-clean-label-standard"


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def is_cached(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(one).partition("(")[0] in CACHES for one in function.decorator_list)


def draws(function: ast.FunctionDef) -> list[str]:
    """What in a function's body calls Streamlit, and its parameters that are told of progress."""
    calls = {
        ast.unparse(node)
        for statement in function.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "st"
    }
    told = [
        argument.arg
        for argument in [*function.args.args, *function.args.kwonlyargs]
        if argument.arg.lstrip("_") in DRAWS or "Callable" in ast.unparse(argument)
    ]
    return sorted(calls) + told


def problems(sources: dict[str, str]) -> list[str]:
    """Each cached function that draws: by itself, by being told where to, or by calling one of ours that does."""
    every = {name: function for text in sources.values() for name, function in named(text).items()}
    drawing = {name for name, function in every.items() if draws(function) and not is_cached(function)}
    found = []
    for file, text in sources.items():
        for name, function in named(text).items():
            if is_cached(function):
                called = {
                    ast.unparse(node.func).rpartition(".")[2]
                    for statement in function.body
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Call)
                }
                found += [f"{file}: {name}: {what}" for what in [*draws(function), *(called & drawing)]]
    return found


def named(text: str) -> dict[str, ast.FunctionDef]:
    return {function.name: function for function in functions(ast.parse(text))}


def test_no_cached_function_draws():
    sources = {str(file.relative_to(ROOT)): file.read_text() for file in SOURCES}
    cached = [name for text in sources.values() for name, one in named(text).items() if is_cached(one)]
    assert len(cached) >= 15
    assert problems(sources) == []


@pytest.mark.parametrize(
    "body",
    [
        "def f(x):\n    st.progress(0.5)\n    return x",
        "def f(x, _progress):\n    return x",
        "def f(x, _anything: Callable[[float], None]):\n    return x",
        "def f(x):\n    helper(x)\n    return x\ndef helper(x):\n    st.write(x)",
    ],
)
def test_a_cached_function_that_draws_is_found(body):
    assert problems({"page": f"@st.cache_data(max_entries=2)\n{body}"})


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(Path(file).relative_to(ROOT)))
def test_every_cache_is_bounded(file):
    for function in functions(ast.parse(file.read_text())):
        for decorator in function.decorator_list:
            text = ast.unparse(decorator)
            if text.startswith(CACHES) and function.args.args + function.args.kwonlyargs:
                assert "max_entries=" in text, function.name


@pytest.fixture
def nothing_kept():
    st.cache_data.clear()
    st.cache_resource.clear()


def same_for_two(first, second):
    for app in (first, second):
        assert not app.exception
        assert not app.error
    assert everything_said(first) == everything_said(second)


@pytest.mark.usefixtures("nothing_kept")
def test_what_one_visitor_laid_out_by_tsne_is_shown_to_the_next():
    same_for_two(*(opened("features", layout="t-SNE (slower)") for _ in range(2)))


@pytest.mark.usefixtures("nothing_kept")
def test_what_one_visitor_measured_on_perturbations_is_shown_to_the_next():
    def measured():
        app = opened("perturbations", norm="l2 (all pixels together)", steps="1", count="10")
        (button,) = (one for one in app.button if "Measure" in one.label)
        return button.click().run()

    first, second = measured(), measured()
    same_for_two(first, second)
    assert "of 10 test images." in everything_said(first)


@pytest.mark.usefixtures("nothing_kept")
def test_what_one_visitor_measured_on_stickers_is_shown_to_the_next():
    def measured():
        app = opened("stickers", size="12")
        (button,) = (one for one in app.button if "Measure" in one.label)
        return button.click().run()

    first, second = measured(), measured()
    same_for_two(first, second)
    assert "at the sticker's best place" in everything_said(first)


@pytest.mark.usefixtures("nothing_kept")
def test_a_place_is_filled_once_while_others_wait():
    place, calls, found = cache.Place(), [], []

    def compute():
        calls.append(1)
        return 7

    threads = [threading.Thread(target=lambda: found.append(place.filled(compute))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(calls), found) == (1, [7] * 4)


def test_a_place_that_could_not_be_filled_stays_empty():
    place = cache.Place()
    with pytest.raises(ZeroDivisionError):
        place.filled(lambda: 1 / 0)
    assert place.filled(lambda: 3) == 3


def test_the_key_holds_weights_pictures_and_whether_all_are_here(monkeypatch):
    model = zoo.find_model(STANDARD)
    monkeypatch.setattr(cache, "to_show", lambda name: f"samples of {name}")
    monkeypatch.setattr(cache, "available", lambda name: name == "elsewhere")
    assert cache.key_of(model) == (model.sha256, "samples of mnist-5k", False)


@pytest.mark.usefixtures("nothing_kept")
def test_another_card_of_the_same_weights_hits_and_other_pictures_miss(monkeypatch):
    calls = []

    def counted(network, images):
        calls.append(len(images))
        return predict(network, images)

    monkeypatch.setattr(cache.inference, "predict", counted)
    first = zoo.find_model(STANDARD)
    again = replace(first, card=replace(first.card))
    assert np.array_equal(cache.predict(first, (0, 1)), cache.predict(again, (0, 1)))
    assert calls == [2]
    pictures = load_dataset("mnist-5k", Split.TEST)
    monkeypatch.setattr(cache, "load_dataset", lambda *_: pictures)
    monkeypatch.setattr(cache, "available", lambda _: False)
    cache.predict(first, (0, 1))
    monkeypatch.setattr(cache, "to_show", lambda _: "other pictures")
    cache.predict(first, (0, 1))
    assert calls == [2, 2, 2]
