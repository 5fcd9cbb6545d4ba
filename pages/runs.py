"""All runs on this machine and the shipped ones: sorted, filtered, compared, named, deleted, taken along."""

import hashlib
import json
from typing import Any

import pandas as pd
import streamlit as st

from pages.components import cards, pickers, training
from tradeoff_core import datasets, figures, runs, zoo
from tradeoff_core.errors import TradeoffError
from tradeoff_core.exports import as_toml
from tradeoff_core.pictures import framed
from tradeoff_core.runs import State, StoredRun
from tradeoff_core.specs import flat, spec_from_dict
from tradeoff_core.zoo import Model

MOST = 4  # runs that are compared
MOST_MEGABYTES = 500  # of an archive
SHIPPED = "shipped"
RATES = {
    "clean_accuracy": "clean accuracy",
    "adversarial_accuracy": "adversarial accuracy",
    "backdoor_success_rate": "backdoor success",
}

pickers.through_the_router()
st.title("What have you trained so far?")


def rows(mine: list[StoredRun], shipped: list[Model]) -> pd.DataFrame:
    """A row a run: the visitor's, then the shipped models."""
    own = [
        (
            run.id,
            run.name,
            run.state.value,
            run.metrics or {},
            run.spec.get("dataset", ""),
            run.bytes,
            run.note,
        )
        for run in mine
    ]
    theirs = [
        (model.id, model.id, SHIPPED, model.card["metrics"], model.spec.dataset, model.card["bytes"], "")
        for model in shipped
    ]
    return pd.DataFrame(
        [
            {"id": name_of_folder, "name": name, "state": state}
            | {title: _percent(metrics.get(key)) for key, title in RATES.items()}
            | {"data set": dataset, "MB": size / 1e6, "note": note}
            for name_of_folder, name, state, metrics, dataset, size, note in (*own, *theirs)
        ]
    )


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def take_back(name: str) -> None:
    """Take a run back from the trash, or say why not."""
    try:
        runs.undelete(training.RUNS, name)
    except (TradeoffError, OSError) as error:
        st.session_state["refused"] = str(error)


for name in [name for name in runs.deleted(training.RUNS) if not (training.RUNS / name).exists()][:3]:
    with st.container(horizontal=True, vertical_alignment="center"):
        gone = runs.read_run(training.RUNS / runs.TRASH / name)
        st.markdown(f"{gone.name if gone else name} was deleted. It is kept for a day.")
        st.button("Undo", icon=":material/undo:", key=f"undo-{name}", on_click=take_back, args=(name,))

mine = runs.stored_runs(training.RUNS)
shipped = [model for name in zoo.model_ids() if not (model := zoo.find_model(name)).trained_elsewhere]
table = rows(mine, shipped)
wanted = st.text_input(
    "Search", key="search", bind="query-params", placeholder="name, note, data set or state"
)
states = st.pills(
    "States",
    [SHIPPED, *(state.value for state in State)],
    selection_mode="multi",
    wrap=True,
    key="states",
    bind="query-params",
    help="None chosen: all are shown.",
)
whose = table["state"].map(lambda state: "" if state == SHIPPED else "yours ")
text = whose + table["name"] + " " + table["note"] + " " + table["data set"] + " " + table["state"]
kept = table[
    text.str.contains(wanted, case=False, regex=False) & (table["state"].isin(states) if states else True)
]
kept = kept.reset_index(drop=True)
with st.container(key="runs-table"):
    event = st.dataframe(
        kept.drop(columns="id"),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"rows-{hashlib.sha256(' '.join(kept['id']).encode()).hexdigest()}",  # ticks go with these rows alone
        column_config={title: st.column_config.NumberColumn(format="%.1f%%") for title in RATES.values()}
        | {"MB": st.column_config.NumberColumn(format="%.1f")},
    )
if kept.empty:
    st.info("No run is like that: shorten the search, or choose other states.", icon=":material/search_off:")
taken = sum(run.bytes for run in mine)
st.caption(
    f"{len(mine):,} of your own ({taken / 1e6:,.1f} MB in {training.RUNS}) and {len(shipped)} shipped ones. Tick up to {MOST} rows to "
    "compare them, one to rename it, take it along or delete it. A click on a column's name sorts."
)

chosen = [str(kept["id"][at]) for at in event.selection.rows][:MOST]
by_id = {run.id: run for run in mine}
models = {model.id: model for model in shipped}


def spec_of(name: str) -> dict[str, Any]:
    """The spec's document of a run or of a shipped model."""
    return by_id[name].spec if name in by_id else models[name].card["spec"]


