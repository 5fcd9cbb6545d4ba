"""A server that is killed at any moment: a run goes on without it, and its page is there again."""

import random
import re
from time import sleep

import pytest
from background import kill, parent_of, process_of, unbroken, until
from browsing import opened, served, start_quick_run
from playwright.sync_api import expect

from tradeoff_core.experiments.spec import spec_from_dict
from tradeoff_core.experiments.stored_runs import State, find_run, stored_runs

pytestmark = [pytest.mark.faults, pytest.mark.browser, pytest.mark.usefixtures("one_thread")]


@pytest.mark.parametrize("victim", ["server", "server and training"])
def test_the_server_killed_at_any_moment_costs_nothing(victim, moment, browser, tmp_path):
    with served(tmp_path) as (address, server):
        page = opened(browser, address, "train")
        start_quick_run(page, epochs=6)
        (run,) = until(lambda: stored_runs(tmp_path))
        training = process_of(run.folder)
        sleep(random.Random(f"{victim}-{moment}").uniform(0, 4))
        done = find_run(tmp_path, run.id).state is State.DONE
        kill(server.pid, *([parent_of(training), training] if "training" in victim and not done else []))
        page.close()
    if "training" in victim and not done:
        until(lambda: find_run(tmp_path, run.id).state in (State.INTERRUPTED, State.DONE))
    else:
        assert find_run(tmp_path, run.id).state in (State.RUNNING, State.DONE)  # it needs no server
    with served(tmp_path) as (address, _):
        page = opened(browser, address, "train")
        heading = page.get_by_role("heading", name=re.compile(run.id)).first
        expect(heading).to_contain_text(re.compile("interrupted|running|done"))
        if find_run(tmp_path, run.id).state is State.INTERRUPTED:
            page.get_by_role("button", name="Resume").click()
        expect(heading).to_contain_text("done", timeout=120_000)
        page.close()
    assert find_run(tmp_path, run.id).metrics == unbroken(spec_from_dict(run.spec))
