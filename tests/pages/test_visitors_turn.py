"""A class on one server: few compute at once, the others wait or are told so; uploads are small."""

import os
import threading

import pytest
import streamlit as st
from opening import opened

from pages.components import visitors_turn


@pytest.fixture
def shared(monkeypatch):
    """A read-only server whose visitors lose patience at once."""
    monkeypatch.setenv("TRADEOFF_READ_ONLY", "1")
    monkeypatch.setattr(visitors_turn, "PATIENCE", 0.1)


def test_a_number_of_turns_that_is_none_is_one_a_core():
    assert visitors_turn.turns("3") == 3
    assert {visitors_turn.turns(said) for said in ("", "0", "-1", "many", "1.5")} == {os.cpu_count()}


@pytest.fixture
def others():
    """As many other visitors as there are turns, who compute until the test ends."""
    end, threads, begun = threading.Event(), [], threading.Barrier((os.cpu_count() or 1) + 1)

    def compute():
        with visitors_turn.turn():
            begun.wait()
            end.wait()

    for _ in range(os.cpu_count() or 1):
        threads.append(threading.Thread(target=compute))
        threads[-1].start()
    begun.wait()

    def go():
        end.set()
        for thread in threads:
            thread.join()

    yield go
    go()


@pytest.mark.usefixtures("shared")
def test_one_more_than_there_are_turns_is_told_so_until_one_is_free(others, refused):
    double = visitors_turn.turn()(lambda number: 2 * number)
    with refused("many visitors compute at the moment"):
        double(2)
    others()
    assert double(2) == 4


@pytest.mark.usefixtures("shared", "others")
def test_a_cleared_cache_gives_nobody_a_turn_more(refused):
    st.cache_resource.clear()  # as any visitor's browser may ask for
    with refused("many visitors compute at the moment"), visitors_turn.turn():
        pass


@pytest.mark.usefixtures("shared")
def test_a_turn_within_a_turn_is_the_same_one():
    for _ in range(3 * (os.cpu_count() or 1)):  # none is lost
        with visitors_turn.turn(long=True), visitors_turn.turn(long=True), visitors_turn.turn():
            pass


def test_a_failure_gives_its_turn_back(shared):  # noqa: ARG001
    for _ in range(3 * (os.cpu_count() or 1)):
        with pytest.raises(ZeroDivisionError), visitors_turn.turn():
            print(1 / 0)


def test_alone_on_a_machine_nobody_waits(monkeypatch):
    monkeypatch.setattr(visitors_turn, "PATIENCE", 0.0)
    held = [visitors_turn.turn(long=True) for _ in range(3)]
    for one in held:
        one.__enter__()
    for one in held:
        one.__exit__(None, None, None)


@pytest.mark.usefixtures("shared", "others")
def test_a_page_of_a_busy_server_is_one_sentence():
    st.cache_data.clear()  # what others computed before costs nobody a turn
    app = opened("perturbations")
    assert not app.exception
    assert [error.value for error in app.error] == [
        "many visitors compute at the moment: try it again in a minute"
    ]
