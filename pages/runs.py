"""All runs on this machine and the shipped ones: sorted, filtered, compared, named, deleted, taken along."""

import hashlib
import json
from typing import Any

import pandas as pd
import streamlit as st

from pages.components import cards, model_picker, training, uploads
from pages.components.plain_words import escaped, refuse
from pages.components.words import how_it_works
from pages.components.words.models import trigger_in_words
from tradeoff_core import datasets, figures
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.names import plain
from tradeoff_core.common.paths import runs_folder
from tradeoff_core.experiments import stored_runs
from tradeoff_core.experiments.spec import flat, spec_from_dict
from tradeoff_core.experiments.stored_runs import State, StoredRun
from tradeoff_core.figures.exports import as_toml
from tradeoff_core.figures.pictures import as_uris
from tradeoff_core.models import zoo
from tradeoff_core.models.zoo import Model
from tradeoff_core.reports.notebook import notebook
from tradeoff_core.reports.report import report

MOST = 4  # runs that are compared
SHIPPED = "shipped"
RATES = {
    "clean_accuracy": "clean accuracy",
    "adversarial_accuracy": "adversarial accuracy",
    "backdoor_success_rate": "backdoor success",
}
SHORT = dict(zip(RATES.values(), ("clean", "attacked", "back door"), strict=True))

model_picker.through_the_router()
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
        (model.id, model.id, SHIPPED, model.card.metrics, model.spec.dataset, model.card.bytes, "")
        for model in shipped
    ]
    return pd.DataFrame(
        [
            {"id": name_of_folder}
            | {title: _percent(metrics.get(key)) for key, title in RATES.items()}
            | {"name": name, "state": state, "data set": dataset, "MB": size / 1e6, "note": note}
            for name_of_folder, name, state, metrics, dataset, size, note in (*own, *theirs)
        ]
    )


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


for name in [name for name in stored_runs.deleted(runs_folder()) if not (runs_folder() / name).exists()][:3]:
    with st.container(horizontal=True, vertical_alignment="center"):
        gone = stored_runs.read_run(runs_folder() / stored_runs.TRASH / name)
        st.markdown(f"{plain(gone.name if gone else name)} was deleted. It is kept for a day.")
        st.button(
            "Undo",
            icon=":material/undo:",
            key=f"undo-{name}",
            on_click=training.attempt,
            args=(stored_runs.undelete, runs_folder(), name),
        )

mine = stored_runs.stored_runs(runs_folder())
shipped = [model for name in zoo.model_ids() if not (model := zoo.find_model(name)).trained_elsewhere]
table = rows(mine, shipped)
wanted = st.text_input(
    "Search",
    key="search",
    bind="query-params",
    max_chars=100,
    placeholder="name, note, data set or state",
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
        column_config={  # first, and narrow: seen on a phone too
            title: st.column_config.NumberColumn(SHORT[title], help=title, format="%.1f%%", width=76)
            for title in RATES.values()
        }
        | {"MB": st.column_config.NumberColumn(format="%.1f")},
    )
if kept.empty:
    st.info("No run is like that: shorten the search, or choose other states.", icon=":material/search_off:")
taken = sum(run.bytes for run in mine)
st.caption(
    f"{len(mine):,} of your own ({taken / 1e6:,.1f} MB in {runs_folder()}) and {len(shipped)} shipped ones. Tick up to {MOST} rows to "
    "compare them, one to rename it, take it along or delete it. A click on a column's name sorts."
)

rows_sent = event.selection.rows  # a browser sends anything
ticked = (
    [at for at in rows_sent if type(at) is int and 0 <= at < len(kept)] if isinstance(rows_sent, list) else []
)
chosen = [str(kept["id"][at]) for at in dict.fromkeys(ticked)][:MOST]
by_id = {run.id: run for run in mine}
models = {model.id: model for model in shipped}


def spec_of(name: str) -> dict[str, Any]:
    """The spec's document of a run or of a shipped model."""
    return by_id[name].spec if name in by_id else models[name].card.spec


def compare(names: list[str]) -> None:
    """Several runs beside each other: where their specs differ, their numbers, their curves, their stickers."""
    st.header("Beside each other")
    given = {name: plain(by_id[name].name) if name in by_id else name for name in names}
    shared = [title for title in given.values() if list(given.values()).count(title) > 1]
    titles = {name: f"{title}, {plain(name)}" if title in shared else title for name, title in given.items()}
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
        name: (by_id[name].metrics or {}) if name in by_id else models[name].card.metrics for name in names
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
    for name in names:
        cards.beware(measured[name].get("warnings", []), f"{titles[name]}: its")
    progress = {titles[name]: found for name in names if name in by_id and (found := by_id[name].progress())}
    if progress:
        cards.chart(figures.compared_curves(progress), "compared-curves")
    if any(name in models for name in names):
        st.caption("Shipped networks come without the curves of their training.")
    with st.container(horizontal=True):
        for name in names:
            picture(titles[name], spec_of(name))
    take_along(names)


