"""What marks are worth, and their ways out and in."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.components import cache, cards
from pages.components.inspection import further
from pages.components.inspection.keeping import Keeper
from pages.components.uploads import refused
from pages.components.words import inspecting as words
from pages.components.words.models import called
from tradeoff_core import figures
from tradeoff_core.common.errors import TradeoffError
from tradeoff_core.common.paths import read_only
from tradeoff_core.defenses.applied import Inspection, Method
from tradeoff_core.defenses.detection import Detection
from tradeoff_core.findings.reviewing import reviewed, worked
from tradeoff_core.inspection import exchange, judging, walk
from tradeoff_core.inspection.review import Mark, Standing, Subject, names, now, review, standing
from tradeoff_core.inspection.table import Score, Table
from tradeoff_core.models.zoo import Model
from tradeoff_core.networks.inference import Floats

KINDS = {  # how the ids end of the networks that the paper is about
    "dirty-label": ("-dirty-label-standard",),
    "clean-label, adversarial": ("-clean-label-pgd-0.3", "-clean-label-pgd-8-255"),
}
SPECTRAL, CLUSTERING = "spectral signatures", "activation clustering"
RULES = {
    SPECTRAL: "Spectral signatures, asked for as many as you remove, would remove",
    CLUSTERING: "Activation clustering would remove",
}


def subject_of(model: Model, table: Table) -> Subject:
    """What a review of these examples is of."""
    return Subject(model.id, model.sha256, table.label, table.checksum, len(table.index))


def detection(table: Table, removed: NDArray[np.bool_]) -> Detection:
    """The person's verdict as a defense's."""
    return Detection(table.index, removed.astype(np.float64), removed, table.poisoned)


def _key(model: Model, table: Table) -> tuple[str, int, int]:
    return model.sha256, table.label, table.checksum


def imported(model: Model, table: Table) -> dict[str, Floats]:
    """The scores that this visitor brought in for these examples, by their column's name."""
    scores: Floats | None = st.session_state.get("inspection-scores", {}).get(_key(model, table))
    return {} if scores is None else {further.IMPORTED: scores}


def told(model: Model, table: Table, stands: Standing, beside: Mapping[str, Floats]) -> None:
    """With the truth revealed: what the marks are worth, and how many looks each score takes."""
    removed, poisoned = stands.array(table.index, Mark.REMOVE), table.poisoned
    st.markdown(words.worth(judging.judged(removed, poisoned), called(model, table.label)))
    count = int(poisoned.sum())
    if not count:
        return
    suspicions = {words.title_of(name): suspicion for name, suspicion in table.suspicions().items()}
    suspicions |= {further.title_of(name): suspicion for name, suspicion in beside.items()}
    curves = {
        name: judging.reviewers_curve(judging.in_order(suspicion), poisoned)
        for name, suspicion in suspicions.items()
    }
    looks = {name: judging.looks_until(curve, count) for name, curve in curves.items()}
    best = min(looks, key=lambda name: looks[name] or len(poisoned))
    st.markdown(words.fewest_looks(looks, count, len(poisoned)))
    place = {int(index): at for at, index in enumerate(table.index)}
    way = np.array([place[index] for index in stands.marks if index in place], dtype=np.int64)
    cards.chart(
        figures.reviewers_curve(curves, best, count, judging.reviewers_curve(way, poisoned)),
        name="reviewers-curve",
    )
    rows = []
    for title in sorted(suspicions, key=lambda name: looks[name] or len(poisoned)):
        suspicion = suspicions[title]
        found = judging.worth(table.index, suspicion, poisoned)
        rows.append(
            {
                "score": title,
                "looks until 90%": f"{found['looks_until_90']:,}",
                f"poisoned, of the {count:,} highest": f"{found['precision']:.0%}",
                "AUROC": f"{found['auroc']:.3f}",
            }
        )
    with st.expander("Every score in numbers"):
        st.table(pd.DataFrame(rows).set_index("score"), border="horizontal")


def by_score(model: Model) -> None:
    """How much of a person's time each score wastes over the networks of the model's data set, as it was measured."""
    every = reviewed(model.spec.dataset)
    pair = {
        kind: next((one for one in every if one.model.endswith(ends)), None) for kind, ends in KINDS.items()
    }
    known = {kind: one for kind, one in pair.items() if one is not None}
    if not known:
        return
    st.header("Which score wastes least of your time?")
    st.markdown(words.wastes_least(pair["dirty-label"], pair["clean-label, adversarial"]))
    names = sorted(
        {name for one in known.values() for name in one.scores},
        key=lambda name: sum(
            one.scores[name]["looks_until_90"] for one in known.values() if name in one.scores
        ),
    )
    columns = {
        kind: [f"{one.scores[name]['looks_until_90']:,}" if name in one.scores else "–" for name in names]
        for kind, one in known.items()
    }
    table = pd.DataFrame(
        {"looks until 90% of the poison is found, sorted by": map(words.title_of, names)} | columns
    )
    with st.expander("Every score, and chance"):
        st.table(table.set_index(table.columns[0]), border="horizontal")
        cards.table_buttons(table, "reviewing", "Images looked at until 90% of the poison is found")
        st.caption(words.by_chance(known))


