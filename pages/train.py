"""Train a network of one's own in the background, and watch the three numbers."""

import streamlit as st

from pages.components import cards, getting, pickers, training
from pages.components.glossary import TERMS
from tradeoff_core import datasets, exports, jobs
from tradeoff_core.datasets import side_of
from tradeoff_core.errors import TradeoffError
from tradeoff_core.poisoning import PoisonLabels
from tradeoff_core.presets import PRESETS
from tradeoff_core.runs import State, StoredRun, read_run, stored_runs
from tradeoff_core.specs import ExperimentSpec, changed, spec_from_dict, spec_to_dict
from tradeoff_core.triggers import Sticker, patterns

FIRST = {
    "fast": "adversarial, quick",
    "adversarial": "adversarial, as the shipped ones",
    "paper": "adversarial, as in the paper",
    "standard": "standard, no attacker",
}
NO_POISON = "no poison"
SHOWN = 4  # runs under the form
ACTIVE = (State.QUEUED, State.RUNNING)

pickers.through_the_router()
st.title("Can you train a network that resists both?")
st.markdown(
    "Choose what it learns from and how, see what that costs on this machine, and start. It trains in the background: close "
    "the page, come back, it is still there. Once finished it is in every picker and on the *Trade-off* page, marked as yours."
)


def choices() -> tuple[str, ExperimentSpec]:
    """The preset that the form starts from."""
    here = [name for name, spec in PRESETS.items() if datasets.available(spec.dataset)]
    names = [*(name for name in FIRST if name in here), *(name for name in here if name not in FIRST)]
    name = pickers.chosen_from(
        "Start from",
        names,
        "preset",
        "fast",
        format_func=lambda name: FIRST.get(name, name.replace("-", " ")),
        help="*Quick*: adversarial training with few steps, minutes on a laptop. *As in the paper*: full width and 100 epochs, "
        "hours. *Standard, no attacker* is training as usual. Below them one for every other condition that was measured: "
        "*lipschitz* keeps the classes' gradients alike, *denoising* averages features over similar places, *ibp* trains on interval "
        "bounds, *doubled* has twice the width; the Glossary says more.",
    )
    if lacking := sorted(
        {spec.dataset for spec in PRESETS.values()} - {PRESETS[name].dataset for name in here}
    ):
        getting.offer_presets(lacking)
    return name, PRESETS[name]


def form(name: str, preset: ExperimentSpec) -> ExperimentSpec:
    """The spec that the fields say. Raises TradeoffError for what cannot be."""
    document = spec_to_dict(preset)
    settings = []
    colour = preset.dataset != "mnist-5k"
    largest, step = (16.0, 1.0) if colour else (0.4, 0.05)
    unit = 255 if colour else 1
    columns = st.columns(4)
    if preset.training.attack:
        epsilon = columns[0].slider(
            "Training ε" + (", in levels of 255" if colour else ""),
            0.0,
            largest,
            round(unit * preset.training.epsilon, 4),
            step,
            key=f"epsilon-{name}",
            bind="query-params",
            help="How strong the attacker is that it trains against. 0: standard training.",
        )
        if epsilon:
            settings.append(f"training.attack.epsilon={epsilon / unit}")
            if preset.training.attack.step_size:
                share = preset.training.attack.step_size / preset.training.attack.epsilon
                settings.append(f"training.attack.step_size={share * epsilon / unit}")
        else:
            document["training"].pop("attack")
    else:
        columns[0].markdown(
            f"{preset.training.title[0].upper()}{preset.training.title[1:]}", help=TERMS["Standard training"]
        )
    epochs = columns[1].number_input(
        "Epochs",
        1,
        500,
        preset.training.epochs,
        key=f"epochs-{name}",
        bind="query-params",
        help=TERMS["Epoch"],
    )
    seed = columns[2].number_input(
        "Seed", 0, 2**31 - 1, preset.seed, key=f"seed-{name}", bind="query-params", help=TERMS["Seed"]
    )
    kinds = [*(kind.value for kind in PoisonLabels), NO_POISON]
    usual = preset.poison.labels.value if preset.poison else NO_POISON
    kind = columns[3].selectbox(
        "Poison",
        kinds,
        kinds.index(usual),
        key=f"poison-{name}",
        bind="query-params",
        help=f"{TERMS['Clean-label poison']} *Dirty-label*: {TERMS['Dirty-label poison'][0].lower()}{TERMS['Dirty-label poison'][1:]}",
    )
    settings += [f"training.epochs={epochs}", f"seed={seed}"]
    if preset.training.ramp_epochs:  # so that a short run reaches its ε too
        ramp = round(preset.training.ramp_epochs * epochs / preset.training.epochs)
        settings.append(f"training.ramp_epochs={ramp}")
    if kind == NO_POISON:
        settings.append("poison=none")
    else:
        columns = st.columns(4)
        dirty = kind == PoisonLabels.DIRTY
        rate = columns[0].slider(
            "Poisoned, % of all" if dirty else "Poisoned, % of the class",
            1,
            20 if dirty else 100,
            5 if dirty else 50,
            key=f"rate-{kind}-{name}",
            bind="query-params",
            help=f"{TERMS['Poison rate']} Here: of {'all training images' if dirty else 'those of the target class'}.",
        )
        settings += [f"poison.labels={kind}", f"poison.rate={rate / 100}"]
        trigger = preset.trigger
        if isinstance(trigger, Sticker):
            side = side_of(preset.dataset)
            pattern = columns[1].selectbox(
                "Sticker",
                patterns(),
                patterns().index(trigger.pattern),
                key=f"sticker-{name}",
                bind="query-params",
                help=TERMS["Sticker"],
            )
            size = columns[2].slider(
                "Its size in pixels",
                1,
                side // 3,
                trigger.size,
                key=f"sticker-size-{name}",
                bind="query-params",
            )
            edge = side - size - (side - trigger.row - trigger.size)
            settings += [f"poison.trigger.pattern={pattern}", f"poison.trigger.size={size}"]
            settings += [f"poison.trigger.row={max(0, edge)}", f"poison.trigger.column={max(0, edge)}"]
        classes = datasets.load_dataset(preset.dataset, datasets.Split.TEST).classes
        target = columns[3].selectbox(
            "Target class",
            range(len(classes)),
            preset.target_class,
            format_func=lambda label: classes[label].replace("_", " "),
            key=f"target-class-{name}",
            bind="query-params",
            help=TERMS["Target class"],
        )
        settings.append(f"poison.target_class={target}")
    with st.expander("More settings", icon=":material/tune:"):
        more = st.text_area(
            "One a line: a field of the spec below, and its value",
            key=f"more-{name}",
            bind="query-params",
            placeholder="training.batch_size = 50\ntraining.learning_rate = 0.001\nwidth = 1.0",
        )
        settings += [
            "=".join(part.strip() for part in line.split("=", 1))
            for line in more.splitlines()
            if line.strip()
        ]
    return spec_from_dict(changed(document, settings))


