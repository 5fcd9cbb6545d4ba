"""Runs of the visitor's own: the form's fields as a spec, what it costs, and how a run goes."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from pages.components import cache, cards
from pages.components.plain_words import escaped, refuse
from pages.components.words.glossary import link
from tradeoff_core import figures
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.files import from_json
from tradeoff_core.common.names import plain
from tradeoff_core.common.paths import runs_folder
from tradeoff_core.experiments import queue
from tradeoff_core.experiments.run_folder import SPEC, Epoch, RunFolder
from tradeoff_core.experiments.spec import ExperimentSpec, spec_to_dict
from tradeoff_core.experiments.stored_runs import State, StoredRun
from tradeoff_core.findings.prediction import predicted
from tradeoff_core.models import zoo

ICONS = {
    State.QUEUED: ":material/schedule:",
    State.RUNNING: ":material/autorenew:",
    State.STOPPED: ":material/pause_circle:",
    State.INTERRUPTED: ":material/error:",
    State.FAILED: ":material/cancel:",
    State.DONE: ":material/check_circle:",
}
LAST_LINES = 30  # of a log
MOST_SECONDS = 180  # of measuring what a training would cost
ONE_AT_A_TIME = threading.Lock()


@st.cache_data(max_entries=64, show_spinner=False)
def cost(of: str) -> dict[str, Any]:
    """What `estimate` measures for a spec, given as JSON. Raises TradeoffError with what it says is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SPEC
        path.write_text(of)
        command = [sys.executable, "-m", "tradeoff_core", "estimate", str(path), "--json"]
        if not ONE_AT_A_TIME.acquire(timeout=MOST_SECONDS):  # whoever follows a link starts one
            raise TradeoffError("another training is being timed on this machine: try it again in a minute")
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, env=queue.environment(), timeout=MOST_SECONDS
            )
        except subprocess.TimeoutExpired:  # which has ended the process
            raise TradeoffError(
                f"a few steps of this training take more than {MOST_SECONDS} seconds on this machine: make it smaller"
            ) from None
        finally:
            ONE_AT_A_TIME.release()
    if done.returncode:
        raise TradeoffError(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
    found: dict[str, Any] = from_json(done.stdout, "the estimate")
    return found


class Cost(NamedTuple):
    """What a training costs: seconds of an epoch and of the measuring at the end, and megabytes."""

    epoch_seconds: float
    measuring_seconds: float
    megabytes: float

    def seconds(self, epochs: int) -> float:
        """Of the whole run."""
        return epochs * self.epoch_seconds + self.measuring_seconds


def cost_of(spec: ExperimentSpec) -> Cost:
    """What it costs; what does not change the speed is not timed again."""
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
    return Cost(*(found[name] for name in Cost._fields))


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
    cards.first_poisoned(cache.poisoned_by(spec))


def foretold(spec: ExperimentSpec) -> None:
    """What backdoor success the measured runs let expect, where there are some like it."""
    if found := predicted(spec):
        st.markdown(
            f"Backdoor success should come to about **{found.estimate:.0%}** ({found.low:.0%} to {found.high:.0%}), judging "
            f"by {found.runs:,} measured runs of its kind.",
            help=f"An estimate fitted to {found.cells:,} settings of the trigger, the poison rate and the training ε. The range is wide "
            "enough for nine of ten runs at settings left out of the fit; new ones may miss it more often.",
        )


def time_left(progress: list[Epoch], epochs: int, expected: tuple[float, float] | None) -> str:
    """How long the epochs that are left and the measuring will take, in words.

    It is what was `expected`, seconds of an epoch and of the measuring, until the epochs themselves say better.
    """
    if not (progress or expected):
        return "the first epoch is under way"
    epoch, measuring = expected or (0.0, 0.0)
    took = [entry["seconds"] for entry in progress[-3:]] or [epoch]
    now = sum(took) / len(took)
    measuring *= now / epoch if epoch else 1  # as much slower or faster as the epochs are
    left = epochs - (progress[-1]["epoch"] if progress else 0)
    of_measuring = f", about {duration(measuring)}" if expected else ""
    return (
        f"about {duration(left * now + measuring)} left" if left > 0 else f"now it is measured{of_measuring}"
    )


def show(run: StoredRun, level: int = 3) -> None:
    """A run's state, its curves, its log, and what can be done with it."""
    progress = run.progress()
    done = progress[-1]["epoch"] if progress else 0
    epochs = progress[-1]["epochs"] if progress else run.spec.get("training", {}).get("epochs", 1)
    st.markdown(f"{'#' * level} {ICONS[run.state]} {plain(run.name)}: {run.state}")
    if run.state is State.RUNNING:
        st.progress(
            min(done / epochs, 1.0), f"Epoch {done} of {epochs}: {time_left(progress, epochs, run.expected)}"
        )
    elif run.state is State.QUEUED:
        st.caption(f"It waits for its turn: {queue.at_once()} at a time train here.")
    elif run.state is State.INTERRUPTED:
        st.warning(
            f"It was broken off after {done} epochs and goes on from there when resumed.",
            icon=":material/error:",
        )
    if run.problem:
        st.error(escaped(run.problem), icon=":material/cancel:")
    if run.metrics:
        three(run.metrics)
    with st.container(horizontal=True):
        if run.state in (State.QUEUED, State.RUNNING):
            st.button(
                "Stop",
                icon=":material/pause:",
                key=f"stop-{run.id}",
                on_click=attempt,
                args=(queue.stop, runs_folder(), run.id),
                help="What is finished is kept: it can go on later.",
            )
        if run.state in (State.STOPPED, State.INTERRUPTED, State.FAILED):
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                key=f"resume-{run.id}",
                on_click=attempt,
                args=(queue.resume, runs_folder(), run.id),
            )
        if run.state is State.DONE:
            st.button(
                "Make it model B",
                icon=":material/ads_click:",
                key=f"use-{run.id}",
                on_click=attempt,
                args=(make_b, run),
            )
    if progress:
        draw = (
            cards.chart if run.state is State.DONE else cards.plot
        )  # what is drawn anew would close a dialog
        draw(figures.training_curves(progress), f"curves-{run.id}")
    log = RunFolder(run.folder).log
    if log.is_file():
        with st.expander("What it says", icon=":material/terminal:"):
            text = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
            st.code("\n".join(text.strip().splitlines()[-LAST_LINES:]), language=None)


def attempt(action: Callable[..., object], *arguments: Any) -> None:
    """Do what a button asks for; why it cannot be done is kept for `told_what_was_refused`."""
    try:
        action(*arguments)
    except (TradeoffError, OSError) as error:  # as of a run that another visitor has deleted meanwhile
        st.session_state["refused"] = str(error)


def told_what_was_refused() -> None:
    """Say what a button could not do, once."""
    if refused := st.session_state.pop("refused", None):
        refuse(refused)


def make_b(run: StoredRun) -> None:
    """Make a finished run the second of the two models, and say so."""
    dataset = zoo.find_model(str(run.folder)).spec.dataset
    st.session_state.update({"data-next": dataset, "B-next": run.id})
    st.toast(
        f"{plain(run.name)} is now model B on every page, as on *Perturbations*.", icon=":material/ads_click:"
    )


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
                cards.number("–" if value is None else f"{value:.1%}")
                st.markdown(
                    link(name), help=f"{cards.TERMS[name]}\n\nOn {metrics.get('n', 0):,} test images."
                )
    cards.beware(metrics.get("warnings", []))