def picture(title: str, document: dict[str, Any]) -> None:
    """A test image with the trigger of a run."""
    try:
        spec = spec_from_dict(document)
    except TradeoffError as error:  # as of a newer version
        st.caption(f"{title}: {escaped(str(error))}")
        return
    if spec.poison is None or not datasets.available(spec.dataset):
        return
    data = datasets.load_dataset(spec.dataset, datasets.Split.TEST)
    image = spec.trigger.apply(datasets.to_tensor(data.images[:1]))
    trigger = trigger_in_words(spec.trigger)
    st.image(
        as_uris(datasets.to_uint8(image), 128)[0],
        caption=f"{title}: its {trigger}",
        width=128,
        alt=f"A test image with the {trigger} of {title}",
    )


def take_along(names: list[str]) -> None:
    """Finished runs and shipped models as a report, and a single one as a notebook."""
    if not all(name in models or by_id[name].state is State.DONE for name in names):
        return
    places = [name if name in models else str(by_id[name].folder) for name in names]
    made = {
        "Report (HTML)": (
            "report.html",
            "text/html",
            lambda: report([zoo.find_model(place) for place in places]),
        )
    }
    if len(names) == 1:
        made["Notebook (ipynb)"] = (
            f"{names[0]}.ipynb",
            "application/x-ipynb+json",
            lambda: notebook(zoo.find_model(places[0])),
        )
    with st.container(horizontal=True):
        for title, (file, mime, content) in made.items():
            st.download_button(
                title,
                content,
                file,
                mime,
                icon=":material/download:",
                key=f"{file}-{'-'.join(names)}",
                on_click="ignore",
            )


def note_down(run: StoredRun) -> None:
    """Keep the name and the note that the fields hold."""
    name, note = (st.session_state[f"{key}-{run.id}"].strip() for key in ("name", "note"))
    stored_runs.rename(runs_folder(), run.id, name, note)


def one(run: StoredRun) -> None:
    """What can be done with a single run of the visitor's."""
    fields = (("Name", run.name, 80), ("Note", run.note, 500))
    for column, (label, value, most) in zip(st.columns(2), fields, strict=True):
        column.text_input(
            label,
            value,
            key=f"{label.lower()}-{run.id}",
            on_change=training.attempt,
            args=(note_down, run),
            max_chars=most,
        )
    with st.container(horizontal=True):
        if run.state is State.DONE:
            st.download_button(
                "Take it along (zip)",
                lambda: stored_runs.exported(run),
                f"{run.id}.zip",
                "application/zip",
                icon=":material/download:",
                on_click="ignore",
            )
        if run.state is not State.RUNNING:
            st.button(
                "Delete",
                icon=":material/delete:",
                key=f"delete-{run.id}",
                on_click=training.attempt,
                args=(stored_runs.delete, runs_folder(), run.id),
            )
    take_along([run.id])
    training.show(run, level=2)
    try:
        toml = as_toml(spec_from_dict(run.spec))
    except TradeoffError as error:
        refuse(f"Its spec cannot be read by this version: {error}")
        return
    with st.expander("The spec (TOML)", icon=":material/code:"):
        st.code(toml, language="toml")


if arrived := st.session_state.pop("arrived", None):
    st.success(f"{arrived} is here.", icon=":material/check:")
training.told_what_was_refused()
if len(ticked) > MOST:
    st.info(f"Only the first {MOST} are compared.", icon=":material/info:")
if len(chosen) > 1:
    compare(chosen)
elif chosen and chosen[0] in by_id:
    one(by_id[chosen[0]])
elif chosen:
    st.markdown(f"**{chosen[0]}** comes with this program: {model_picker.describe(models[chosen[0]])}.")
    cards.three_metrics(models[chosen[0]])
    cards.spec_button(models[chosen[0]].spec)
    take_along(chosen)

with st.popover("Bring a run along", icon=":material/upload:"):
    key = "run-archive"
    uploaded = st.file_uploader(
        "An archive that another installation of this app made",
        type="zip",
        key=key,
        help="Or, of any size: `python -m tradeoff_core runs import FILE`.",
    )
    if uploaded is not None and st.button("Import", key="import-run"):
        try:
            run = stored_runs.imported(runs_folder(), uploaded.getvalue())
            st.session_state["arrived"] = plain(run.name)
            st.rerun()
        except TradeoffError as error:
            uploads.refused(key, error)

cards.how_it_works(how_it_works.RUNS.format(folder=runs_folder()))