def example(model: Model) -> None:
    """The worked example, where the data set has one, and what it gave when it was measured."""
    measured = worked(model.spec.dataset)
    if measured is None:
        return
    st.header("Where these two cannot decide: a worked example")
    st.markdown(words.WHY)
    st.markdown("\n".join(f"{number}. {click}." for number, click in enumerate(walk.CLICKS, 1)))
    st.markdown(f"{words.AT_A_GLANCE} {words.example(measured)}")


def compared(model: Model, table: Table, stands: Standing, name: str) -> None:
    """What a defense or another review removes, and how far the marks agree with it."""
    if not stands.marks:
        return
    subject = subject_of(model, table)
    others = [] if read_only() else [one for one in names(subject) if one != name]
    other = st.selectbox("Compare with", [SPECTRAL, CLUSTERING, *others], key="compared", width=320)
    mine = {index for index, mark in stands.marks.items() if mark is Mark.REMOVE}
    if other in others:
        theirs = dict(standing(review(subject, other).decisions()).marks)
        said = f"The review '{other}' removes"
    else:
        theirs = _verdict(model, table, other, len(mine))
        said = RULES[other]
    removed = {index for index, mark in theirs.items() if mark is Mark.REMOVE}
    st.markdown(
        f"{words.would_remove(said, len(removed), len(table.index), len(mine & removed))} "
        f"{words.agrees(judging.agreement(stands.marks, theirs))}"
    )


def _verdict(model: Model, table: Table, defense: str, count: int) -> dict[int, Mark]:
    """What a defense would remove: spectral signatures as many as the person, clustering what its size rule says."""
    if defense == SPECTRAL:
        removed = judging.most_suspicious(table.suspicion(Score.SPECTRAL), count)
    else:
        settings = Inspection(Method.CLUSTERING, table.layer)
        removed = cache.finding(model, table.label, settings).detection.removed
    return judging.verdict(table.index, removed)


def taken_along(model: Model, table: Table, stands: Standing, truth: bool) -> None:
    """The examples with their scores and marks, as files."""
    marked = exchange.Marked(table, stands, truth)
    data = cache.poisoned(model).data
    kinds = {
        "csv": lambda: exchange.as_csv(marked),
        "json": lambda: exchange.as_json(marked),
        "zip": lambda: exchange.as_zip(data.images[table.index], marked, data.classes),
    }
    with st.container(horizontal=True):
        for ending, content in kinds.items():
            st.download_button(
                {
                    "csv": "Scores and marks (CSV)",
                    "json": "The same (JSON)",
                    "zip": "With pictures, for FiftyOne or Spotlight (zip)",
                }[ending],
                content,
                f"{model.id}-{table.label}.{ending}",
                icon=":material/download:",
                type="tertiary",
                key=f"inspection-{ending}",
                on_click="ignore",
            )


def brought_in(model: Model, table: Table, kept: Keeper) -> None:
    """Anybody's scores or marks, from a file."""
    key = "inspection-file"

    def read() -> None:
        uploaded = st.session_state.get(key)
        if not isinstance(uploaded, UploadedFile):  # it was taken away, or never arrived
            return
        st.session_state.pop("inspection-wrong", None)
        try:
            _take(model, table, kept, uploaded.getvalue(), uploaded.name[:100])
        except TradeoffError as error:
            st.session_state["inspection-wrong"] = str(error)

    with st.expander("Bring scores or marks in", icon=":material/upload:"):
        uploaded = st.file_uploader("A table (CSV)", "csv", key=key, on_change=read, help=words.IMPORT_HELP)
        if isinstance(uploaded, UploadedFile) and "inspection-wrong" in st.session_state:
            refused(key, st.session_state["inspection-wrong"])


def _take(model: Model, table: Table, kept: Keeper, content: bytes, name: str) -> None:
    """Keep the scores or the marks of a file. Raises TradeoffError for what is none."""
    if exchange.has_marks(content, name):
        marks = exchange.read_marks(content, name, table.index)
        kept.add([now("file", dict(marks))])
    else:
        scores = exchange.read_scores(content, name, table.index)
        st.session_state.setdefault("inspection-scores", {})[_key(model, table)] = scores
