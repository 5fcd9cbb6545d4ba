"""Runs of the visitor's own: the form's fields as a spec, what it costs, and how a run goes."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from pages.components import cards
from pages.components.own import RUNS
from tradeoff_core import figures, jobs
from tradeoff_core.datasets import Split, load_dataset
from tradeoff_core.errors import TradeoffError
from tradeoff_core.poisoning import poison_dataset
from tradeoff_core.runs import LOG, State, StoredRun
from tradeoff_core.specs import ExperimentSpec, spec_to_dict

ICONS = {
    State.QUEUED: ":material/schedule:",
    State.RUNNING: ":material/autorenew:",
    State.STOPPED: ":material/pause_circle:",
    State.INTERRUPTED: ":material/error:",
    State.FAILED: ":material/cancel:",
    State.DONE: ":material/check_circle:",
}
LAST_LINES = 30  # of a log


@st.cache_data(max_entries=64, show_spinner=False)
def cost(of: str) -> dict[str, Any]:
    """What `estimate` measures for a spec, given as JSON. Raises TradeoffError with what it says is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.json"
        path.write_text(of)
        done = subprocess.run(
            [sys.executable, "-m", "tradeoff_core", "estimate", str(path), "--json"],
            capture_output=True,
            text=True,
            env=jobs.environment(),
        )
    if done.returncode:
        raise TradeoffError(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def cost_of(spec: ExperimentSpec) -> tuple[float, float]:
    """Seconds of the whole run, and megabytes; what does not change the speed is not timed again."""
    document = spec_to_dict(spec)
    document["seed"] = 0
    document["training"]["epochs"] = 1
    document["training"]["ramp_epochs"] = 0
    document["poison"] = "none"
    for attack in (document["training"].get("attack"), document["evaluation"]):
        if attack:
            attack["epsilon"] = 0.1
            attack.pop("step_size", None)
    found = cost(json.dumps(document, sort_keys=True))
    return found["epoch_seconds"] * spec.epochs + found["measuring_seconds"], found["megabytes"]


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def preview(spec: ExperimentSpec) -> None:
    """The first poisoned training images."""
    if spec.poison is None:
        st.caption("Without poison the training images stay as they are.")
        return
    data = load_dataset(spec.dataset, Split.TRAIN)
    poisoned = poison_dataset(data, spec.poison, np.random.default_rng(spec.seed))
    cards.first_poisoned(poisoned)


def time_left(progress: list[dict[str, Any]]) -> str:
    """How long the epochs that are left will take, in words."""
    if not progress:
        return "the first epoch is under way"
    last = progress[-1]
    seconds = [entry["seconds"] for entry in progress[-3:]]
    left = (last["epochs"] - last["epoch"]) * sum(seconds) / len(seconds)
    return f"about {duration(left)} left" if left else "now it is measured"


def show(run: StoredRun) -> None:
    """A run's state, its curves, its log, and what can be done with it."""
    progress = run.progress()
    done = progress[-1]["epoch"] if progress else 0
    epochs = progress[-1]["epochs"] if progress else run.spec.get("training", {}).get("epochs", 1)
    st.markdown(f"##### {ICONS[run.state]} {run.name}: {run.state}")
    if run.state is State.RUNNING:
        st.progress(min(done / epochs, 1.0), f"Epoch {done} of {epochs}: {time_left(progress)}")
    elif run.state is State.QUEUED:
        st.caption(f"It waits for its turn: {jobs.at_once()} at a time train here.")
    elif run.state is State.INTERRUPTED:
        st.warning(
            f"It was broken off after {done} epochs and goes on from there when resumed.",
            icon=":material/error:",
        )
    if run.problem:
        st.error(run.problem, icon=":material/cancel:")
    if run.metrics:
        three(run.metrics)
    with st.container(horizontal=True):
        if run.state in (State.QUEUED, State.RUNNING):
            st.button(
                "Stop",
                icon=":material/pause:",
                key=f"stop-{run.id}",
                on_click=lambda: jobs.stop(RUNS, run.id),
                help="What is finished is kept: it can go on later.",
            )
        if run.state in (State.STOPPED, State.INTERRUPTED, State.FAILED):
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                key=f"resume-{run.id}",
                on_click=lambda: jobs.resume(RUNS, run.id),
            )
        if run.state is State.DONE:
            st.button(
                "Make it model B",
                icon=":material/ads_click:",
                key=f"use-{run.id}",
                on_click=make_b,
                args=(run,),
            )
    if progress:
        cards.plot(figures.training_curves(progress), f"curves-{run.id}")
    log = run.folder / LOG
    if log.is_file():
        with st.expander("What it says", icon=":material/terminal:"):
            text = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
            st.code("\n".join(text.strip().splitlines()[-LAST_LINES:]), language=None)


def make_b(run: StoredRun) -> None:
    """Make a finished run the second of the two models, and say so."""
    st.session_state.update({"data-next": run.spec["dataset"], "B-next": run.id})
    st.toast(f"{run.name} is now model B on every page, as on *Perturbations*.", icon=":material/ads_click:")


def three(metrics: dict[str, Any]) -> None:
    """The three rates of a finished run."""
    with st.container(horizontal=True):
        for name, key in (
            ("Clean accuracy", "clean_accuracy"),
            ("Adversarial accuracy", "adversarial_accuracy"),
            ("Backdoor success", "backdoor_success_rate"),
        ):
            value = metrics.get(key)
            with st.container(width=185, gap=None):
                st.markdown(f"### {value:.1%}" if value is not None else "### –")
                st.markdown(name, help=f"{cards.TERMS[name]}\n\nOn {metrics.get('n', 0):,} test images.")