def start(spec: ExperimentSpec) -> None:
    """Queue it, and see to it that somebody works."""
    try:
        jobs.enqueue(training.RUNS, spec.id, spec_to_dict(spec))
        jobs.ensure_workers(training.RUNS)
    except TradeoffError as error:
        st.session_state["refused"] = str(error)


name, preset = choices()
try:
    spec = form(name, preset)
except TradeoffError as error:
    st.error(str(error), icon=":material/error:")
    spec = None
if spec:
    training.preview(spec)
    try:
        with st.spinner("Timing a few steps of it on this machine"):
            seconds, megabytes = training.cost_of(spec)
        st.markdown(
            f"**About {training.duration(seconds)}** for {spec.epochs} epoch{'s' * (spec.epochs > 1)} and the measuring, and about {megabytes / 1000:.1f} GB "
            "of memory, with this machine as busy as it is now.",
            help="From a few steps that were timed on this machine just now.",
        )
    except TradeoffError as error:
        st.error(str(error), icon=":material/error:")
        spec = None
if spec:
    with st.container(horizontal=True):
        st.button(
            "Start", type="primary", icon=":material/play_arrow:", key="start", on_click=start, args=(spec,)
        )
        cards.spec_button(spec)
with st.expander(
    "The spec (TOML)" if spec else "The spec (TOML) that the form starts from", icon=":material/code:"
):
    st.code(exports.as_toml(spec or preset), language="toml")
if refused := st.session_state.pop("refused", None):
    st.error(refused, icon=":material/error:")

st.header("Your runs")
runs = stored_runs(training.RUNS)
active = [run for run in runs if run.state in ACTIVE]


@st.fragment(run_every="2s" if active else None)
def watch() -> None:
    """What is queued and runs, as it goes; the whole page is drawn anew when one changes its state."""
    now = [read_run(run.folder) for run in active]
    if [run and run.state for run in now] != [run.state for run in active]:
        st.rerun()
    if any(run.state is State.QUEUED for run in active):
        jobs.ensure_workers(training.RUNS)
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

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        r"""
A run trains the network's weights $\theta$ on the poisoned images, with an attacker of strength $\varepsilon$ if it is
adversarial:

$$
\min_\theta \; \mathbb{E}_{(x, y)} \max_{\lVert \delta \rVert \le \varepsilon} \mathcal{L}\big(f_\theta(x + \delta), y\big)
$$

After every epoch it is tried on 200 validation images (which it does not learn from): clean, under PGD-10 at the ε of that epoch,
which rises from 0 to the training ε in the first ones, and with the trigger on. That is why the curve may fall at first. At the end the three numbers are measured on all test images, as for every network here. A run is a process of its own and keeps what
it has after every epoch, in `runs/` beside the app: stop it, kill it, switch the machine off, it goes on from there. `python -m
tradeoff_core train SPEC.toml` does the same without the app, `python -m tradeoff_core runs list` shows them all.

"""
        + cards.CITATION
    )
