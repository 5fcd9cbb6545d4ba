"""Train a network of one's own in the background, and watch the three numbers."""

import streamlit as st

from pages.components import cards, get_data, model_picker, spec_form, training
from pages.components.plain_words import refuse
from pages.components.words import how_it_works
from tradeoff_core import datasets
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import runs_folder
from tradeoff_core.experiments import queue
from tradeoff_core.experiments.differences import described, differs
from tradeoff_core.experiments.presets import PRESETS
from tradeoff_core.experiments.run_folder import Order
from tradeoff_core.experiments.spec import ExperimentSpec, spec_to_dict
from tradeoff_core.experiments.stored_runs import State, StoredRun, read_run, stored_runs
from tradeoff_core.figures import exports

FIRST = {
    "fast": "adversarial, quick",
    "adversarial": "adversarial, as the shipped ones",
    "paper": "adversarial, as in the paper",
    "standard": "standard, no attacker",
}
SHOWN = 4  # runs under the form
ACTIVE = (State.QUEUED, State.RUNNING)

model_picker.through_the_router()
st.title("Can you train a network that resists both?")
st.markdown("Choose what it learns from, and start. It trains in the background: you can close the page.")


def choices() -> tuple[str, ExperimentSpec]:
    """The preset that the form starts from."""
    here = [name for name, spec in PRESETS.items() if datasets.available(spec.dataset)]
    names = [*(name for name in FIRST if name in here), *(name for name in here if name not in FIRST)]
    name = model_picker.chosen_from(
        "Start from",
        names,
        "preset",
        "fast",
        format_func=lambda name: FIRST.get(name, name.replace("-", " ")),
        help="*Quick*: adversarial training with few steps, minutes on a laptop. *As in the paper*: full width and 100 epochs, "
        "hours. *Standard, no attacker* is training as usual. Below them one for every other condition that was measured: "
        "*lipschitz* keeps the classes' gradients alike, *denoising* averages features over similar places, *transformer* lets patches of the image look at each other, *ibp* trains on interval "
        "bounds, *doubled* has twice the width; the Glossary says more.",
    )
    st.caption(in_words(name))
    return name, PRESETS[name]


def in_words(name: str) -> str:
    """What a preset is: what it differs in from another, by the fields of the spec."""
    difference = differs(name)
    if difference.base is None:
        return described(name)[0].upper() + described(name)[1:] + "."
    base = FIRST.get(difference.base, difference.base.replace("-", " "))
    changes = ", ".join(f"`{field}` {value}" for field, value in difference.fields.items())
    return f"As *{base}*, but {changes}."


def start(spec: ExperimentSpec, cost: training.Cost) -> None:
    """Queue it under the name that the field holds, and see to it that somebody works."""
    asked = Order(epoch_seconds=cost.epoch_seconds, measuring_seconds=cost.measuring_seconds)
    if name := st.session_state["run-name"].strip():
        asked["name"] = name
    queue.enqueue(runs_folder(), spec.id, spec_to_dict(spec), asked)
    st.session_state["run-name"] = ""
    queue.ensure_workers(runs_folder())


name, preset = choices()
try:
    spec = spec_form.form(name, preset)
except TradeoffError as error:
    refuse(error)
    spec = None
if spec:
    training.preview(spec)
    training.foretold(spec)
    try:
        with st.spinner("Timing a few steps of it on this machine"):
            cost = training.cost_of(spec)
        st.markdown(
            f"**About {training.duration(cost.seconds(spec.epochs))}** for {spec.epochs} epoch{'s' * (spec.epochs > 1)} and the measuring, and about {cost.megabytes / 1000:.1f} GB "
            "of memory, with this machine as busy as it is now.",
            help="From a few steps that were timed on this machine just now.",
        )
    except TradeoffError as error:
        refuse(error)
        spec = None
if spec:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Its name, if you like",
            key="run-name",
            max_chars=80,
            placeholder=spec.id,
            width=320,
            help="What figures and lists call it. You can change it on the *Runs* page.",
        )
        st.button(
            "Start",
            type="primary",
            icon=":material/play_arrow:",
            key="start",
            on_click=training.attempt,
            args=(start, spec, cost),
        )
        cards.spec_button(spec)
with st.expander(
    "The spec (TOML)" if spec else "The spec (TOML) that the form starts from", icon=":material/code:"
):
    st.code(exports.as_toml(spec or preset), language="toml")
training.told_what_was_refused()
if lacking := sorted({one.dataset for one in PRESETS.values() if not datasets.available(one.dataset)}):
    get_data.offer_presets(lacking)

st.header("Your runs")
runs = stored_runs(runs_folder())
active = [run for run in runs if run.state in ACTIVE]


@st.fragment(run_every="2s" if active else None)
def watch() -> None:
    """What is queued and runs, as it goes; the whole page is drawn anew when one changes its state."""
    now = [read_run(run.folder) for run in active]
    if [run and run.state for run in now] != [run.state for run in active]:
        st.rerun()
    if any(run.state is State.QUEUED for run in active):
        queue.ensure_workers(runs_folder())
    for run in now[:SHOWN]:
        if run:
            boxed(run)


def boxed(run: StoredRun) -> None:
    """A run in a box of its own."""
    with st.container(border=True):
        training.show(run)


watch()
others = [run for run in runs if run not in active][: max(0, SHOWN - len(active))]
for run in others:
    boxed(run)
if len(runs) > SHOWN:
    st.caption(f"{SHOWN} of {len(runs)}; all of them are on the *Runs* page.")
elif not runs:
    st.caption("None yet. Press Start above.")
st.caption("A finished network is in every picker and on the *Trade-off* page, marked as yours.")

cards.how_it_works(how_it_works.TRAIN)