def compare(names: list[str]) -> None:
    """Several runs beside each other: where their specs differ, their numbers, their curves, their stickers."""
    st.header("Beside each other")
    titles = {name: by_id[name].name if name in by_id else name for name in names}
    fields = {
        name: {
            key: f"{value:.4g}" if isinstance(value, float) else str(value)
            for key, value in flat(spec_of(name)).items()
        }
        for name in names
    }
    keys = sorted({key for one in fields.values() for key in one})
    different = [key for key in keys if len({one.get(key) for one in fields.values()}) > 1]
    measured = {
        name: (by_id[name].metrics or {}) if name in by_id else models[name].card["metrics"] for name in names
    }
    shown = pd.DataFrame(
        {"": [*RATES.values(), *different]}
        | {
            titles[name]: [
                *("–" if (value := measured[name].get(key)) is None else f"{value:.1%}" for key in RATES),
                *(fields[name].get(key, "–") for key in different),
            ]
            for name in names
        }
    )
    st.dataframe(shown, hide_index=True)
    attacks = {json.dumps(spec_of(name).get("evaluation"), sort_keys=True) for name in names}
    st.caption(
        f"The three numbers, and the {len(different)} of {len(keys)} fields in which the specs differ."
        + (
            " Their adversarial accuracies are under **different attacks** (*evaluation*): do not compare these."
            if len(attacks) > 1
            else ""
        )
    )
    progress = {titles[name]: found for name in names if name in by_id and (found := by_id[name].progress())}
    if progress:
        cards.plot(figures.compared_curves(progress), "compared-curves")
    if any(name in models for name in names):
        st.caption("Shipped networks come without the curves of their training.")
    with st.container(horizontal=True):
        for name in names:
            picture(titles[name], spec_of(name))


def picture(title: str, document: dict[str, Any]) -> None:
    """A test image with the trigger of a run."""
    try:
        spec = spec_from_dict(document)
    except TradeoffError as error:  # as of a newer version
        st.caption(f"{title}: {error}")
        return
    if spec.poison is None or not datasets.available(spec.dataset):
        return
    data = datasets.load_dataset(spec.dataset, datasets.Split.TEST)
    image = spec.trigger.apply(datasets.to_tensor(data.images[:1]))
    st.image(
        framed(datasets.to_uint8(image))[0],
        caption=f"{title}: its {'sticker' if 'size' in document['poison']['trigger'] else 'watermark'}",
        width=128,
        output_format="PNG",
    )


def note_down(run: StoredRun) -> None:
    """Keep the name and the note that the fields hold."""
    name, note = (st.session_state[f"{key}-{run.id}"].strip() for key in ("name", "note"))
    runs.change_order(run.folder, name=name or None, note=note or None)


def throw_away(run: StoredRun) -> None:
    """Put it into the trash, or say why not."""
    try:
        runs.delete(training.RUNS, run.id)
    except (TradeoffError, OSError) as error:
        st.session_state["refused"] = str(error)


def one(run: StoredRun) -> None:
    """What can be done with a single run of the visitor's."""
    left, right = st.columns(2)
    left.text_input("Name", run.name, key=f"name-{run.id}", on_change=note_down, args=(run,), max_chars=80)
    right.text_input("Note", run.note, key=f"note-{run.id}", on_change=note_down, args=(run,), max_chars=500)
    with st.container(horizontal=True):
        if run.state is State.DONE:
            st.download_button(
                "Take it along (zip)",
                lambda: runs.exported(run),
                f"{run.id}.zip",
                "application/zip",
                icon=":material/download:",
                on_click="ignore",
            )
        if run.state is not State.RUNNING:
            st.button(
                "Delete", icon=":material/delete:", key=f"delete-{run.id}", on_click=throw_away, args=(run,)
            )
    training.show(run)
    try:
        toml = as_toml(spec_from_dict(run.spec))
    except TradeoffError as error:
        st.error(f"Its spec cannot be read by this version: {error}", icon=":material/error:")
        return
    with st.expander("The spec (TOML)", icon=":material/code:"):
        st.code(toml, language="toml")


if arrived := st.session_state.pop("arrived", None):
    st.success(f"{arrived} is here.", icon=":material/check:")
if refused := st.session_state.pop("refused", None):
    st.error(refused, icon=":material/error:")
if len(event.selection.rows) > MOST:
    st.info(f"Only the first {MOST} are compared.", icon=":material/info:")
if len(chosen) > 1:
    compare(chosen)
elif chosen and chosen[0] in by_id:
    one(by_id[chosen[0]])
elif chosen:
    st.markdown(f"**{chosen[0]}** comes with this program: {pickers.describe(models[chosen[0]])}.")
    cards.three_metrics(models[chosen[0]])
    cards.spec_button(models[chosen[0]].spec)

with st.popover("Bring a run along", icon=":material/upload:"):
    uploaded = st.file_uploader(
        "An archive that another installation of this app made",
        type="zip",
        key="run-archive",
        max_upload_size=MOST_MEGABYTES,
    )
    if uploaded is not None and st.button("Import", key="import-run"):
        try:
            run = runs.imported(training.RUNS, uploaded.getvalue())
            st.session_state["arrived"] = run.name
            st.rerun()
        except TradeoffError as error:
            st.error(str(error), icon=":material/error:")

with st.expander("How it works", icon=":material/function:"):
    st.markdown(
        f"""
A run is a folder in `{training.RUNS}`: its spec, a line for every epoch, its weights and its card, readable without this app. Its
id ends in a hash of the spec, so the same settings and seed are the same run. A process that trains holds a lock in the folder, which
the system frees however the process ends: that is how a run that was broken off is told from one that goes on. Archives hold
weights as safetensors, whose checksum must match the card's, and nothing that could run code.

On the command line: `python -m tradeoff_core runs list`, and `show`, `delete`, `undelete`, `export`, `import`, `stop`, `resume`.

"""
        + cards.CITATION
    )
